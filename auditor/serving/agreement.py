"""How far reviewers agree about items that both have judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

from auditor.review.decisions import Decision


class Other(TypedDict):
    """What another reviewer says of an item. The keys are those of a file of decisions."""

    reviewer: str
    path: str
    decision: str
    new_label: str | None


class Agreement(TypedDict):
    """How far two reviewers agree.

    `both` counts the items about which both are sure. `agreed` counts those of which both say the same. `kappa` is
    Cohen's, the agreement beyond chance (Educational and Psychological Measurement 20, 1960); None where it is not
    defined, because both said the same of all.
    """

    reviewer: str
    both: int
    agreed: int
    kappa: float | None


def others_of(mine: Mapping[str, Decision], theirs: Mapping[str, Sequence[Decision]]) -> list[Other]:
    """What other reviewers say of items that this one has judged. Of all other items nothing is told: it would lead.

    Parameters
    ----------
    mine
        This reviewer's decisions by path.
    theirs
        The decisions of the others by their names.
    """
    return [
        {"reviewer": name, "path": d.path, "decision": d.decision, "new_label": d.new_label}
        for name, decisions in sorted(theirs.items())
        for d in decisions
        if d.path in mine
    ]


def agreement(mine: Mapping[str, Decision], theirs: Mapping[str, Sequence[Decision]]) -> list[Agreement]:
    """How far this reviewer agrees with each of the others, where they share an item. Parameters as `others_of`."""
    found: list[Agreement] = []
    for name, decisions in sorted(theirs.items()):
        pairs = [(mine[d.path], d) for d in decisions if d.path in mine]
        sure = [(_verdict(a), _verdict(b)) for a, b in pairs if "unsure" not in (a.decision, b.decision)]
        if sure:
            agreed = sum(a == b for a, b in sure)
            found.append({"reviewer": name, "both": len(sure), "agreed": agreed, "kappa": _kappa(sure)})
    return found


def _verdict(decision: Decision) -> tuple[str, str]:
    """What becomes of the item: its label, or that it goes."""
    return ("drop", "") if decision.decision == "drop" else ("label", decision.final_label)


def _kappa(pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> float | None:
    kinds = {verdict: number for number, verdict in enumerate(sorted({v for pair in pairs for v in pair}))}
    if len(kinds) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    value = float(cohen_kappa_score([kinds[a] for a, _ in pairs], [kinds[b] for _, b in pairs]))
    return round(value, 4) if math.isfinite(value) else None
