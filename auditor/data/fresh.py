"""Does a finished audit already answer the question? Then nothing is computed again.

Every byte of the data set is read and compared, and what was skipped is tried again; whatever is not certain (a split
that reads differently, another version of a library) means that the audit is run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from auditor.config import AuditSettings
from auditor.data import images
from auditor.errors import AuditorError, ResultError
from auditor.result import AuditDocument, AuditResult, complete_result
from auditor.sources.base import SETTLED
from auditor.system import versions
from auditor.system.text import plain


def previous(folder: Path, source: str, settings: AuditSettings) -> AuditResult | None:
    """The finished audit in `folder`, if this very audit would give it again; else None."""
    try:
        result = AuditResult.load(folder)
        summary = result.summary
        if (
            result.settings != settings.as_json()
            or summary["versions"] != versions.installed()
            or any(entry["reason"] == images.NOT_FINITE for entry in summary["dataset"]["skipped"])
            or not (folder / "report.html").is_file()
            or not _same_weights(summary, settings)
        ):
            return None
        return result if _same_images(result, source, settings) and _same_reference(summary, settings) else None
    except (ResultError, KeyError, TypeError, AttributeError):
        return None


def _same_weights(summary: AuditDocument, settings: AuditSettings) -> bool:
    known = summary["model"]["weights_sha256"]
    if settings.weights in ("none", "imagenet"):  # torch checks the checksum of the latter
        return bool(summary["model"]["weights"] == settings.weights)
    path = Path(settings.weights).expanduser()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == known)


def _same_images(result: AuditResult, source: str, settings: AuditSettings) -> bool:
    from auditor.data.fresh import changes
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


def _same_reference(summary: AuditDocument, settings: AuditSettings) -> bool:
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


@dataclass(frozen=True)
class Changes:
    """Paths by what happened to them since the audit, each sorted; `skipped` are left out otherwise than then."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.relabelled or self.skipped)


def changes(result: AuditResult, table: Any) -> Changes:
    """Compare an audit with its data set as it is now.

    Parameters
    ----------
    result
        The audit.
    table
        The source opened again, an `auditor.sources.base.ImageTable`. Of images that were audited only the bytes are
        read; those that were skipped are tried again, for only their reason is known.
    """
    audited: dict[str, str] = result.summary["dataset"]["hashes"]
    labels = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
    skipped = {entry["path"] for entry in result.summary["dataset"]["skipped"]}
    classes = set(result.summary["settings"]["classes"])
    now = {
        path: label
        for path, label in zip(table.frame["path"], table.frame["label"], strict=True)
        if path not in skipped and (not classes or label in classes or path in audited)
    }
    both = sorted(audited.keys() & now.keys())
    return Changes(
        added=tuple(sorted(now.keys() - audited.keys())),
        removed=tuple(sorted(audited.keys() - now.keys())),
        changed=tuple(path for path in both if _hash(table, path) != audited[path]),
        relabelled=tuple(path for path in both if path in labels and labels[path] != now[path]),
        skipped=_skipped_otherwise(result, table, skipped),
    )


def _skipped_otherwise(result: AuditResult, table: Any, skipped: set[str]) -> tuple[str, ...]:
    """Entries that are left out now for another reason than in the audit, or only now, or no more."""
    then = Counter((entry["path"], entry["reason"]) for entry in result.summary["dataset"]["skipped"])
    now = Counter((entry.path, entry.reason) for entry in table.skipped)
    if then == now:  # nothing was unreadable
        return ()
    from auditor.data.images import NOT_FINITE

    settings, size = result.summary["settings"], int(result.summary["model"]["image_size"])
    for path in table.frame["path"]:
        if path in skipped:
            reason = _reason(table, path, int(settings["max_pixels"]), size, settings["preset"] == "study")
            if not reason and (path, NOT_FINITE) in then:  # only the backbone could tell
                reason = NOT_FINITE
            now[path, reason] += 1
    return tuple(sorted({path for path, _ in (then - now) + (now - then)}))


def _reason(table: Any, path: str, max_pixels: int, size: int, study: bool) -> str:
    """Why an image would be skipped today; empty where it would not."""
    from auditor.data import images

    try:
        image = images.decode(table.read(path), max_pixels=max_pixels, target=size)
    except images.UnreadableImage as error:
        return error.message
    except OSError as error:
        return images.why_unread(error)
    return images.GREY_DROPPED if study and images.is_greyscale(image) else ""


def require_fresh(result: AuditResult, open_source: Callable[[str], Any] | None = None) -> None:
    """Raise `ResultError`, naming examples, unless the data set is what was audited.

    `open_source` turns the source as the user wrote it into an `ImageTable`; `auditor.sources.open_source` by default.
    """
    if open_source is None:
        from auditor.sources import open_source as opener

        with complete_result():
            settings = result.summary["settings"]
            outside, classes = bool(settings.get("allow_outside")), tuple(settings.get("classes", ()))
        open_source = partial(opener, allow_outside=outside, classes=classes)
    with complete_result():
        source = str(result.summary["dataset"]["source"])
    table = open_source(source)
    with complete_result():
        found = changes(result, table)
    if found:
        kinds = (
            ("new", found.added),
            ("gone", found.removed),
            ("changed", found.changed),
            ("under another label", found.relabelled),
            ("left out otherwise than then", found.skipped),
        )
        listed = "; ".join(f"{len(p)} {kind}, such as {plain(p[0])}" for kind, p in kinds if p)
        raise ResultError(f"the audit is older than its data set {plain(source)}: {listed}", hint="run the audit again")


def _hash(table: Any, path: str) -> str:
    try:
        return hashlib.sha256(table.read(path)).hexdigest()
    except OSError:
        return ""
