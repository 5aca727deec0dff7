"""Detection from features to a calibrated list of suspects: the stages in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import t as student

from auditor.arrays import Array, Floats
from auditor.detection import calibration as cal
from auditor.detection.contract import Damping, Detection, DetectionSettings, Recovery, Scores, Share
from auditor.detection.heads import Scaling
from auditor.detection.influence import InfluenceStudy, choose_damping
from auditor.detection.label_model import ENOUGH_TRUSTED, Spread, spread
from auditor.detection.settled import Settled
from auditor.detection.signals import SIGNALS, Signals, Views
from auditor.detection.suspicion import Combination, confusion_targets, draw, fit_combination, uniform_targets
from auditor.errors import AuditorError, UndecidedError

Progress = Callable[[str, float], None]
SMALLEST = 8
"""Fewer images than this cannot be cross-fitted at all."""
REFERENCE_PRIOR = 0.02
"""Share of wrong labels that a trusted reference is given the benefit of before its scores are looked at."""
REFERENCE_SUSPECT = 0.5

NOT_BY_CLASS = (
    "Influence on reference images of the given label alone is left out of the signals: with {} classes it would take "
    "longer than all the rest, and nothing else rests on it."
)
_KINDS = (
    "A wrong label is a class at random, one the model confuses with the true class on this very image, or one that is "
    "like the true class in general; wrong labels hit all images alike, or some of them images that are hard. One "
    "label in fifty may look wrong and be right: the lower end of the interval allows for that."
)
ASSUMPTIONS = {
    "trusted reference": (
        "The trusted labels are right and their images are like the audited ones, so they show how sure the model may "
        "be. " + _KINDS + " Which of these, and how often, is what explains the given labels best (maximum likelihood)."
    ),
    "shape of the posterior": (
        "Without trusted labels the share of wrong labels is identified only by an assumption: the model's "
        "probabilities of the true class are a softmax of its left-out losses. " + _KINDS + " If hard images are "
        "labelled worse than that, the true share is higher."
    ),
}


def detect(
    features: Array,
    labels: Array,
    n_classes: int,
    *,
    seed: int,
    names: Sequence[str] = (),
    reference: tuple[Array, Array] | None = None,
    settled: Array | None = None,
    settings: DetectionSettings | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Detection:
    """Which labels are wrong, how many, and how far the list can be trusted.

    Parameters
    ----------
    features
        float32 [N, D] of a frozen backbone that saw none of the labels.
    labels
        int64 [N], the given labels 0..C-1.
    seed
        Equal inputs and seeds give equal results.
    names
        Image paths; order exactly equal suspicions in `review`.
    reference
        Trusted features [n, D] and labels [n].
    settled
        int64 [N], the class of images that the reference holds themselves, -1 for all others; None where it holds
        none. They are certain, and serve nothing else.
    progress
        Called with a stage's name and the share done.
    device
        A torch device such as `cpu` or `cuda`.

    Raises
    ------
    AuditorError
        When the arrays do not fit together or are not finite.
    """
    settings, tell = settings or DetectionSettings(), progress or (lambda stage, part: None)
    features, labels, reference = _checked(features, labels, n_classes, reference)
    known = Settled.of(labels, settled)
    if len(known.rest) < len(labels):
        features, labels, reference = _checked(features[known.rest], labels[known.rest], n_classes, reference)
    tell("preparing heads", 0.0)
    bench = _InfluenceBench.with_influence(features, labels, n_classes, reference, settings, seed, device)
    scores, signals = bench.score(labels, tell)
    tell("measuring recovery", 0.6)
    recovery = bench.recovery(signals, scores.combination, scores.damping.value, tell)
    tell("calibrating", 0.9)
    table = scores.combination.table(signals)
    estimate = _calibrate(bench, table, signals, scores)
    suspects = _reference_suspects(bench, table, estimate)
    out = _assemble(bench, _everywhere(scores, known), estimate, recovery, suspects, known, names)
    tell("done", 1.0)
    return out


def score(
    features: Array,
    labels: Array,
    n_classes: int,
    *,
    seed: int,
    reference: tuple[Array, Array] | None = None,
    settings: DetectionSettings | None = None,
    damping: Damping | None = None,
) -> Scores:
    """Suspicion and average influence of any labelling, such as one with flips planted by somebody else.

    The same procedure as in `detect`, fitted on plantings of its own on top of `labels`: it knows nothing of flips
    that `labels` already hold, so its recovery of them is an honest measurement.

    Parameters
    ----------
    damping
        Reuse a damping chosen before; None chooses it anew.
    """
    settings = settings or DetectionSettings()
    features, labels, reference = _checked(features, labels, n_classes, reference)
    bench = _InfluenceBench.with_influence(features, labels, n_classes, reference, settings, seed, "cpu")
    return bench.score(labels, lambda stage, part: None, damping)[0]


class Scorer:
    """Suspicion of many labellings of the same images: what no label touches is computed once.

    The procedure is that of `detect`, fitted on plantings of its own on top of each labelling: it knows nothing of
    flips that the labels already hold, so its recovery of them is an honest measurement.

    Parameters
    ----------
    features, labels, n_classes, seed, reference, settings, device
        As in `detect`.
    rows
        int64 [n], the images that are looked at; None for all. They are not copied out of `features`.
    """

    def __init__(
        self, features: Array, labels: Array, n_classes: int, *, seed: int, rows: Array | None = None,
        reference: tuple[Array, Array] | None = None, settings: DetectionSettings | None = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        features, labels, reference = _checked(features, labels, n_classes, reference)
        rows = np.arange(len(labels)) if rows is None else rows
        self._bench = _Bench.set_up(
            features, labels[rows], n_classes, reference, settings or DetectionSettings(), seed, device, rows
        )  # fmt: skip

    def suspicion(self, labels: Array, seed: int) -> Floats:
        """float64 [n], of int64 [n] `labels`; `seed` draws the plantings that the combination is fitted on."""
        signals, combination = self._bench.combine(labels, seed)
        return combination.suspicion(signals.select(np.arange(len(labels))).of(labels))


def _between(tell: Progress, stage: str, low: float, high: float) -> Callable[[int, int], None]:
    """What is told of a part of a stage, as (done, total)."""
    return lambda done, total: tell(stage, low + (high - low) * done / total)


def _checked(
    features: Array, labels: Array, n_classes: int, reference: tuple[Array, Array] | None
) -> tuple[Array, Array, tuple[Array, Array] | None]:
    features, labels = _pair(features, labels, n_classes, "the images")
    if len(labels) < SMALLEST:
        raise UndecidedError(f"{len(labels)} labelled images are too few to audit", hint=f"give at least {SMALLEST}")
    if reference is not None and len(reference[1]):
        reference = _pair(*reference, n_classes, "the reference")
        if reference[0].shape[1] != features.shape[1]:
            raise AuditorError(f"the reference has {reference[0].shape[1]} features, the images {features.shape[1]}")
        return features, labels, reference
    return features, labels, None


def _pair(features: Array, labels: Array, n_classes: int, what: str) -> tuple[Array, Array]:
    features, labels = np.asarray(features, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    if features.ndim != 2 or labels.shape != (len(features),):
        raise AuditorError(f"{what} have features of shape {features.shape} and labels of shape {labels.shape}")
    if not np.isfinite(features.sum(axis=1, dtype=np.float64)).all():  # N times D answers would be a quarter of them
        raise AuditorError(f"features of {what} are not finite", hint="check the images and the weights")
    if n_classes < 2 or (len(labels) and not 0 <= labels.min() <= labels.max() < n_classes):
        raise AuditorError(f"labels of {what} must lie in 0..{n_classes - 1}, with at least two classes")
    return features, labels


@dataclass(frozen=True)
class _Bench:
    """What stands before any labelling is looked at: bases, neighbours, folds, and the trusted labels."""

    views: Views
    labels: Array
    trusted: Array
    n_classes: int
    settings: DetectionSettings
    seed: int
    scaling: Scaling

    @classmethod
    def set_up(
        cls, features: Array, labels: Array, n_classes: int, reference: tuple[Array, Array] | None,
        settings: DetectionSettings, seed: int, device: str, rows: Array | None = None,
    ) -> _Bench:  # fmt: skip
        scaling = Scaling.of(features, rows)
        stacked, trusted = scaling(features, rows), np.empty(0, np.int64)
        if reference is not None:
            stacked, trusted = np.concatenate([stacked, scaling(reference[0])]), reference[1]
        views = Views(
            stacked, n_classes, trusted=trusted, landmarks=settings.landmarks, seed=seed,
            folds=settings.folds, splits=settings.splits, device=device, consume=True,
        )  # fmt: skip
        return cls(views, labels, trusted, n_classes, settings, seed, scaling)

    @property
    def n(self) -> int:
        """Audited images; trusted ones follow them in the views."""
        return len(self.labels)

    def signals(self, labels: Array) -> Signals:
        """Of the audited and, behind them, the trusted images."""
        return self.views.signals(labels)

    def plant(self, signals: Signals, labels: Array, kind: str, key: int) -> tuple[Array, Array]:
        """Flip `rate` of the labels, drawn at random; a class keeps at least one image."""
        rng = np.random.default_rng([self.seed, 74, key])
        audited = signals.select(np.arange(self.n))
        targets = confusion_targets(audited) if kind == "confusion" else uniform_targets(labels, self.n_classes)
        drawn = draw(targets, rng)
        chosen = rng.permutation(self.n)[: max(1, round(self.settings.rate * self.n))]
        kept = np.unique(labels, return_index=True)[1]
        chosen = np.setdiff1d(chosen, kept)
        flipped = labels.copy()
        flipped[chosen] = drawn[chosen]
        return flipped, flipped != labels

    def planted_one_by_one(self, table: Floats, signals: Signals) -> Floats:
        """Suspicion of labels planted on one image at a time, one of each kind an image."""
        rng = np.random.default_rng([self.seed, 75])
        audited = signals.select(np.arange(self.n))
        targets = confusion_targets(audited), uniform_targets(self.labels, self.n_classes)
        return np.concatenate([table[np.arange(self.n), draw(q, rng)] for q in targets])

    def combine(self, labels: Array, seed: int, *, last: bool = False) -> tuple[Signals, Combination]:
        """Signals of a labelling, those of trusted images last, and their combination fitted on plantings.

        After the `last` labelling the bases are given back: what follows needs memory of its own.
        """
        signals = self.signals(labels)
        if last:
            self.views.release()
        vouched = len(self.trusted) if self.views.vouched else 0
        combination = fit_combination(
            signals.select(np.arange(self.n + vouched)), n_trusted=vouched, plantings=self.settings.plantings,
            seed=seed, kinds=self.settings.kinds, use=self.settings.signals,
        )  # fmt: skip
        return signals, combination


@dataclass(frozen=True)
class _InfluenceBench(_Bench):
    """The same with influence, which needs the features themselves."""

    study: InfluenceStudy

    @classmethod
    def with_influence(
        cls, features: Array, labels: Array, n_classes: int, reference: tuple[Array, Array] | None,
        settings: DetectionSettings, seed: int, device: str,
    ) -> _InfluenceBench:  # fmt: skip
        bench = _Bench.set_up(features, labels, n_classes, reference, settings, seed, device)
        study = InfluenceStudy(
            features, n_classes, reference=reference, folds=settings.folds, seed=seed, device=device,
            scaling=bench.scaling,
        )  # fmt: skip
        return cls(**vars(bench), study=study)

    def damping(self, signals: Signals, labels: Array, tell: Progress) -> Damping:
        """The fixed damping, or the one that recovers planted flips best."""
        if self.settings.damping is not None:
            return Damping(float(self.settings.damping), False, ())
        kinds = self.settings.kinds
        plantings = [self.plant(signals, labels, kinds[i % len(kinds)], i) for i in range(self.settings.tuning)]
        told = _between(tell, "choosing the damping", 0.3, 0.5)
        return choose_damping(self.study, plantings, self.settings.dampings, average_precision, told)

    def score(
        self, labels: Array, tell: Progress, damping: Damping | None = None
    ) -> tuple[Scores, Signals]:  # fmt: skip
        """Suspicion and influence of a labelling."""
        tell("fitting heads", 0.2)
        signals, combination = self.combine(labels, self.seed, last=self.settings.repeats < 1)
        audited = signals.select(np.arange(self.n))
        tell("choosing the damping", 0.3)
        damping = damping or self.damping(signals, labels, tell)
        tell("measuring influence", 0.5)
        influence = self.study.measure(labels, damping.value)
        values = audited.of(labels)
        suspicion = combination.suspicion(values)
        suggested, probability = _suggest(audited)
        frame = pd.DataFrame(values, columns=list(SIGNALS)).assign(
            average_influence=influence.average, classwise_average_influence=influence.classwise,
            head_self_influence=influence.own, head_in_fold_loss=influence.loss,
        )  # fmt: skip
        measured = {"classwise_average_influence": self.study.by_class, "trusted_loss": self.views.vouched}
        frame = frame.drop(columns=[name for name, there in measured.items() if not there])
        scores = Scores(suspicion, influence.average, frame, suggested, probability, combination, damping)
        return scores, signals

    def recovery(
        self, given: Signals, combination: Combination, damping: float, tell: Progress
    ) -> Recovery | None:  # fmt: skip
        """Average precision at finding fresh flips: not those that any weight or damping was fitted on."""
        if self.settings.repeats < 1:
            return None
        found, told = [], _between(tell, "measuring recovery", 0.6, 0.9)
        for repeat in range(self.settings.repeats):
            labels, planted = self.plant(given, self.labels, "uniform", 1000 + repeat)
            if not planted.any():
                return None
            values = self.signals(labels).select(np.arange(self.n)).of(labels)
            rows, influence = self.study.averages(labels, [damping])
            found.append((
                average_precision(planted, combination.suspicion(values)),
                average_precision(planted[rows], -influence[0]),
            ))  # fmt: skip
            told(repeat + 1, self.settings.repeats)
        ours, theirs = (_interval(np.array(column)) for column in zip(*found, strict=True))
        return Recovery(self.settings.rate, "uniform", self.settings.repeats, ours, theirs)


def average_precision(wrong: Array, suspicion: Floats) -> float:
    """Average precision; equal values share their threshold. 0 where nothing is wrong."""
    order = np.argsort(-suspicion, kind="stable")
    last = np.append(np.diff(suspicion[order]) != 0, True)
    found = np.cumsum(wrong[order])[last].astype(np.float64)
    if not found[-1]:
        return 0.0
    return float(np.sum(np.diff(found, prepend=0) * found / (np.flatnonzero(last) + 1)) / found[-1])


def _interval(values: Floats) -> tuple[float, float, float]:
    """Mean and Student's 95% interval, kept within 0 and 1; one value has no interval but all of it."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, 0.0, 1.0
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def _suggest(signals: Signals) -> tuple[Array, Floats]:
    """The most probable other label and its probability."""
    p = np.exp(signals.log_probabilities.astype(np.float64))
    rows = np.arange(len(p))
    p[rows, signals.labels] = -1
    best = p.argmax(axis=1).astype(np.int64)
    return best, p[rows, best]


