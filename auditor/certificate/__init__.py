"""How many labels are wrong, as looks by people prove it: which items are drawn, and the bounds that follow.

Nothing here believes a model. Its scores only decide how often an item is drawn, which makes a bound narrower and never
wrong.

    plan = make_plan(ids, scores, salt=salt_of(content_hash), spread=GATE_SPREAD)
    first = plan.order(100)                          # look at these, in this order
    proved = bounds(plan, {item.id: True or False or None for item in first})

`draw` -> `plan` -> `betting` or `stratified` -> `bounds` -> `ahead`.
"""

from auditor.certificate.ahead import more_looks
from auditor.certificate.bounds import CONFIDENCE, Answers, Bounds, bounds, by_class, hit_rate
from auditor.certificate.draw import GATE_SPREAD, SHARE_SPREAD, SMALL, item_id, salt_of
from auditor.certificate.plan import Drawn, Plan, Stratum, make_plan

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
