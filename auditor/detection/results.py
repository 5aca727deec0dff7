"""What detection can be asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.detection.likeliest import Likeliest
from auditor.detection.posterior import Spread
from auditor.detection.rivals import Rivals
from auditor.result.wording import CANNOT_TELL, NO_ANSWER
from auditor.system.arrays import Array, Floats, Ints


@dataclass(frozen=True)
class DetectionSettings:
    """How much work detection does.

    Attributes
    ----------
    landmarks
        Rank of the kernel's basis. It is exact up to this many images. Cost grows with the square of this number.
    plantings
        Labels of each kind that are planted on every image, to fit the combination.
    kinds
        Kinds of planting: `uniform`, `confusion`.
    signals
        Names of the signals that the suspicion may combine; None for all.
    rate
        What planted labels weigh among all when a damping is chosen.
    damping
        A number fixes it. None chooses it among `dampings`.
    dampings
        Candidates. Each is the weight decay of the head as well.
    folds
        Of the stacked head.
    influence_folds
        Of influence: each image is judged by a head and a reference that are the folds that do not hold it. None lets
        the numbers of images and classes decide.
    splits
        How often the folds of the stacked head are drawn. None lets the number of images decide.
    rank_by
        What orders the images that `Detection.review` counts from the first: `suspicion` or `influence`.
    """

    landmarks: int = 1500
    plantings: int = 3
    kinds: tuple[str, ...] = ("uniform", "confusion")
    signals: tuple[str, ...] | None = None
    rate: float = 0.1
    damping: float | None = None
    dampings: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    folds: int = 3
    influence_folds: int | None = None
    splits: int | None = None
    rank_by: str = "suspicion"


@dataclass(frozen=True)
class DampingTrial:
    """How well average influence found planted labels at one damping: in all, and by kind of planting."""

    damping: float
    average_precision: float
    by_planting: tuple[float, ...]


@dataclass(frozen=True)
class Damping:
    """Damping of influence on standardised features, which is the weight decay of its head too.

    Attributes
    ----------
    value
        The damping.
    chosen
        Whether it was chosen among several; False where a setting fixed it.
    trace
        What each candidate reached.
    """

    value: float
    chosen: bool
    trace: tuple[DampingTrial, ...]


@dataclass(frozen=True)
class Share:
    """Estimated wrong labels, as a share and as a number, with 95% intervals."""

    value: float
    low: float
    high: float
    count: float
    count_low: float
    count_high: float


@dataclass(frozen=True)
class Detection:
    """Everything that detection says of a data set of N images.

    Attributes
    ----------
    suspicion
        float64 [N], log odds that the label was planted rather than given, at equal numbers of both. It orders the
        images; callers break ties by path. Images that a reference settles as wrong stand above all others. Images
        that it settles as right, and images that people looked at, have none (NaN).
    signals
        [N, S], one column a signal; NaN for settled images.
    weights
        Signal -> weight of the standardised signal in the suspicion. Signals that are only reported have weight 0.
    suggested_label, suggested_probability
        int64 [N] and float64 [N], the other label that the leave-one-out head prefers, and the probability that it is
        the true one. It is never above `p_mislabelled`. Where nothing could be decided it is the head's own. The label
        is -1 where the given one is settled as right.
    likeliest
        The likeliest classes of each image, by `p_mislabelled`; none of settled ones, and none where nothing could be
        decided.
    p_mislabelled
        float64 [N], or None where nothing could be decided. Where people looked it is 1 or 0: whether they found
        `Labelled.labels` wrong. The rest adds up to `share.count`.
    damping
        What was chosen, and how.
    share
        The share of wrong labels among images that nobody looked at; None where nothing could be decided.
    cannot_tell
        Whether the interval of the share is too wide to be an answer: only looks can tell.
    spread
        What the interval of the share is made of, decided or not. It leaves settled images out.
    by_class
        Columns `label, n, expected, low, high, share`: expected number of wrong labels among those given `label`.
    by_pair
        Columns `label, suggested_label, n, expected, low, high`.
    review
        Columns `k, expected_found, found_low, found_high, precision, precision_low, precision_high, recall,
        recall_low, recall_high`: what a review of the first k by suspicion is expected to find.
    assumption, basis
        What the share rests on, as a sentence and as a name.
    decided, reason
        Whether the data can support an estimate and, where they cannot, why.
    reference_suspects
        int64, rows of the trusted reference whose own labels look wrong, most suspicious first.
    notes
        What was left out or limited, as sentences for the reader of a result.
    doubt
        float64 [N], how unsure heads that saw no label of the item are of its class, whatever its label: 1 minus the
        probability of the likeliest class. NaN where a reference settles the item.
    rivals
        How well heads that saw no label of the items tell pairs of classes apart; None where nobody asked.
    """

    suspicion: Floats
    signals: pd.DataFrame
    weights: dict[str, float]
    suggested_label: Ints
    suggested_probability: Floats
    likeliest: Likeliest
    p_mislabelled: Floats | None
    damping: Damping
    share: Share | None
    spread: Spread
    by_class: pd.DataFrame
    by_pair: pd.DataFrame
    review: pd.DataFrame
    assumption: str
    basis: str
    decided: bool
    reason: str
    reference_suspects: Array
    notes: tuple[str, ...] = ()
    cannot_tell: bool = False
    doubt: Floats | None = None
    rivals: Rivals | None = None

    @property
    def said(self) -> str:
        """The estimate as a sentence: the one place where it is put into words."""
        if self.share is None:
            return self.reason
        share = self.share
        low, high = np.floor(share.count_low), np.ceil(share.count_high)
        shares = f"({share.low:.1%} to {share.high:.1%})"
        if self.cannot_tell:
            ends = {"low": f"{low:,.0f}", "high": f"{high:,.0f}"}
            return f"{NO_ANSWER.format(cannot_tell=CANNOT_TELL, labels='labels', **ends)} {shares}."
        ends_said = f"between {low:,.0f} and {high:,.0f} labels {shares}"
        return f"The model expects about {share.count:,.0f} wrong labels, {ends_said}, if its assumptions hold."