@dataclass(frozen=True)
class _Estimate:
    """What calibration found: probabilities at the estimated share and at both ends of its interval.

    `spread` is what that interval is made of, `doubted` the probability that each trusted label is wrong.
    """

    share: Share | None
    spread: Spread
    p: Floats
    low: Floats
    high: Floats
    doubted: Floats
    basis: str
    reason: str


def _calibrate(bench: _Bench, table: Floats, signals: Signals, scores: Scores) -> _Estimate:
    n, reference = bench.n, len(bench.trusted) >= ENOUGH_TRUSTED
    model = signals.model
    doubt = spread(model.evidence, resamples=bench.settings.bootstrap, seed=bench.seed)
    low, high = cal.interval(doubt.shares, doubt.error, n, reference=reference)
    p = cal.in_order(expit(signals.values["error_odds"][np.arange(n), bench.labels]), scores.suspicion)
    value, least, most = (cal.at_share(p, share) for share in (model.share, low, high))
    basis = "trusted reference" if reference else "shape of the posterior"
    area = cal.separation(bench.planted_one_by_one(table, signals), scores.suspicion)
    reason = _contradicted(bench, signals) or _undecided(n, area, model.share, low, high, bench.n_classes)
    share = None if reason else cal.as_share(model.share, low, high, n)
    doubted = model.at_share(REFERENCE_PRIOR)[np.arange(n, len(table)), bench.trusted]
    return _Estimate(share, doubt, value, least, most, doubted, basis, reason)


