"""`auditor review apply`: reviewers' decisions back into the data, with a baseline, a ledger and a certificate.

The original data set is read, never written. The decisions are applied all together or not at all: if one of them is
malformed or stale, or conflicts with another of the same file, nothing is written. Where reviewers do not agree, the
image keeps its given label and is named.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.certificate.documents import CertificateDocument
from auditor.data.reopening import reopen
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.result.nouns import Noun
from auditor.review.baseline import Baseline
from auditor.review.certify import CERTIFICATE_NAME, certify, certify_items, in_words
from auditor.review.cleaned import (
    BASELINE_NAME,
    CleanedImage,
    images_that_stay,
    read_again,
)
from auditor.review.decisions import Decision, with_decisions
from auditor.review.documents import REVIEW_KIND, SCHEMA_VERSION, ReviewCounts, ReviewMark
from auditor.review.exchange import exchange_folders
from auditor.review.folder import REVIEW_MARK, alone, check_folder, check_folder_content
from auditor.review.gathering import Gathered, gather
from auditor.review.items import Item, items_of
from auditor.review.ledger import LEDGER_NAME
from auditor.review.outcome import Outcome, outcome
from auditor.review.written import Written, held_by_a_program, write_cleaned
from auditor.sources.base import IN_MEMORY, ImageTable, content_hash
from auditor.system import files

FORMATS = ("manifest", "folder")


@dataclass(frozen=True)
class Applied:
    """What `apply` wrote.

    Attributes
    ----------
    folder
        The folder that holds everything.
    data
        The SOURCE for the next audit: a manifest, or the folder itself.
    baseline
        The baseline file.
    ledger
        The ledger: all looks, of this review and of earlier ones.
    certificate
        What the looks prove of the cleaned data; None where no drawn item was looked at.
    counts
        Images by what became of them.
    text
        All this in words.
    """

    folder: Path
    data: Path
    baseline: Path
    ledger: Path
    certificate: CertificateDocument | None
    counts: ReviewCounts
    text: str


def apply(
    out: str | Path,
    decisions: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    format: str = "manifest",
    source: str | None = None,
) -> Applied:
    """Write the cleaned data set, the baseline, the ledger and `review.json`; where a sample was drawn, certificates.

    Parameters
    ----------
    out
        The folder of the audit that was reviewed.
    decisions
        The file that its report exported, or those of several reviewers.
    output
        The folder to write, by default `reviewed` in `out`. If an earlier call wrote it, it is replaced, and its
        baseline and its ledger go on in the new one. Any other folder must be empty or new. The ledger in `out` is
        extended too.
    format
        "manifest" writes `cleaned.csv` (path, label, split), with the images beside it under their own paths. "folder"
        writes a tree of `split/label/image`. Images are hard links if the file system allows it, else copies. A
        manifest of texts or rows, or one with features of the user's beside it, is written in its own format.
    source
        The data set, if it no longer lies where the audit found it.

    Raises
    ------
    DecisionsError
        See `gathering.gather`. Or an image is not the one that was judged. Or `output` holds other files, or lies
        inside the data set. Nothing was written.
    LockedError
        Another call is writing to `output`.
    ConfigError
        The folder above `output` cannot be written to.
    SourceError
        The data set cannot be opened.
    ResultError
        `out` holds no finished audit.
    """
    if format not in FORMATS:
        raise DecisionsError(f"unknown format {format!r}", hint=f"use one of {', '.join(FORMATS)}")
    result = AuditResult.load(out)
    paths = [decisions] if isinstance(decisions, str | Path) else list(decisions)
    table = None if held_by_a_program(result) and not source else reopen(result, source=source or "", out=out)
    folder = Path(output) if output is not None else Path(out) / "reviewed"
    check_folder(folder, Path(IN_MEMORY if table is None else table.source))
    with alone(folder) as drafts:
        check_folder_content(folder)
        earlier = folder / LEDGER_NAME
        gathered = gather(out, result, paths, earlier if earlier.exists() else folder / BASELINE_NAME)
        items = items_of(result, gathered.ledger)
        said = outcome(items, gathered.reviews)
        return _Review(Path(out), result, gathered, items, said, table, format).write(folder, drafts)


@dataclass(frozen=True)
class _Review:
    """What reviewers said of an audit, what becomes of its images, and the data set as it is now."""

    out: Path
    result: AuditResult
    gathered: Gathered
    items: Sequence[Item]
    outcome: Outcome
    table: ImageTable | None
    format: str

    def write(self, folder: Path, drafts: str) -> Applied:
        """Put the cleaned data set in the place of `folder`, whole or not at all.

        Names that begin with `drafts`, in the folder above, are ours.
        """
        for review in self.gathered.reviews:
            for decision in review.decisions:
                self._check_content(decision)
        noun = self.result.noun
        with noun.told():
            images = images_that_stay(self.result, self.outcome.decisions)
        counts = self._counts(len(images))
        staged = None
        try:
            staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=drafts))
            cleaned = write_cleaned(staged, self.result, self.table, images, self.format)
            certificate = self._certificate(images, cleaned.targets)
            self._baseline(folder / BASELINE_NAME).save(staged / BASELINE_NAME)
            self.gathered.ledger.save(staged / LEDGER_NAME)
            if certificate is not None:
                files.write_json(staged / CERTIFICATE_NAME, certificate)
            n_files = cleaned.n_files + 3 + (certificate is not None)
            files.write_json(staged / REVIEW_MARK, self._mark(counts, n_files))
            staged.chmod(0o755)
            notes = self._extend_out()
            exchange_folders(staged, folder, drafts, REVIEW_MARK)
        except BaseException as error:
            if staged is not None:
                shutil.rmtree(staged, ignore_errors=True)
            if isinstance(error, OSError):
                error.filename = str(folder)  # the user knows this name, and never sees the draft's
            raise
        data = folder / cleaned.name if cleaned.name else folder
        text = "\n".join(
            [
                _in_words(counts, data, folder, noun),
                *filter(None, (self.outcome.in_words(noun), *self.gathered.notes, *notes)),
                *([] if certificate is None else [in_words(certificate)]),
                self._next(data, cleaned, folder),
            ]
        )
        return Applied(folder, data, folder / BASELINE_NAME, folder / LEDGER_NAME, certificate, counts, text)

    def _next(self, data: Path, cleaned: Written, folder: Path) -> str:
        gate = f"auditor gate OUT2 --baseline {folder / BASELINE_NAME}"
        if self.table is None:
            return f"next: take the labels of {data} into your program and audit again, then {gate}"
        return f"next: auditor audit {data}{cleaned.choice}{cleaned.options} -o OUT2 --compare {self.out}, and {gate}"

    def _baseline(self, earlier: Path) -> Baseline:
        """The earlier baseline, extended by what the files' images came to."""
        judged = {decision.path for review in self.gathered.reviews for decision in review.decisions}
        now = [decision for decision in self.outcome.decisions if decision.path in judged]
        return with_decisions(Baseline.load(earlier) if earlier.exists() else Baseline(), now)

    def _certificate(self, images: Sequence[CleanedImage], targets: Sequence[str]) -> CertificateDocument | None:
        """What the looks prove of the cleaned data; None where no drawn item was looked at."""
        ledger = self.gathered.ledger
        if ledger.plan is None:
            return None
        old = {item.path: item for item in self.items}
        items = []
        for image in images:
            item = old[image.path]
            first, standing = ledger.first_label(item.hash, image.label), ledger.standing(item.hash, image.label)
            items.append(replace(item, label=image.label, first_label=first, standing=standing))
        order = sorted(range(len(images)), key=targets.__getitem__)
        content = content_hash(
            [targets[i] for i in order], [items[i].hash for i in order], [items[i].label for i in order]
        )
        return certify_items(self.result.audit_id, content, items, ledger)

    def _extend_out(self) -> list[str]:
        """Write ledger and certificate into the audit's folder; a sentence where nothing can be written there."""
        ledger = self.gathered.ledger
        contents = {self.out / LEDGER_NAME: ledger.to_text().encode("utf-8")}
        if ledger.plan is not None:
            contents[self.out / CERTIFICATE_NAME] = files.json_bytes(certify(self.result, ledger))
        try:
            for path, data in contents.items():
                files.write_bytes(path, data)
        except OSError as error:
            return [f"Nothing could be written into {self.out} ({files.reason(error)}): its ledger is as it was."]
        return []

    def _check_content(self, decision: Decision) -> None:
        if self.table is None:
            return
        if hashlib.sha256(read_again(self.table, decision.path)).hexdigest() != decision.hash:
            raise DecisionsError(
                f"{decision.path} has changed since the audit",
                hint=f"audit the data set again and review this {self.result.noun.one}",
            )

    def _counts(self, written: int) -> ReviewCounts:
        said = Counter(decision.decision for decision in self.outcome.decisions)
        return {
            "kept": said["keep"],
            "relabelled": said["relabel"],
            "dropped": said["drop"],
            "unsure": said["unsure"],
            "not_reviewed": len(self.result.ranking) - said.total(),
            "written": written,
        }

    def _mark(self, counts: ReviewCounts, n_files: int) -> ReviewMark:
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": REVIEW_KIND,
            "audit_id": self.result.audit_id,
            "format": self.format,
            "counts": counts,
            "files": n_files,
        }


def _in_words(counts: ReviewCounts, data: Path, folder: Path, noun: Noun) -> str:
    return (
        f"{counts['kept']:,} kept, {counts['relabelled']:,} relabelled, {counts['dropped']:,} dropped, "
        f"{counts['unsure']:,} unsure; {counts['not_reviewed']:,} not reviewed.\n"
        f"cleaned data set: {data} ({noun.count(counts['written'])})\n"
        f"baseline: {folder / BASELINE_NAME}\n"
        f"ledger: {folder / LEDGER_NAME}"
    )
