"""The one sequence behind every door: audit, judge, write the files and the report.

The command `auditor audit` and the function `auditor.audit` both end here.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from auditor.config import AuditSettings, RunSettings, settings_from
from auditor.errors import AuditorError
from auditor.system.lock import output_folder
from auditor.system.ownership import refuse_foreign
from auditor.system.progress import Progress

if TYPE_CHECKING:
    from auditor.gate import GateRun, Judged
    from auditor.result import AuditResult
    from auditor.result.evidence import EvidenceDocument
    from auditor.sources.objects import Objects
    from auditor.system.checkpoint import Checkpoints


@dataclass(frozen=True)
class Order:
    """One audit as a door asks for it.

    Attributes
    ----------
    source
        What the user wrote as SOURCE, an opened table, or another object that holds a data set.
    out
        The folder for the audit's files; None writes nothing.
    download
        Allow fetching ImageNet's weights.
    reuse
        Take the finished audit in `out` where nothing has changed since.
    compare
        The folder of an earlier audit that the report is to compare with; empty for none.
    judged_by
        The fields of a `gate.GateRequest`; None judges nothing.
    given
        Features, labels and the like that a program gives beside the source, or in its place; None for nothing.
    """

    source: object
    out: str | Path | None
    settings: AuditSettings
    run: RunSettings
    download: bool = False
    reuse: bool = False
    compare: str = ""
    judged_by: Mapping[str, Any] | None = None
    given: Objects | None = None

    @property
    def folder(self) -> Path | None:
        """`out` as a path."""
        return None if self.out is None else Path(self.out)

    @property
    def named_source(self) -> str | Path:
        """The source where the user named it; empty for an opened table."""
        return self.source if isinstance(self.source, str | Path) else ""


@dataclass(frozen=True)
class Done:
    """What came of an order: the result, and the gate's judgement and what it leaves to print, where there is one."""

    result: AuditResult
    judged: Judged | None = None
    gate_run: GateRun | None = None


