"""`auditor gate` and `audit --gate` without their command lines: check everything, judge, render, and only then write.

`prepare` reads what was asked for and refuses what cannot be used. `Prepared.judge` gives the verdict on a result and
the texts of the outputs. `Judged.deliver` writes them. An audit prepares before it reads its first image.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.certificate.documents import CertificateDocument
from auditor.data.fresh import require_fresh
from auditor.data.reopening import located, moved
from auditor.errors import ConfigError, DecisionsError, ExitCode
from auditor.gate import baselines
from auditor.gate.delivery import Output, check_data_untouched, parse_outputs, render, write, write_file
from auditor.gate.evaluate import evaluate
from auditor.gate.init_config import init_file
from auditor.gate.levels import CONFIG_FILES, Rules, find_config, has_rules, load_rules
from auditor.gate.verdict import Verdict, exit_code
from auditor.gate.wording import table
from auditor.result import AuditResult, complete_result
from auditor.review.baseline import Baseline
from auditor.review.certify import read_certificate
from auditor.review.ledger import LEDGER_NAME, Ledger
from auditor.sources.base import ImageTable
from auditor.system.files import read_text
from auditor.system.text import counted, plain

DEFAULT_CONFIG = "auditor.toml"

_RESULT_FILES = (
    "audit.json",
    "ranking.csv",
    "planted.csv",
    "evidence.json",
    "report.html",
    "certificate.json",
    "sample.json",
    "auditor-ledger.json",
)


@dataclass(frozen=True)
class GateRequest:
    """What a gate is asked for: what to judge by, and where the verdict goes.

    Attributes
    ----------
    config
        Configuration file. By default the one that holds in the current folder, if any.
    rules
        Levels that were loaded already. `config` is then not read.
    baseline
        Baseline files, later ones win. By default `auditor-baseline.json` in the current folder, if it is there. A
        reviewer's decisions are a baseline too, but cannot be updated.
    outputs
        Any number of `FORMAT` or `FORMAT=FILE`. They are written whatever the verdict is.
    update_baseline
        First add today's new suspects and conflicting duplicates to the (first) baseline, as accepted.
    exit_zero
        A FAIL exits with 0. Nothing else changes.
    strict_fresh
        Refuse a result that is older than its data set. Only `run` looks at this: an audit that has just ended is
        fresh.
    source
        Where the data set lies now; empty where the audit found it. Only `run` looks at this.
    """

    config: str | Path | None = None
    rules: Rules | None = None
    baseline: str | Path | Sequence[str | Path] | None = None
    outputs: Sequence[str] = ()
    update_baseline: bool = False
    exit_zero: bool = False
    strict_fresh: bool = False
    source: str = ""


_DEFAULTS = GateRequest()


@dataclass(frozen=True)
class GateRun:
    """What a run of the gate leaves for its caller.

    Attributes
    ----------
    verdict
        The verdict. None when only a configuration was written.
    exit_code
        What the process should return.
    stdout, stderr
        Text to print. The table goes to standard error when an output was asked for on standard output.
    written
        Files that were written.
    """

    verdict: Verdict | None
    exit_code: ExitCode
    stdout: str
    stderr: str = ""
    written: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A verdict and its texts. No output is written yet.

    Attributes
    ----------
    verdict, result
        The verdict, and the audit that was judged.
    shown
        The table for people.
    texts
        Every output with its text.
    exit_code
        What the process should return.
    """

    verdict: Verdict
    result: AuditResult
    shown: str
    texts: tuple[tuple[Output, str], ...]
    exit_code: ExitCode

    @property
    def takes_standard_output(self) -> bool:
        """Whether an output was asked for on standard output, which then holds nothing else."""
        return any(output.file is None for output, _ in self.texts)

    def deliver(self) -> GateRun:
        """Write the outputs. Where one of them takes standard output, the table goes to standard error.

        Raises
        ------
        ConfigError
            A file cannot be written.
        """
        written = write(self.texts, self.verdict, self.result)
        if not self.takes_standard_output:
            return GateRun(self.verdict, self.exit_code, self.shown, "", written)
        printed = "".join(text for output, text in self.texts if output.file is None)
        return GateRun(self.verdict, self.exit_code, printed, self.shown, written)


