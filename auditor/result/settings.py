"""Settings of audits that earlier versions made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.config import DEFAULT_BACKBONE

ADDED: Mapping[str, Any] = {
    **dict.fromkeys(("ledger", "root", "columns", "kind", "label", "features", "probabilities"), ""),
    "backbone": DEFAULT_BACKBONE,
    "group_columns": [],
    "mirror": False,
    "rank_by": "suspicion",
}
"""Settings that earlier versions did not have, and what holds for their audits."""
