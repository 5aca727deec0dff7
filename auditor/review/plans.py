"""Plans of samples as documents: two of the same draw become one, and items that were looked at before leave it."""

from __future__ import annotations

import json
from collections.abc import Collection, Set

from auditor.certificate import item_id
from auditor.certificate.documents import PlanDocument, StratumDocument

Items = Collection[tuple[str, str]]
"""Items by content and first label."""


def ids_of(plan: PlanDocument) -> set[str]:
    """The ids of the items that a plan may draw."""
    return _held(plan) - set(plan.get("listed", ()))


def _held(plan: PlanDocument) -> set[str]:
    return {item for stratum in plan["strata"] for item in stratum["items"]}


def without(plan: PlanDocument, left_out: Set[str]) -> PlanDocument:
    """The plan without some items. The order of all others among each other stays as it was.

    The quotas of a stratified plan are fixed. So its items stay in their strata, and are named as listed.
    """
    if plan["reading"] == "stratified":
        listed = {*plan.get("listed", ()), *left_out} & _held(plan)
        return {**plan, "listed": sorted(listed)} if listed else plan
    strata = [_stratum(s, [item for item in s["items"] if item not in left_out]) for s in plan["strata"]]
    return {**plan, "strata": [stratum for stratum in strata if stratum["items"]]}


def plan_text(plan: PlanDocument | None) -> str:
    """The plan as JSON with one stratum a line."""
    if plan is None:
        return "null"
    head = json.dumps({key: value for key, value in plan.items() if key != "strata"}, ensure_ascii=False)
    strata = ",\n".join(json.dumps(stratum, ensure_ascii=False) for stratum in plan["strata"])
    return f'{head[:-1]}, "strata": [\n{strata}\n]}}'


def same_draw(one: PlanDocument, other: PlanDocument) -> bool:
    """Whether both plans come from one draw: the same salt and reading, and the same weight for every item in both.

    One of them may lack items that were looked at before, or items that came later.
    """
    keys = ("salt", "reading", "spread", "expected", "checkpoints")
    if any(one[key] != other[key] for key in keys):  # type: ignore[literal-required]
        return False
    weights, others = _weights(one), _weights(other)
    both = weights.keys() & others.keys()
    return bool(both) and all(weights[item] == others[item] for item in both)


def joined(
    one: PlanDocument | None, looked_at: Items, other: PlanDocument | None, others: Items
) -> tuple[PlanDocument | None, tuple[str, ...]]:
    """Two ledgers' plans as one, and a sentence where that is not possible; then the first is kept.

    Parameters
    ----------
    looked_at, others
        The items with looks in the first ledger and in the other one. An item that a ledger's plan lacks though the
        ledger has a look at it was looked at before its draw. The common plan lacks it too.
    """
    if one is None or other is None or one == other:
        return one or other, ()
    if not same_draw(one, other):
        return one, (
            "The two ledgers hold samples of two different draws. The first one's sample is kept. The looks of both "
            "stay, but those drawn for the other sample count only where the first one's order reaches them.",
        )
    first, second = ids_of(one), ids_of(other)
    before = {item_id(*item) for item in looked_at} - first | {item_id(*item) for item in others} - second
    before |= {*one.get("listed", ()), *other.get("listed", ())}
    return without(_union(one, other, _held(other) - _held(one)), before), ()


def _union(one: PlanDocument, other: PlanDocument, more: Set[str]) -> PlanDocument:
    """The first plan and those items of the other that it lacks, stratum by stratum."""
    strata = [_stratum(s, list(s["items"])) for s in one["strata"]]
    found = {_kind(stratum): stratum for stratum in strata}
    for stratum in other["strata"]:
        items = [item for item in stratum["items"] if item in more]
        if items and _kind(stratum) in found:
            found[_kind(stratum)]["items"] = sorted([*found[_kind(stratum)]["items"], *items])
        elif items:
            strata.append(_stratum(stratum, items))
    return {**one, "strata": strata}


def _kind(stratum: StratumDocument) -> tuple[float, float, float]:
    return stratum["weight"], stratum["share"], stratum["credit"]


def _stratum(stratum: StratumDocument, items: list[str]) -> StratumDocument:
    return {
        "weight": stratum["weight"],
        "share": stratum["share"],
        "credit": stratum["credit"],
        "items": sorted(items),
    }


def _weights(plan: PlanDocument) -> dict[str, tuple[float, float, float]]:
    """Weight, share and credit of every item, those of its first copy."""
    return {item: _kind(stratum) for stratum in reversed(plan["strata"]) for item in stratum["items"]}
