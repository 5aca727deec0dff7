"""The folder of decisions beside an audit: one file for each reviewer. `auditor review apply` takes them all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from auditor.review.decisions import Decision
from auditor.review.documents import DECISIONS_KIND, SCHEMA_VERSION, DecisionEntry, DecisionsDocument

FOLDER = "decisions"
"""The folder below an audit's that holds the files."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")


def file_name(reviewer: str) -> str:
    """The name of a reviewer's file. Names that differ have files that differ, on disks that know no capitals too."""
    if not reviewer:
        return "unnamed.json"
    if _PLAIN.match(reviewer) and reviewer != "unnamed":
        return f"{reviewer}.json"
    readable = re.sub(r"[^a-z0-9]+", "-", reviewer.lower()).strip("-")[:30]
    digest = hashlib.sha256(reviewer.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable or 'reviewer'}-{digest}.json"


def document(audit_id: str, reviewer: str, decisions: Iterable[Decision]) -> DecisionsDocument:
    """A reviewer's file of decisions."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": DECISIONS_KIND,
        "audit_id": audit_id,
        "reviewer": reviewer,
        "decisions": [entry(decision) for decision in decisions],
    }


def entry(decision: Decision) -> DecisionEntry:
    """A decision as a file holds it."""
    return {
        "path": decision.path,
        "hash": decision.hash,
        "label": decision.label,
        "decision": decision.decision,
        "new_label": decision.new_label,
        "time": decision.time,
        "how": decision.how,
    }