def _undecided(n: int, area: float, value: float, low: float, high: float, n_classes: int) -> str:
    """Why no share can be stated; empty where it can."""
    if n < cal.SMALLEST:
        return f"{n} images are too few to estimate a share of wrong labels; at least {cal.SMALLEST} are needed."
    needed = 0.5 + max(cal.WEAKEST, 1.2 / np.sqrt(n))
    if area < needed:
        return (
            f"Planted labels are hardly told from given ones on these features (area under the curve {area:.2f}, "
            f"needed {needed:.2f})."
        )
    if value >= 0.9 * (1 - 1 / n_classes):
        return f"Given labels agree with these images hardly better than labels drawn at random (share {value:.0%})."
    if high - low > 0.5:
        return f"The share of wrong labels could be anything from {low:.0%} to {high:.0%}."
    return ""


def _contradicted(bench: _Bench, signals: Signals) -> str:
    """That trusted labels speak against all that the given ones teach; empty where they do not.

    Labels that are wrong nearly everywhere agree among themselves. The reference shows it where heads that mostly given
    labels have taught say of its images hardly better than chance what it says, and much less often than of the others.
    """
    m, n = len(bench.trusted), bench.n
    if not m:
        return ""
    likeliest = signals.values["stacked_loss"].argmin(axis=1)
    own = float((likeliest[:n] == bench.labels).mean())
    theirs = float((likeliest[n:] == bench.trusted).mean())
    pooled = (own * n + theirs * m) / (n + m)
    beyond = own - theirs > 4 * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    if theirs > 1 - 0.9 * (1 - 1 / bench.n_classes) or not beyond:
        return ""
    return (
        f"The reference contradicts the given labels: {theirs:.0%} of its {m} labels are what they teach, of their own "
        f"{own:.0%}. Either nearly all given labels are wrong, or the reference names the classes otherwise."
    )


