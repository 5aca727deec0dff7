"""Does a finished audit already answer the question? Then nothing is computed again.

Every byte of the data set is read and compared, and what was skipped is tried again; whatever is not certain (a split
that reads differently, another version of a library) means that the audit is run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from auditor import images, versions
from auditor.config import AuditSettings
from auditor.errors import AuditorError, ResultError
from auditor.result import AuditResult
from auditor.split import SETTLED


def previous(folder: Path, source: str, settings: AuditSettings) -> AuditResult | None:
    """The finished audit in `folder`, if this very audit would give it again; else None."""
    try:
        result = AuditResult.load(folder)
        summary = result.summary
        if (
            summary["settings"] != settings.as_json()
            or summary["versions"] != versions.installed()
            or any(entry["reason"] == images.NOT_FINITE for entry in summary["dataset"]["skipped"])
            or not (folder / "report.html").is_file()
            or not _same_weights(summary, settings)
        ):
            return None
        return result if _same_images(result, source, settings) and _same_reference(summary, settings) else None
    except (ResultError, KeyError, TypeError, AttributeError):
        return None


def _same_weights(summary: dict[str, Any], settings: AuditSettings) -> bool:
    known = summary["model"]["weights_sha256"]
    if settings.weights in ("none", "imagenet"):  # torch checks the checksum of the latter
        return bool(summary["model"]["weights"] == settings.weights)
    path = Path(settings.weights).expanduser()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == known)


def _same_images(result: AuditResult, source: str, settings: AuditSettings) -> bool:
    from auditor.gate.fresh import changes
    from auditor.sources import open_source

    try:
        table = open_source(source, allow_outside=settings.allow_outside, classes=settings.classes)
    except AuditorError:
        return False  # the audit itself says what is wrong
    if changes(result, table):
        return False
    split = dict(zip(result.ranking["path"], result.ranking["split"], strict=True))
    given = zip(table.frame["path"], table.frame["split"], strict=True)
    return all(not now or split.get(path, now) in (now, SETTLED) for path, now in given)


def _same_reference(summary: dict[str, Any], settings: AuditSettings) -> bool:
    if not settings.reference:
        return True
    from auditor.sources import open_source
    from auditor.sources.base import content_hash

    try:
        frame = (table := open_source(settings.reference, allow_outside=settings.allow_outside)).frame
        frame = frame[frame["label"].isin(summary["dataset"]["classes"])]
        hashes = [hashlib.sha256(table.read(path)).hexdigest() for path in frame["path"]]
    except (AuditorError, OSError):
        return False
    return bool(content_hash(frame["path"], hashes, frame["label"]) == summary["reference"]["content_hash"])
