"""The contract between an audit and its readers: report, gate and review read this, and nothing else of an audit.

`AuditResult` holds what an audit found. `documents` types what its JSON files hold, key by key.
"""

from __future__ import annotations

from auditor.result.audit import PLANTED_COLUMNS, RANKING_COLUMNS, SCHEMA_VERSION, AuditResult, complete_result
from auditor.result.documents import AuditDocument, EvidenceDocument

__all__ = [
    "PLANTED_COLUMNS",
    "RANKING_COLUMNS",
    "SCHEMA_VERSION",
    "AuditDocument",
    "AuditResult",
    "EvidenceDocument",
    "complete_result",
]
