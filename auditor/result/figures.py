"""What `audit.json` says of the controlled experiment and of the share of wrong labels: figures with intervals."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Interval = list[float]
"""The two ends of a 95% interval, the lower one first."""


class Estimate(TypedDict):
    """A figure with its interval."""

    value: float
    interval: Interval


class Figure(TypedDict):
    """A measured figure with its interval. Both are null where nothing could be measured."""

    value: float | None
    interval: Interval | None


# The controlled experiment


class FoundDocument(TypedDict):
    """The share of all planted labels that the first part of a list holds."""

    inspected: float
    share: float
    interval: Interval


class CurveDocument(TypedDict):
    """The share of planted labels found after each part of the list, with the ends of its intervals."""

    inspected: list[float]
    found: list[float]
    low: list[float]
    high: list[float]


class RankingDocument(TypedDict):
    """How well one ranking finds planted labels."""

    precision_at_k: Figure
    recall_at_k: Figure
    average_precision: Figure
    auroc: Figure
    found: list[FoundDocument]
    curve: CurveDocument


RankingName = Literal["suspicion", "influence"]


class RankingsDocument(TypedDict):
    """The rankings that are compared. The reference study has no suspicion, so it may be null.

    `listed` orders the list. Where it is missing, suspicion does if there is one.
    """

    influence: RankingDocument
    suspicion: RankingDocument | None
    random: RankingDocument
    listed: NotRequired[RankingName]


def best_ranking(rankings: RankingsDocument) -> tuple[RankingName, RankingDocument]:
    """The ranking that orders the list: by suspicion where there is one, unless the user chose influence."""
    if rankings["suspicion"] and rankings.get("listed") != "influence":
        return "suspicion", rankings["suspicion"]
    return "influence", rankings["influence"]


class RecoveryOfClass(TypedDict):
    """Mean average influence of a class's planted and other labels. The reference study prints this table."""

    label: str
    n_planted: int
    n_clean: int
    mean_planted: float | None
    mean_clean: float | None
    difference: float | None


class CeilingDocument(TypedDict):
    """What a perfect list could find of the planted labels, since other labels were wrong before.

    `still_wrong` counts the planted labels that are wrong: a flip on a wrong label can make it right. `other_wrong`
    counts wrong labels that were not planted. `share` is the part of the planted labels that the first `n_planted` of
    a perfect list would hold, if it puts all wrong labels first and tells no planted one from another. Intervals come
    from the interval of the estimated share.
    """

    share: Estimate
    still_wrong: Estimate
    other_wrong: Estimate


class RecoveryDocument(TypedDict):
    """The controlled experiment. `ceiling` is null where nobody knows how many labels were wrong before."""

    noise: str
    rate: float
    n: int
    n_planted: int
    rankings: RankingsDocument
    by_class: list[RecoveryOfClass]
    repeats: int
    ceiling: CeilingDocument | None


# The estimate


class ClassEstimate(TypedDict):
    """How many of a class's labels are probably wrong."""

    label: str
    n: int
    count: float
    share: float
    share_interval: Interval


class PairEstimate(TypedDict):
    """How many labels of one class probably belong to another."""

    label: str
    n: int
    suggested_label: str
    count: float
    interval: Interval


class ReviewRow(TypedDict):
    """What looking at the first `k` of the list should find."""

    k: int
    expected_found: float
    expected_found_interval: Interval
    precision: float
    precision_interval: Interval
    recall: float | None
    recall_interval: list[float | None]


class CalibrationDocument(TypedDict):
    """How many labels are probably wrong. Where that cannot be said, `reason` says why.

    `said` is the estimate in a sentence. It says so where only looks can tell (`cannot_tell`).
    """

    decided: bool
    reason: str
    basis: str
    assumption: str
    cannot_tell: bool
    said: str
    share: Estimate | None
    count: Estimate | None
    by_class: list[ClassEstimate]
    by_pair: list[PairEstimate]
    review: list[ReviewRow]
