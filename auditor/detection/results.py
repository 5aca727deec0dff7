"""What detection is asked for and what it answers: settings and results, frozen."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from auditor.detection.label_model import Spread
from auditor.detection.signals import SIGNALS
from auditor.detection.suspicion import Combination
from auditor.system.arrays import Array, Floats, Ints


@dataclass(frozen=True)
class DetectionSettings:
    """How much work detection does.

    Attributes
    ----------
    landmarks
        Rank of the kernel's basis: exact up to this many images. Cost grows with its square.
    plantings
        Labels planted on every image, of each kind, to fit the combination.
    kinds
        Kinds of planting: `uniform`, `confusion`.
    signals
        Those that the suspicion may combine.
    rate
        Share of labels flipped in the plantings that are trained on (damping, recovery).
    damping
        A number fixes it; None chooses it among `dampings`.
    dampings
        Candidates. Each is used as weight decay of the head as well.
    tuning
        Plantings that choose the damping.
    repeats
        Fresh plantings that measure recovery.
    folds
        Of the stacked head and, without a trusted reference, of influence: each image's is measured on
        the folds it is not in.
    splits
        Times that the stacked head's folds are drawn anew; None goes by the number of images.
    bootstrap
        Resamples behind the interval of the share; they only tell its standard error, for which twenty are enough.
    """

    landmarks: int = 1500
    plantings: int = 3
    kinds: tuple[str, ...] = ("uniform", "confusion")
    signals: tuple[str, ...] = SIGNALS
    rate: float = 0.1
    damping: float | None = None
    dampings: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    tuning: int = 2
    repeats: int = 3
    folds: int = 3
    splits: int | None = None
    bootstrap: int = 20

    @classmethod
    def fast(cls) -> DetectionSettings:
        """A few seconds at 10,000 images: smaller basis, fewer plantings, fewer dampings."""
        return cls(landmarks=700, plantings=1, dampings=(1.0, 10.0), tuning=1, repeats=2, folds=2, bootstrap=12)


@dataclass(frozen=True)
class DampingTrial:
    """How well average influence recovered planted flips at one damping."""

    damping: float
    average_precision: float
    by_planting: tuple[float, ...]


@dataclass(frozen=True)
class Damping:
    """The chosen damping (and weight decay) of the influence head on standardised features, and how it was chosen."""

    value: float
    chosen: bool
    trace: tuple[DampingTrial, ...]


@dataclass(frozen=True)
class Share:
    """Estimated wrong labels: share and number, with 95% intervals."""

    value: float
    low: float
    high: float
    count: float
    count_low: float
    count_high: float


@dataclass(frozen=True)
class Recovery:
    """Average precision at finding fresh planted flips, mean and 95% interval over repetitions.

    The given labels' own errors count as not planted, so these figures are lower bounds where there are any.
    """

    rate: float
    kind: str
    repeats: int
    suspicion: tuple[float, float, float]
    average_influence: tuple[float, float, float]


@dataclass(frozen=True)
class Scores:
    """Suspicion without calibration: what any labelling gets.

    Attributes
    ----------
    suspicion
        float64 [N], log odds that the label was planted rather than given, at even numbers of both.
    average_influence
        float64 [N], pyDVL's mode `up`; the most negative are the most harmful.
    signals
        [N, S], a column a signal.
    suggested_label, suggested_probability
        int64 [N], float64 [N]: the most probable other label and its probability by the leave-one-out head.
    combination
        The fitted weights.
    damping
        Of the influence.
    """

    suspicion: Floats
    average_influence: Floats
    signals: pd.DataFrame
    suggested_label: Ints
    suggested_probability: Floats
    combination: Combination
    damping: Damping


@dataclass(frozen=True)
class Detection:
    """Everything detection says of a data set.

    Attributes
    ----------
    suspicion, signals, suggested_label, suggested_probability
        As in `Scores`. After calibration `suspicion` orders the images; ties are the caller's to break by path.
        Images that a reference settles as wrong stand above all others; those that it settles as right have neither
        suspicion nor signals (NaN) nor a suggestion (-1).
    weights
        Signal -> weight of the standardised signal in the suspicion; reported-only signals weigh 0.
    p_mislabelled
        float64 [N], or None where undecided.
    damping
        What was chosen and the trace of how.
    share
        The share of wrong labels; None where undecided.
    spread
        What its interval is made of, decided or not, among the images that are not settled.
    by_class
        Columns `label, n, expected, low, high, share`: expected number of wrong labels among those given `label`.
    by_pair
        Columns `label, suggested_label, n, expected, low, high`.
    review
        Columns `k, expected_found, found_low, found_high, precision, precision_low, precision_high, recall,
        recall_low, recall_high`: what reviewing the first k by suspicion is expected to find.
    assumption, basis
        What the share rests on, as a sentence and as a name.
    decided, reason
        False, and why, where the data cannot support an estimate.
    reference_suspects
        int64 rows of the trusted reference whose own labels look wrong, most suspicious first.
    planted_recovery
        How well fresh planted flips are found.
    notes
        What was left out or limited, as sentences for the reader of a result.
    """

    suspicion: Floats
    signals: pd.DataFrame
    weights: dict[str, float]
    suggested_label: Ints
    suggested_probability: Floats
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
    planted_recovery: Recovery | None
    notes: tuple[str, ...] = ()
