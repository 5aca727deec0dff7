"""Is a result still about the data as it lies there now? `--strict-fresh` reads every image file's bytes to know."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from auditor.errors import ResultError
from auditor.gate.evaluate import complete_result
from auditor.gate.text import plain
from auditor.result import AuditResult


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
    from auditor.images import NOT_FINITE

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
    from auditor import images

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
            ("new", found.added), ("gone", found.removed), ("changed", found.changed),
            ("under another label", found.relabelled), ("left out otherwise than then", found.skipped),
        )  # fmt: skip
        listed = "; ".join(f"{len(p)} {kind}, such as {plain(p[0])}" for kind, p in kinds if p)
        raise ResultError(f"the audit is older than its data set {plain(source)}: {listed}", hint="run the audit again")


def _hash(table: Any, path: str) -> str:
    try:
        return hashlib.sha256(table.read(path)).hexdigest()
    except OSError:
        return ""
