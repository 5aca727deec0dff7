"""`--output json`: the whole verdict, in the form of `verdict.schema.json` beside this file."""

from __future__ import annotations

from auditor.gate.verdict import Verdict
from auditor.result import AuditResult

name = "json"


def render(verdict: Verdict, result: AuditResult) -> str:
    """The verdict's own JSON."""
    return verdict.to_json()
