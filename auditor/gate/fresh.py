"""Is a result still about the data as it lies there now? `--strict-fresh` reads every image file's bytes to know."""

from __future__ import annotations

import hashlib
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
    """Paths by what happened to them since the audit, each sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.relabelled)


def changes(result: AuditResult, table: Any) -> Changes:
    """Compare an audit with its data set as it is now.

    Parameters
    ----------
    result
        The audit.
    table
        The source opened again, an `auditor.sources.base.ImageTable`. Only bytes are read, no image is decoded.
        Entries that the audit skipped are not looked at again.
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
    )


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
            ("under another label", found.relabelled),
        )  # fmt: skip
        listed = "; ".join(f"{len(p)} {kind}, such as {plain(p[0])}" for kind, p in kinds if p)
        raise ResultError(f"the audit is older than its data set {plain(source)}: {listed}", hint="run the audit again")


def _hash(table: Any, path: str) -> str:
    try:
        return hashlib.sha256(table.read(path)).hexdigest()
    except OSError:
        return ""