@dataclass(frozen=True)
class Prepared:
    """What a gate was asked for, read and checked.

    Attributes
    ----------
    asked
        The request.
    rules
        Levels by rule name.
    config
        The file they came from. None for the defaults.
    baseline_files, baseline
        Where the baseline is, and what it held when it was read. None where there is none.
    outputs
        Where the verdict goes.
    folder
        The audit's folder, where its certificate lies. None where there is no folder.
    """

    asked: GateRequest
    rules: Rules
    config: Path | None
    baseline_files: tuple[Path, ...]
    baseline: Baseline | None
    outputs: tuple[Output, ...]
    folder: Path | None = None

    def judge(self, result: AuditResult, today: datetime.date | None = None) -> Judged:
        """The verdict on a result, and the texts of the outputs. Writes nothing but the baseline it was to update.

        Raises
        ------
        AuditorError
            The result lacks something, or an output would replace a file of its data set, or another process went on
            updating the same baseline. Nothing was written.
        """
        check_data_untouched(self.outputs, result)
        proven = _proven(self.folder, result)
        if not self.asked.update_baseline:
            return self._judged(result, self.baseline, proven)
        evaluate(result, self.rules, self.baseline)  # what cannot be judged cannot be accepted either
        date = (today or datetime.date.today()).isoformat()
        target = self.baseline_files[0]
        with baselines.alone(target):
            known = baselines.load(self.baseline_files, may_be_new=True)
            accepted, added = baselines.updated(known, result, self.rules, date)
            said = f"{counted(added, 'entry was', 'entries were')} added to {plain(str(target), 200)}.\n"
            judged = self._judged(result, accepted, proven, said)
            accepted.save(target)
        return judged

    def _judged(self, result: AuditResult, baseline: Baseline | None, proven: Proven, said: str = "") -> Judged:
        verdict = evaluate(result, self.rules, baseline, proven.certificate, proven.ledger)
        texts = tuple(render(self.outputs, verdict, result))
        shown = table(verdict, f"{self._judged_by(baseline)} {proven.in_words}".rstrip()) + said
        return Judged(verdict, result, shown, texts, exit_code(verdict, self.asked.exit_zero))

    def _judged_by(self, baseline: Baseline | None) -> str:
        """Which levels and which baseline it was. Both may come from the current folder unasked, so both are named."""
        levels = "the defaults" if self.config is None else plain(str(self.config), 200)
        names = ", ".join(plain(str(path), 200) for path in self.baseline_files)
        entries = "none" if baseline is None else f"{names} ({counted(len(baseline.entries), 'entry', 'entries')})"
        return f"Levels: {levels}. Baseline: {entries}."


@dataclass(frozen=True)
class Proven:
    """The certificate that a gate judges by, or None; what is said of it; and the looks that lie beside it."""

    certificate: CertificateDocument | None
    in_words: str
    ledger: Ledger | None = None


def _proven(folder: Path | None, result: AuditResult) -> Proven:
    """The certificate in an audit's folder, if it speaks of the data set that was audited.

    Raises
    ------
    ResultError
        It is damaged, or has another version.
    """
    said: list[str] = []
    certificate = None if folder is None else read_certificate(folder, result, said.append)
    ledger = None if folder is None else _looks_in(folder, said.append)
    if certificate is not None:
        drawn = counted(certificate["looks"]["drawn"], "drawn look", "drawn looks")
        said = [f"Certificate: {drawn}.", *said]
    return Proven(certificate, " ".join(plain(text, 300) for text in said), ledger)


