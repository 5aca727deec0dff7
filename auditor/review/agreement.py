"""How far reviewers agree about items that both have judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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


def one_each(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """A reviewer's look at each item by path: the latest of several, as in the ledger.

    A second look of the same person is no second opinion. Judgements of labels that were made wrong are left out.
    """
    return {d.path: d for d in decisions if d.how != "known-wrong"}


def others_of(mine: Mapping[str, Decision], theirs: Mapping[str, Mapping[str, Decision]]) -> list[Other]:
    """What other reviewers say of items that this one has judged. Of all other items nothing is told: it would lead.

    Parameters
    ----------
    mine
        This reviewer's look at each item by path.
    theirs
        The looks of the others (`one_each`) by their names.
    """
    return [
        {"reviewer": name, "path": d.path, "decision": d.decision, "new_label": d.new_label}
        for name, looks in sorted(theirs.items())
        for d in looks.values()
        if d.path in mine
    ]


def agreement(mine: Mapping[str, Decision], theirs: Mapping[str, Mapping[str, Decision]]) -> list[Agreement]:
    """How far this reviewer agrees with each of the others, where they share an item. Parameters as `others_of`."""
    found: list[Agreement] = []
    for name, looks in sorted(theirs.items()):
        pairs = [(mine[path], d) for path, d in looks.items() if path in mine]
        sure = [(_verdict(a), _verdict(b)) for a, b in pairs if "unsure" not in (a.decision, b.decision)]
        if sure:
            agreed = sum(a == b for a, b in sure)
            found.append({"reviewer": name, "both": len(sure), "agreed": agreed, "kappa": _kappa(sure)})
    return found


def _verdict(decision: Decision) -> tuple[str, str]:
    """What becomes of the item: its label, or that it goes."""
    return ("drop", "") if decision.decision == "drop" else ("label", decision.final_label)


def _kappa(pairs: list[tuple[tuple[str, str], tuple[str, str]]]) -> float | None:
    kinds = {verdict: number for number, verdict in enumerate(sorted({v for pair in pairs for v in pair}))}
    if len(kinds) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    value = float(cohen_kappa_score([kinds[a] for a, _ in pairs], [kinds[b] for _, b in pairs]))
    return round(value, 4) if math.isfinite(value) else None
