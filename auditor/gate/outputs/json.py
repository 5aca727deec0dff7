"""`--output json`: the whole verdict, as `verdict.schema.json` beside this file defines it."""

from __future__ import annotations

from auditor.gate.verdict import Verdict
from auditor.result import AuditResult

name = "json"


def render(verdict: Verdict, result: AuditResult) -> str:
    """The verdict's own JSON."""
    return verdict.to_json()
