"""The gate's last verdict about an audit, kept beside it so that the report can show it.

It is a convenience, never an input of a judgement: where it cannot be written nothing fails, and where it does not fit
the audit it is as if there were none.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from auditor.gate.verdict import VERDICT_SCHEMA_VERSION, Judgement, Verdict
from auditor.result import AuditResult
from auditor.system import files
from auditor.system.files import read_text

NAME = "verdict.json"


def keep(verdict: Verdict, folder: str | Path) -> None:
    """Write the verdict into the audit's folder, if that can be written to."""
    with contextlib.suppress(OSError):
        files.write_text(Path(folder) / NAME, verdict.to_json())


def is_shown(verdict: Verdict | None, folder: Path, result: AuditResult, report: Path) -> bool:
    """Whether a report is younger than its audit and shows this verdict (the last one, where there is no new one)."""
    if verdict is not None and kept(folder, result) != json.loads(verdict.to_json()):
        return False
    try:
        shown = [folder / "audit.json", *(path for path in (folder / NAME,) if path.exists())]
        return all(report.stat().st_mtime_ns >= path.stat().st_mtime_ns for path in shown)
    except OSError:
        return False


def kept(folder: str | Path, result: AuditResult) -> dict[str, Any] | None:
    """The verdict's JSON document that lies in the folder of `result`, or None where none fits that audit."""
    try:
        document = json.loads(read_text(Path(folder) / NAME))
    except (OSError, ValueError, RecursionError):
        return None
    return document if _fits(document, result.audit_id) else None


def _fits(document: Any, audit_id: str) -> bool:
    if not isinstance(document, dict) or document.get("kind") != "auditor-verdict":
        return False
    if document.get("schema_version") != VERDICT_SCHEMA_VERSION or document.get("audit_id") != audit_id:
        return False
    rules = document.get("rules")
    return (
        _judged(document)
        and isinstance(rules, list)
        and all(isinstance(r, dict) and _judged(r) and _texts(r, "rule", "message") for r in rules)
    )


def _judged(part: dict[str, Any]) -> bool:
    return part.get("verdict") in list(Judgement)


def _texts(part: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(part.get(key), str) for key in keys)
