"""Files for the tests of a review: an audit with real images behind it, and a reviewer's decisions about it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from auditor.result import AuditResult


def with_files(folder: Path, result: AuditResult) -> AuditResult:
    """The result with a real data set behind it: every image is a small file of its own."""
    hashes = {}
    for path in result.ranking["path"]:
        content = b"image " + path.encode()
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        hashes[path] = hashlib.sha256(content).hexdigest()
    data = {**result.summary["dataset"], "source": str(folder), "hashes": hashes}
    return dataclasses.replace(result, summary={**result.summary, "dataset": data})


def saved(folder: Path, result: AuditResult) -> AuditResult:
    """The result with its files in `data`, saved in `out`."""
    result = with_files(folder / "data", result)
    (folder / "out").mkdir()
    result.save(folder / "out")
    return result


def other_class(result: AuditResult, row: int) -> str:
    """A class that is not the given label."""
    return next(c for c in result.classes if c != result.ranking["label"].iloc[row])


def decision(
    result: AuditResult, row: int, kind: str, new_label: str | None = None, /, **changes: Any
) -> dict[str, Any]:
    """A decision about a row of the ranking, as the page writes it."""
    path, label = result.ranking["path"].iloc[row], result.ranking["label"].iloc[row]
    entry = {
        "path": path,
        "hash": result.summary["dataset"]["hashes"][path],
        "label": label,
        "decision": kind,
        "new_label": new_label,
        "time": "2026-03-04T05:06:07.000Z",
    }
    return {**entry, **changes}


def decisions_document(result: AuditResult, entries: object, /, **changes: Any) -> dict[str, Any]:
    """What the page exports."""
    document = {
        "schema_version": 1,
        "kind": "auditor-decisions",
        "audit_id": result.audit_id,
        "decisions": entries,
    }
    return {**document, **changes}


def looks_at(result: AuditResult, items: Any, truth: dict[str, str]) -> list[dict[str, Any]]:
    """Decisions of a reviewer who is always right, about items of a sample."""
    rows = {path: row for row, path in enumerate(result.ranking["path"])}
    found = []
    for item in items:
        path, right = item["path"], truth[item["path"]]
        said: tuple[str, str | None] = ("keep", None) if right == item["label"] else ("relabel", right)
        found.append(decision(result, rows[path], *said, how=item["how"], label=item["label"]))
    return found


def by_rank(result: AuditResult, n: int, truth: dict[str, str]) -> list[dict[str, Any]]:
    """Decisions of a reviewer who is always right, about the first `n` of the list."""
    rows = result.ranking.head(n)
    items = [{"path": p, "label": label, "how": "rank"} for p, label in zip(rows["path"], rows["label"], strict=True)]
    return looks_at(result, items, truth)


def written(path: Path, result: AuditResult, entries: object, /, **changes: Any) -> Path:
    """A decisions file."""
    path.write_text(json.dumps(decisions_document(result, entries, **changes)), encoding="utf-8")
    return path