def _reference_suspects(bench: _Bench, table: Floats, estimate: _Estimate) -> Array:
    """Rows of the reference more probably wrong than right if one reference label in fifty were."""
    if not len(bench.trusted) or estimate.reason:
        return np.empty(0, np.int64)
    suspicion = table[np.arange(bench.n, len(table)), bench.trusted]
    found = np.flatnonzero(estimate.doubted > REFERENCE_SUSPECT)
    return found[np.argsort(-suspicion[found], kind="stable")]


def _everywhere(scores: Scores, known: Settled) -> Scores:
    """Scores of all images from those of the images that are not settled; signals of the others are NaN."""
    if len(known.rest) == len(known.given):
        return scores
    return replace(
        scores,
        suspicion=known.suspicion(scores.suspicion),
        average_influence=known.whole(scores.average_influence, right=np.nan, wrong=np.nan),
        signals=scores.signals.set_axis(known.rest).reindex(range(len(known.given))),
        suggested_label=known.suggested(scores.suggested_label),
        suggested_probability=known.whole(scores.suggested_probability, right=0.0, wrong=1.0),
    )


def _assemble(
    bench: _InfluenceBench, scores: Scores, estimate: _Estimate, recovery: Recovery | None,
    suspects: Array, known: Settled, names: Sequence[str],
) -> Detection:  # fmt: skip
    decided, n = estimate.share is not None, len(known.given)
    certainly = np.nan_to_num(scores.suspicion, nan=-np.inf)
    order = np.lexsort((np.asarray(names) if len(names) else np.arange(n), -certainly))
    three = p, _, _ = tuple(known.whole(q, right=0.0, wrong=1.0) for q in (estimate.p, estimate.low, estimate.high))
    keep = slice(None) if decided else slice(0, 0)
    by_class = cal.grouped(pd.DataFrame({"label": known.given}), *three)
    by_class["share"] = by_class["expected"] / by_class["n"]
    doubted = ~known.right
    pairs = pd.DataFrame({"label": known.given, "suggested_label": scores.suggested_label})[doubted]
    return Detection(
        suspicion=scores.suspicion,
        signals=scores.signals,
        weights={
            name: dict(zip(SIGNALS, map(float, scores.combination.weights), strict=True)).get(name, 0.0)
            for name in scores.signals.columns
        },
        suggested_label=scores.suggested_label,
        suggested_probability=scores.suggested_probability,
        p_mislabelled=p if decided else None,
        damping=scores.damping,
        share=estimate.share and _of_all(estimate.share, known),
        spread=estimate.spread,
        by_class=by_class.iloc[keep],
        by_pair=cal.grouped(pairs, *(q[doubted] for q in three)).iloc[keep],
        review=cal.review_table(order, *three).iloc[keep],
        assumption=ASSUMPTIONS[estimate.basis],
        basis=estimate.basis,
        decided=decided,
        reason=_with_settled(estimate.reason, known),
        reference_suspects=suspects,
        planted_recovery=recovery,
        notes=() if bench.study.by_class else (NOT_BY_CLASS.format(bench.n_classes),),
    )


def _of_all(share: Share, known: Settled) -> Share:
    """The share among all images, the settled ones being certain."""
    value, low, high = (known.share(end) for end in (share.value, share.low, share.high))
    return cal.as_share(value, low, high, len(known.given))


def _with_settled(reason: str, known: Settled) -> str:
    """Why nothing could be decided, and what is certain all the same."""
    wrong = int(known.wrong.sum())
    if not reason or not wrong:
        return reason
    return f"{reason} Of {wrong} images the reference itself says another class than their label."
