"""`auditor review sample` and `review certify` on an audit's folder: read, call, write, and say what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.certificate.documents import CertificateDocument
from auditor.certificate.plan import Plan
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.certify import certify, in_words, write_certificate
from auditor.review.documents import SampleDocument
from auditor.review.gathering import gather
from auditor.review.plans import ids_of
from auditor.review.sample_file import read_sample, write_sample
from auditor.review.sampling import Wish, draw_sample
from auditor.system import files
from auditor.system.text import counted


def draw(out: str | Path, wish: Wish, again: Sequence[str | Path] = ()) -> str:
    """Write `sample.json` into an audit's folder; the value says what was drawn.

    Parameters
    ----------
    again
        Decisions whose doubtful items are shown to one more person. They are read, and go nowhere else.

    Raises
    ------
    DecisionsError, ConfigError
        See `gathering.gather` and `draw_sample`. Nothing was written.
    ResultError
        `out` holds no finished audit.
    """
    result = AuditResult.load(out)
    gathered = gather(out, result, again)
    earlier = read_sample(out)
    sample = draw_sample(result, gathered.ledger, wish, earlier)
    path = write_sample(out, sample)
    notes = list(gathered.notes)
    if earlier is not None and earlier["audit_id"] != result.audit_id:
        notes.append("The sample was drawn in an earlier audit of this folder. Its plan goes on.")
    later = len(ids_of(sample["plan"]) - ids_of(earlier["plan"] if earlier else gathered.ledger.plan or sample["plan"]))
    if later:
        notes.append(f"Items that came later joined the draw: {later:,}.")
    return "\n".join([_what_was_drawn(path, sample, wish), *notes, _next(Path(out), sample)])


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
    return f"next: auditor report {out} shows them; then auditor review certify {out} DECISIONS"


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
    text = "\n".join([in_words(certificate), *gathered.notes, *certificate["notes"], certificate["assumptions"][0]])
    return Certified(certificate, data.decode("utf-8"), text)
