"""How many planted labels a list could hold at most, as other labels were wrong before. See `CeilingDocument`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.result.figures import CeilingDocument, Estimate


@dataclass(frozen=True)
class Struck:
    """What planting does to labels that are wrong already, as shares of those labels.

    Attributes
    ----------
    planted
        The share that planting flips.
    mended
        The share that it flips to the right label.
    """

    planted: float
    mended: float


def at_random(n: int, n_planted: int, n_classes: int) -> Struck:
    """What flips drawn at random do: they strike a wrong label as often as any other, and mend it by chance."""
    return Struck(n_planted / n, n_planted / n / (n_classes - 1))


def ceiling_of(n: int, n_planted: int, strikes: Sequence[Struck], share: Estimate) -> CeilingDocument:
    """What a perfect list could find, where labels are wrong that nobody planted.

    Parameters
    ----------
    n, n_planted
        Training points, and labels planted among them.
    strikes
        What each planting does to wrong labels.
    share
        The share of labels that were wrong before, with its interval.
    """
    planted = sum(one.planted for one in strikes) / len(strikes)
    mended = sum(one.mended for one in strikes) / len(strikes)

    def at(wrong: float) -> tuple[float, float, float]:
        still, other = max(0.0, n_planted - n * wrong * mended), n * wrong * (1 - planted)
        return possible(n_planted, still, other) / n_planted, still, other

    ends = [at(wrong) for wrong in (share["value"], *share["interval"])]
    figures: list[Estimate] = [
        {"value": value, "interval": sorted((low, high))} for value, low, high in zip(*ends, strict=True)
    ]
    return {"share": figures[0], "still_wrong": figures[1], "other_wrong": figures[2]}


def possible(inspected: float, still_wrong: float, other_wrong: float) -> float:
    """Planted labels expected among the first `inspected` of a perfect list.

    It puts all wrong labels first, in any order: nothing tells a planted one from another.
    """
    wrong = still_wrong + other_wrong
    return still_wrong * min(1.0, inspected / wrong) if wrong > 0 else 0.0


def possible_at(ceiling: CeilingDocument, inspected: float) -> Estimate:
    """How many planted labels the first `inspected` images of a perfect list would hold, with the range."""
    still, other = ceiling["still_wrong"], ceiling["other_wrong"]
    return {
        "value": possible(inspected, still["value"], other["value"]),
        "interval": [
            possible(inspected, still["interval"][0], other["interval"][1]),
            possible(inspected, still["interval"][1], other["interval"][0]),
        ],
    }


def against_ceiling(found: float, n_planted: int, ceiling: CeilingDocument | None, inspected: float) -> str:
    """What was found beside what could be found, such as "66 of at most about 67".

    Parameters
    ----------
    found
        Planted labels found among the first `inspected` of the list, a mean over the plantings.
    n_planted
        Labels that were planted.
    ceiling
        None where nobody knows how many labels were wrong before.
    inspected
        Images looked at.
    """
    room = min(float(n_planted), inspected)
    most = room if ceiling is None else min(room, possible_at(ceiling, inspected)["value"])
    if round(most) >= round(room):
        return f"{found:,.0f} of {'at most ' if room < n_planted else ''}{room:,.0f}"
    if round(found) <= round(most):
        return f"{found:,.0f} of at most about {most:,.0f}"
    return f"{found:,.0f}, where a list that takes all wrong labels alike would hold about {most:,.0f}"