@contextlib.contextmanager
def with_backbone(backbone: object, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings with a backbone, which may be a module of the user's. It has a name inside the block.

    Raises
    ------
    ConfigError
        The module cannot read images.
    """
    if backbone is None or isinstance(backbone, str):
        yield {**settings, **({} if backbone is None else {"backbone": backbone})}
        return
    from auditor.model import module_kind, register_backbone

    network: Any
    network, transform = backbone if isinstance(backbone, tuple) and len(backbone) == 2 else (backbone, None)
    kind = module_kind(network, transform)
    with register_backbone(kind):
        yield {**settings, "backbone": kind.name}


def call(
    source: object,
    given: Objects,
    backbone: object,
    settings: Mapping[str, Any],
    out: str | Path | None,
    download: bool,
) -> AuditResult:
    """Audit what a program asks for; `auditor.audit` says what the parameters mean.

    Raises
    ------
    AuditorError
        Its message says what was wrong, where, and what to do next.
    """
    from auditor.report.notebook import shown

    files = {}
    for name in ("features", "probabilities"):  # files are settings, so that the data set can be opened again
        if source is not None and isinstance(getattr(given, name), str | Path):
            files[name], given = str(getattr(given, name)), dataclasses.replace(given, **{name: None})
    with with_backbone(backbone, {**settings, **files}) as asked:
        return shown(carry_out(Order(source, out, *settings_from(asked), download, given=given)).result, out)


def carry_out(order: Order) -> Done:
    """Audit a data set, judge it where asked, and write the files.

    Raises
    ------
    AuditorError
        Its message says what was wrong, where, and what to do next.
    """
    with contextlib.nullcontext() if order.out is None else output_folder(order.out, order.named_source):
        if order.out is not None:
            refuse_foreign(order.out, order.named_source)
        # Torch takes seconds to import. A folder that cannot be written is said before that.
        from auditor import gate
        from auditor.result import AuditResult
        from auditor.review import compared

        earlier = AuditResult.load(order.compare) if order.compare else None
        prepared = None
        if order.judged_by is not None:
            keep = [Path(order.named_source)] if order.named_source else []
            prepared = gate.prepare(gate.GateRequest(**order.judged_by), folder=order.folder, keep=keep)
        result, stages = _audited(order)
        judged = None if prepared is None else prepared.judge(result)
        stands = stages is None and earlier is None
        if order.folder is not None and stages is not None and earlier is None:
            compared.forget(order.folder)
        if order.folder is not None and not (stands and _shown(order.folder, result, judged)):
            write_report(order.folder, result, judged, earlier)
        if stages is not None:
            stages.clear()
        return Done(result, judged, None if judged is None else judged.deliver())


def write_report(
    out: Path, result: AuditResult, judged: Judged | None = None, earlier: AuditResult | None = None
) -> Path:
    """Write the report with the gate's last verdict, which is `judged` where there is one.

    It shows what changed against `earlier`, or else what the last comparison said.
    """
    from auditor import gate, report
    from auditor.review import compare, compared

    refuse_foreign(out, names=["report.html"])
    if judged is not None:
        gate.keep(judged.verdict, out)
    if earlier is not None:
        compared.keep(compare(result, earlier), out)
    comparison = compared.kept(out, result) if earlier is None else compare(result, earlier)
    return report.write_report(result, out, gate.kept(out, result), comparison, report.looks_in(out, result))


def served_page(out: str | Path) -> str:
    """The report of a finished audit as the server of `auditor review serve` shows it. Nothing is written.

    Raises
    ------
    ResultError
        The folder holds no whole audit.
    """
    from auditor import gate, report
    from auditor.result import AuditResult
    from auditor.review import compared

    folder, result = Path(out), AuditResult.load(out)
    looks = report.looks_in(folder, result)
    return report.render(result, gate.kept(folder, result), compared.kept(folder, result), looks, served=True)


def show_again(out: str | Path) -> str:
    """Render the report of an audit again, where there is one, so that it shows what people found since.

    Returns
    -------
    str
        In a sentence, where the report is, or why it still shows what was known before. Empty where there is none.
    """
    from auditor.result import AuditResult
    from auditor.system import files

    path = Path(out) / "report.html"
    if not path.exists():
        return ""
    try:
        return f"report: {write_report(Path(out), AuditResult.load(out))}"
    except (AuditorError, OSError) as error:
        why = files.reason(error) if isinstance(error, OSError) else error.message
        return f"{path} could not be written again ({why}), so it does not show this."


def show_sample(out: str | Path, source: str = "") -> str:
    """Render the report of an audit again after its sample was drawn, with a picture of each drawn item.

    Pictures that the audit did not make are read from the data set and kept in `evidence.json`. Where it cannot be
    opened, the report shows the sample without them.

    Returns
    -------
    str
        In a sentence, where the report is and what it lacks.
    """
    from auditor import report
    from auditor.data.reopening import reopen
    from auditor.pipeline.thumbnails import Pictures, excerpts
    from auditor.result import AuditResult

    result, lacks = AuditResult.load(out), ""
    known, said = result.evidence["thumbnails"], result.evidence["excerpts"]
    items = report.looks_in(out, result).sample or ()
    wanted = [path for path in dict.fromkeys(item["path"] for item in items) if path not in known and path not in said]
    if wanted:
        try:
            table = reopen(result, source=source, out=out)
            made = Pictures(table, result.settings["max_pixels"]).small(wanted, suspects=len(wanted))
            more = excerpts(table, wanted)
        except AuditorError as error:
            made, more = {}, {}
            shown = f"{result.noun.shown}s of {len(wanted):,}"
            lacks = f" without {shown} items, as the data set cannot be opened: {error}"
        if made or more:
            evidence = {**result.evidence, "thumbnails": {**known, **made}, "excerpts": {**said, **more}}
            result = dataclasses.replace(result, evidence=cast("EvidenceDocument", evidence))
            result.save(out)
    return f"report: {write_report(Path(out), result)}{lacks}"


def _audited(order: Order) -> tuple[AuditResult, Checkpoints | None]:
    """The audit's result, saved, and its checkpoints; the finished result and None where nothing has changed."""
    progress = Progress(order.run.quiet, order.run.log_file)
    known = _finished(order, progress)
    if known is not None:
        return known, None
    from auditor.data import feature_cache
    from auditor.data.objects import table_from
    from auditor.pipeline import stages
    from auditor.review.carried import carry
    from auditor.system.checkpoint import Checkpoints

    kept = Checkpoints(feature_cache.cache_folder(order.run), progress.resumed)
    source = table_from(order.source, order.given, order.settings)
    result = stages.audit(source, order.settings, order.run, download=order.download, progress=progress, kept=kept)
    if order.folder is not None:
        # audit.json comes last of all: whoever finds it finds what belongs to it.
        for sentence in carry(result, order.folder):
            progress.say(f"  {sentence}")
        kept.belong_to(result.audit_id)
        result.save(order.folder)
    return result, kept


def _finished(order: Order, progress: Progress) -> AuditResult | None:
    """The finished audit in the folder, where it may be taken and would come out the same."""
    if not order.reuse or order.folder is None or order.run.save_matrix or not order.named_source:
        return None
    from auditor.data import feature_cache
    from auditor.data.feature_cache import reach_of
    from auditor.data.fresh import previous
    from auditor.sources.base import Skipped, left_out
    from auditor.system.checkpoint import remove_finished

    known = previous(order.folder, str(order.source), order.settings, reach_of(order.run, progress.say))
    if known is not None:
        progress.say(f"nothing has changed since the audit in {order.out}: its result stands")
        progress.say(left_out(Skipped(**entry) for entry in known.summary["dataset"]["skipped"]))
        remove_finished(feature_cache.cache_folder(order.run), known.audit_id)
    return known


def _shown(out: Path, result: AuditResult, judged: Judged | None) -> bool:
    """Whether the report in the folder shows this very result and verdict already."""
    from auditor import gate

    return gate.is_shown(None if judged is None else judged.verdict, out, result, out / "report.html")
