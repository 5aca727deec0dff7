"""Certificates that no looks stand behind, for tests of what shows them."""

from __future__ import annotations

from typing import Any

from auditor.result import AuditResult


def proven(value: float, low: float, high: float, most: float, n: int = 200) -> dict[str, Any]:
    """A share as a certificate has it."""
    return {
        "value": value,
        "interval": [low, high],
        "at_least": low,
        "at_most": most,
        "count": value * n,
        "count_interval": [low * n, high * n],
        "count_at_least": low * n,
        "count_at_most": most * n,
    }


def certificate(result: AuditResult, *, applied: bool = True, **changes: Any) -> dict[str, Any]:
    """A certificate of 340 looks about an audit of 200 items. `applied`: its corrections are made."""
    remaining = proven(0.002, 0.0, 0.0101, 0.0079)
    return {
        "schema_version": 1,
        "kind": "auditor-certificate",
        "audit_id": result.audit_id,
        "content_hash": result.summary["dataset"]["content_hash"],
        "n": 200,
        "confidence": 0.95,
        "reading": "betting",
        "share": proven(0.04, 0.03, 0.052, 0.05),
        "remaining": remaining,
        "today": remaining if applied else proven(0.04, 0.03, 0.052, 0.05),
        "by_class": [{"label": "boats", "n": 100, "looks": 60, "share": proven(0.03, 0.01, 0.06, 0.055)}],
        "looks": {
            "drawn": 300,
            "drawn_beyond": 2,
            "listed": 40,
            "wrong": 3,
            "undecided": 1,
            "second": 3,
            "known_wrong": 10,
            "known_wrong_found": 9,
            "changed": 4,
        },
        "next": [
            {"target": 0.005, "looks": 210, "likely": 480},
            {"target": 0.001, "looks": 2000, "likely": None},
        ],
        "method": "m",
        "assumptions": ["Reviewers name a wrong label when they see one."],
        "notes": ["Four items are new."],
        **changes,
    }
