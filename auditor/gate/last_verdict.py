"""The gate's last verdict about an audit, kept beside the audit so that the report can show it.

No judgement depends on it. Where it cannot be written nothing fails. Where it does not fit the audit it is ignored.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, cast

from auditor.errors import ResultError
from auditor.gate.documents import KIND, SCHEMA_VERSION, VerdictDocument
from auditor.gate.verdict import Judgement, Verdict
from auditor.result import AuditResult
from auditor.system import files
from auditor.system.documents import read_document
from auditor.system.ownership import MARKS, is_ours

NAME = "verdict.json"


def keep(verdict: Verdict, folder: str | Path) -> None:
    """Write the verdict into the audit's folder, if that can be written to and nobody else's file is in its place."""
    path = Path(folder) / NAME
    if is_ours(path, MARKS[NAME]):
        with contextlib.suppress(OSError):
            files.write_text(path, verdict.to_json())


def is_shown(verdict: Verdict | None, folder: Path, result: AuditResult, report: Path) -> bool:
    """Whether a report is younger than its audit and shows this verdict; None stands for the last one."""
    if verdict is not None and kept(folder, result) != json.loads(verdict.to_json()):
        return False
    try:
        others = (folder / name for name in (NAME, "sample.json", "certificate.json"))
        shown = [folder / "audit.json", *(path for path in others if path.exists())]
        return all(report.stat().st_mtime_ns >= path.stat().st_mtime_ns for path in shown)
    except OSError:
        return False


def kept(folder: str | Path, result: AuditResult) -> VerdictDocument | None:
    """The verdict that lies in the folder of `result`, or None where none fits that audit."""
    path = Path(folder) / NAME
    try:
        document = read_document(path, kind=KIND, version=SCHEMA_VERSION, error=ResultError, what="verdict")
    except ResultError:
        return None
    return cast(VerdictDocument, document) if _fits(document, result.audit_id) else None


def _fits(document: dict[str, Any], audit_id: str) -> bool:
    """Whether a verdict is about this audit and has everything that the report reads."""
    rules = document.get("rules")
    return (
        document.get("audit_id") == audit_id
        and _judged(document)
        and isinstance(rules, list)
        and all(isinstance(r, dict) and _judged(r) and _texts(r, "rule", "message") for r in rules)
    )


def _judged(part: dict[str, Any]) -> bool:
    return part.get("verdict") in list(Judgement)


def _texts(part: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(part.get(key), str) for key in keys)
