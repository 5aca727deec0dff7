"""The contract between an audit and its readers. Report, gate and review read this, and nothing else of an audit.

`AuditResult` holds what an audit found. `documents`, `figures` and `evidence` type its JSON files, key by key.
"""

from __future__ import annotations

from auditor.result.audit import PLANTED_COLUMNS, RANKING_COLUMNS, SCHEMA_VERSION, AuditResult, complete_result
from auditor.result.documents import AuditDocument
from auditor.result.evidence import EvidenceDocument

__all__ = [
    "PLANTED_COLUMNS",
    "RANKING_COLUMNS",
    "SCHEMA_VERSION",
    "AuditDocument",
    "AuditResult",
    "EvidenceDocument",
    "complete_result",
]
