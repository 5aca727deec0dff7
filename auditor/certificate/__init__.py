"""How many labels are wrong, as looks by people prove it: which items are drawn, and the bounds that follow.

Nothing here believes a model. Its scores only decide how often an item is drawn, which makes a bound narrower and never
wrong.
"""

from __future__ import annotations

from auditor.certificate.bounds import CONFIDENCE, Answers, Bounds, bounds, by_class, hit_rate, more_looks
from auditor.certificate.draw import item_id, salt_of
from auditor.certificate.plan import GATE_SPREAD, SHARE_SPREAD, SMALL, Drawn, Plan, Stratum, make_plan

__all__ = [
    "CONFIDENCE",
    "GATE_SPREAD",
    "SHARE_SPREAD",
    "SMALL",
    "Answers",
    "Bounds",
    "Drawn",
    "Plan",
    "Stratum",
    "bounds",
    "by_class",
    "hit_rate",
    "item_id",
    "make_plan",
    "more_looks",
    "salt_of",
]
