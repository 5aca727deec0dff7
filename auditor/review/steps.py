"""`auditor review sample` and `review certify` on an audit's folder: read, call, write, and say what was done."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.certificate.documents import CertificateDocument
from auditor.certificate.plan import Plan
from auditor.errors import DecisionsError, ResultError
from auditor.result import AuditResult
from auditor.review.certify import CERTIFICATE_NAME, certify, in_words, read_certificate, write_certificate
from auditor.review.documents import SampleDocument
from auditor.review.gathering import gather
from auditor.review.items import items_of
from auditor.review.ledger import Ledger
from auditor.review.plans import ids_of
from auditor.review.sample_file import read_sample, write_sample
from auditor.review.sampling import Wish, draw_sample
from auditor.review.tally import Tally
from auditor.system import files
from auditor.system.text import counted


def draw(out: str | Path, wish: Wish, again: Sequence[str | Path] = (), decisions: Sequence[str | Path] = ()) -> str:
    """Write `sample.json` into an audit's folder; the value says what was drawn.

    Parameters
    ----------
    again
        Decisions whose doubtful items are shown to one more person. They are read, and go nowhere else.
    decisions
        Decisions that are not applied yet. Their items count as looked at, so they are not drawn. They are read, and
        go nowhere else.

    Raises
    ------
    DecisionsError, ConfigError
        See `gathering.gather` and `draw_sample`. Nothing was written.
    ResultError
        `out` holds no finished audit.
    """
    result = AuditResult.load(out)
    gathered = gather(out, result, (*decisions, *again))
    earlier = read_sample(out)
    sample = draw_sample(result, gathered.ledger, wish, earlier)
    path = write_sample(out, sample)
    notes = list(gathered.notes)
    if earlier is not None and earlier["audit_id"] != result.audit_id:
        notes.append("The sample was drawn in an earlier audit of this folder. Its plan goes on.")
    notes += _not_applied(Path(out), result, gathered.ledger)
    later = len(ids_of(sample["plan"]) - ids_of(earlier["plan"] if earlier else gathered.ledger.plan or sample["plan"]))
    if later:
        notes.append(f"Items that came later joined the draw: {later:,}.")
    return "\n".join([_what_was_drawn(path, sample, wish), *notes, _next(Path(out), sample)])


def _not_applied(out: Path, result: AuditResult, ledger: Ledger) -> list[str]:
    """A sentence where the certificate in the folder rests on looks that are neither in the ledger nor named."""
    try:
        certificate = read_certificate(out, result)
    except ResultError:
        return []  # no sample depends on it
    counted_there = 0 if certificate is None else certificate["looks"]["drawn"]
    here = Tally(Plan.from_document(ledger.plan), items_of(result, ledger), ledger).bounds.used if ledger.plan else 0
    if counted_there <= here:
        return []
    return [
        f"{out / CERTIFICATE_NAME} rests on {counted_there:,} drawn looks, and {here:,} of them are applied. Others "
        f"are shown again. To go on behind them, apply them first, or name their files: `auditor review sample {out} "
        "DECISIONS -n N`."
    ]


def _what_was_drawn(path: Path, sample: SampleDocument, wish: Wish) -> str:
    kinds = Counter(item["how"] for item in sample["items"])
    words = {"drawn": "drawn", "known-wrong": "with a label made wrong", "again": "to be looked at again"}
    parts = ", ".join(f"{kinds[how]:,} {word}" for how, word in words.items() if kinds[how]) or "none"  # type: ignore[index]
    plan = Plan.from_document(sample["plan"])
    few = wish.n > kinds["drawn"]
    done = "; all others were looked at" if few else ""
    points = ", ".join(f"{n:,}" for n in plan.checkpoints)
    moments = f"read after {points} looks" if points else "read at any moment"
    shown = f"to look at: {counted(len(sample['items']), 'item', 'items')} ({parts}{done})"
    return f"sample: {path}\n{shown}\ndrawn from: {plan.n:,} items, {moments}"


def _next(out: Path, sample: SampleDocument) -> str:
    if not sample["items"]:
        return "next: `auditor review certify` says what the looks prove"
    return f"next: look at them in the report's Sample tab, export, then auditor review certify {out} DECISIONS"


def _further(out: str | Path, certificate: CertificateDocument, decisions: Sequence[str | Path]) -> list[str]:
    """The commands that go on from a certificate: more looks, and the corrections."""
    looks = next((row["looks"] for row in certificate["next"] if row["looks"] is not None), None)
    named = " ".join([shlex.quote(str(out)), *(shlex.quote(str(path)) for path in decisions)])
    steps = [] if looks is None else [f"auditor review sample {named} -n {looks} draws the next items"]
    steps += [f"auditor review apply {named} brings the decisions into the data"] if decisions else []
    return [f"next: {'; '.join(steps)}"] if steps else []


@dataclass(frozen=True)
class Certified:
    """A certificate with its JSON, and the same in words for a terminal."""

    certificate: CertificateDocument
    json: str
    text: str


def certify_files(
    out: str | Path, decisions: Sequence[str | Path] = (), json_file: str | Path | None = None
) -> Certified:
    """Certify what an audit's ledger and reviewers' files prove, and write `certificate.json` into the audit's folder.

    Parameters
    ----------
    json_file
        Another file that gets the certificate. "-" writes none: the caller prints `Certified.json`.

    Raises
    ------
    DecisionsError
        See `gathering.gather` and `certify`. Nothing was written.
    ResultError
        `out` holds no finished audit.
    """
    result = AuditResult.load(out)
    gathered = gather(out, result, decisions)
    certificate = certify(result, gathered.ledger)
    data = files.json_bytes(certificate)
    if json_file is not None and str(json_file) != "-":
        target = Path(json_file)
        if not target.parent.is_dir():
            raise DecisionsError(
                f"there is no folder {target.parent}", hint="make it, or name another file with --json"
            )
        files.write_bytes(target, data)
    write_certificate(out, certificate)
    said = [in_words(certificate), *gathered.notes, *certificate["notes"], certificate["assumptions"][0]]
    text = "\n".join([*said, *_further(out, certificate, decisions)])
    return Certified(certificate, data.decode("utf-8"), text)