def _looks_in(folder: Path, say: Callable[[str], object]) -> Ledger | None:
    """The ledger in an audit's folder; None where there is none, or where it cannot be read, which is said."""
    path = folder / LEDGER_NAME
    try:
        return Ledger.load(path) if path.exists() else None
    except DecisionsError as error:
        say(f"Its looks are not used: {error.message}.")
        return None


def prepare(asked: GateRequest = _DEFAULTS, *, folder: str | Path | None = None, keep: Iterable[Path] = ()) -> Prepared:
    """Read and check what a gate is asked for, before there needs to be a result.

    Parameters
    ----------
    asked
        The request.
    folder
        The audit's folder. No output may replace its files.
    keep
        Other files that no output may replace.

    Raises
    ------
    AuditorError
        Something that was asked for cannot be used. Nothing was written.
    """
    chosen = None if asked.rules is not None else find_config() if asked.config is None else Path(asked.config)
    levels = load_rules(chosen) if asked.rules is None else asked.rules
    paths = baselines.named(asked.baseline)
    known = baselines.load(paths, may_be_new=asked.update_baseline or not asked.baseline)
    if asked.update_baseline:
        baselines.check_target(paths[0])
    # A configuration without rules still belongs to somebody.
    read = [*paths, *map(Path, CONFIG_FILES), *([] if chosen is None else [chosen])]
    result_files = [] if folder is None else [Path(folder) / name for name in _RESULT_FILES]
    wanted = tuple(parse_outputs(asked.outputs, keep=[*read, *result_files, *keep]))
    return Prepared(asked, levels, chosen, paths, known, wanted, None if folder is None else Path(folder))


def run(
    out: str | Path | AuditResult,
    asked: GateRequest = _DEFAULTS,
    *,
    open_source: Callable[[str], ImageTable] | None = None,
    today: datetime.date | None = None,
) -> GateRun:
    """Judge a finished audit and write the outputs.

    Parameters
    ----------
    out
        Folder of the audit, or its result.
    asked
        What to judge by, and where the verdict goes.
    open_source
        For `strict_fresh`; see `auditor.data.fresh.require_fresh`.
    today
        Date for new baseline entries.

    Raises
    ------
    AuditorError
        Something that was asked for cannot be used. Nothing was written.
    """
    prepared = prepare(asked, folder=None if isinstance(out, AuditResult) else out)
    result, folder = (out, None) if isinstance(out, AuditResult) else (AuditResult.load(out), out)
    if asked.strict_fresh:
        require_fresh(result, open_source, source=asked.source, out=folder)
    result = moved(result, asked.source or _elsewhere(result, folder))
    return prepared.judge(result, today).deliver()


def _elsewhere(result: AuditResult, folder: str | Path | None) -> str:
    """Where the data set lies, if not where the audit found it: above the audit's folder. Empty where it is not."""
    with complete_result():
        written = str(result.summary["dataset"]["source"])
    found = located(written, folder)
    return "" if found == written or result.settings["root"] else found


def run_init(out: str | Path | AuditResult, path: str | Path = DEFAULT_CONFIG) -> GateRun:
    """`gate --init`: write a commented configuration from an audit.

    A file that is there already, with the audit's settings for instance, keeps its content and gets the rules after
    it.

    Raises
    ------
    ConfigError
        The file has rules already, or cannot be written.
    """
    target = Path(path)
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    proven = _proven(None if isinstance(out, AuditResult) else Path(out), result)
    text = init_file(result, proven.certificate)
    if not target.exists():
        write_file(target, text)
        return GateRun(None, ExitCode.OK, f"{target} was written. `auditor gate` reads it.\n", "", (target,))
    if target.name == "pyproject.toml" or has_rules(target):
        raise ConfigError(f"{target} is there already", hint="move it away, or edit it")
    write_file(target, f"{read_text(target).rstrip()}\n\n{text}".lstrip())
    return GateRun(None, ExitCode.OK, f"The rules were added to {target}, after its content.\n", "", (target,))
