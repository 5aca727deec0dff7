"""`auditor review apply`: a reviewer's decisions back into the data, as a cleaned data set and a baseline for the gate.

The original data set is read, never written. The decisions are applied all together or not at all: if one of them is
malformed or stale, or conflicts with another, nothing is written.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.data.reopening import reopen
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.baseline import Baseline
from auditor.review.cleaned import BASELINE_NAME, images_that_stay, place, read_again, target_names, write_manifest
from auditor.review.decisions import Decision, load_decisions, with_decisions
from auditor.review.documents import REVIEW_KIND, SCHEMA_VERSION, ReviewCounts, ReviewMark
from auditor.review.folder import REVIEW_MARK, alone, check_folder, check_folder_content, exchange_folders, put_aside
from auditor.sources.base import ImageTable
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
    counts
        Images by what became of them.
    text
        All this in words.
    """

    folder: Path
    data: Path
    baseline: Path
    counts: ReviewCounts
    text: str


def apply(
    out: str | Path,
    decisions_path: str | Path,
    *,
    output: str | Path | None = None,
    format: str = "manifest",
    source: str | None = None,
) -> Applied:
    """Write the cleaned data set, the baseline and `review.json`.

    Parameters
    ----------
    out
        The folder of the audit that was reviewed.
    decisions_path
        The file that its report exported.
    output
        The folder to write, by default `reviewed` in `out`. If an earlier call wrote it, it is replaced, and its
        baseline goes on in the new one. Any other folder must be empty or new.
    format
        "manifest" writes `cleaned.csv` (path, label, split), with the images beside it under their own paths. "folder"
        writes a tree of `split/label/image`. Images are hard links if the file system allows it, else copies.
    source
        The data set, if it no longer lies where the audit found it.

    Raises
    ------
    DecisionsError
        See `load_decisions`. Or an image is not the one that was judged. Or `output` holds other files, or lies inside
        the data set. Nothing was written.
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
    decisions = load_decisions(decisions_path, result)
    table = reopen(result, source=source or "", out=out)
    folder = Path(output) if output is not None else Path(out) / "reviewed"
    check_folder(folder, Path(table.source))
    with alone(folder) as drafts:
        check_folder_content(folder)
        return _Review(result, decisions, table, format).write(folder, drafts)


@dataclass(frozen=True)
class _Review:
    """Checked decisions about an audit, and the data set as it is now."""

    result: AuditResult
    decisions: Sequence[Decision]
    table: ImageTable
    format: str

    def write(self, folder: Path, drafts: str) -> Applied:
        """Put the cleaned data set in the place of `folder`, whole or not at all.

        Names that begin with `drafts`, in the folder above, are ours.
        """
        for decision in self.decisions:
            self._check_content(decision)
        images = images_that_stay(self.result, self.decisions)
        targets = target_names(images, self.format)
        earlier = folder / BASELINE_NAME
        baseline = with_decisions(Baseline.load(earlier) if earlier.exists() else Baseline(), self.decisions)
        counts = self._counts(len(images))
        staged = None
        try:
            staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=drafts))
            for image, target in zip(images, targets, strict=True):
                place(self.table, image.path, staged / target)
            name = write_manifest(staged, images, targets) if self.format == "manifest" else ""
            baseline.save(staged / BASELINE_NAME)
            files.write_json(staged / REVIEW_MARK, self._mark(counts, len(images) + 2 + bool(name)))
            staged.chmod(0o755)
            exchange_folders(staged, folder, put_aside(folder, drafts))
        except BaseException as error:
            if staged is not None:
                shutil.rmtree(staged, ignore_errors=True)
            if isinstance(error, OSError):
                error.filename = str(folder)  # the user knows this name, and never sees the draft's
            raise
        data = folder / name if name else folder
        return Applied(folder, data, earlier, counts, _in_words(counts, data, earlier))

    def _check_content(self, decision: Decision) -> None:
        if hashlib.sha256(read_again(self.table, decision.path)).hexdigest() != decision.hash:
            raise DecisionsError(
                f"{decision.path} has changed since the audit", hint="audit the data set again and review this image"
            )

    def _counts(self, written: int) -> ReviewCounts:
        said = Counter(decision.decision for decision in self.decisions)
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


def _in_words(counts: ReviewCounts, data: Path, baseline: Path) -> str:
    return (
        f"{counts['kept']:,} kept, {counts['relabelled']:,} relabelled, {counts['dropped']:,} dropped, "
        f"{counts['unsure']:,} unsure; {counts['not_reviewed']:,} not reviewed.\n"
        f"cleaned data set: {data} ({counts['written']:,} images)\n"
        f"baseline: {baseline}\n"
        f"next: auditor audit {data} -o OUT2 --compare OUT, and auditor gate OUT2 --baseline {baseline}"
    )
