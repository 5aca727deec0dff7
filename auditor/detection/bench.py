"""TODO auditor.detection.bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from auditor.detection.influence import InfluenceStudy, choose_damping
from auditor.detection.results import Damping, DetectionSettings, Recovery, Scores
from auditor.detection.signals import SIGNALS, Signals, Views
from auditor.detection.suspicion import Combination, confusion_targets, draw, fit_combination, uniform_targets
from auditor.errors import AuditorError, UndecidedError
from auditor.model.scaling import Scaling
from auditor.system.arrays import Array, Floats
from auditor.system.progress import Update

Progress = Callable[[str, float], None]

SMALLEST = 8
"""Fewer images than this cannot be cross-fitted at all."""


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
        self,
        features: Array,
        labels: Array,
        n_classes: int,
        *,
        seed: int,
        rows: Array | None = None,
        reference: tuple[Array, Array] | None = None,
        settings: DetectionSettings | None = None,
        device: str = "cpu",
    ) -> None:
        features, labels, reference = check_arrays(features, labels, n_classes, reference)
        rows = np.arange(len(labels)) if rows is None else rows
        self._bench = Bench.set_up(
            features, labels[rows], n_classes, reference, settings or DetectionSettings(), seed, device, rows
        )

    def suspicion(self, labels: Array, seed: int) -> Floats:
        """float64 [n], of int64 [n] `labels`; `seed` draws the plantings that the combination is fitted on."""
        signals, combination = self._bench.combine(labels, seed)
        return combination.suspicion(signals.select(np.arange(len(labels))).of(labels))


def _between(tell: Progress, stage: str, low: float, high: float) -> Update:
    """What is told of a part of a stage, as (done, total)."""
    return lambda done, total: tell(stage, low + (high - low) * done / total)


def check_arrays(
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
class Bench:
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
        cls,
        features: Array,
        labels: Array,
        n_classes: int,
        reference: tuple[Array, Array] | None,
        settings: DetectionSettings,
        seed: int,
        device: str,
        rows: Array | None = None,
    ) -> Bench:
        scaling = Scaling.of(features, rows)
        stacked, trusted = scaling(features, rows), np.empty(0, np.int64)
        if reference is not None:
            stacked, trusted = np.concatenate([stacked, scaling(reference[0])]), reference[1]
        views = Views(
            stacked,
            n_classes,
            trusted=trusted,
            landmarks=settings.landmarks,
            seed=seed,
            folds=settings.folds,
            splits=settings.splits,
            device=device,
            consume=True,
        )
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
            signals.select(np.arange(self.n + vouched)),
            n_trusted=vouched,
            plantings=self.settings.plantings,
            seed=seed,
            kinds=self.settings.kinds,
            use=self.settings.signals,
        )
        return signals, combination


@dataclass(frozen=True)
class InfluenceBench(Bench):
    """The same with influence, which needs the features themselves."""

    study: InfluenceStudy

    @classmethod
    def with_influence(
        cls,
        features: Array,
        labels: Array,
        n_classes: int,
        reference: tuple[Array, Array] | None,
        settings: DetectionSettings,
        seed: int,
        device: str,
    ) -> InfluenceBench:
        bench = Bench.set_up(features, labels, n_classes, reference, settings, seed, device)
        study = InfluenceStudy(
            features,
            n_classes,
            reference=reference,
            folds=settings.folds,
            seed=seed,
            device=device,
            scaling=bench.scaling,
        )
        return cls(**vars(bench), study=study)

    def damping(self, signals: Signals, labels: Array, tell: Progress) -> Damping:
        """The fixed damping, or the one that recovers planted flips best."""
        if self.settings.damping is not None:
            return Damping(float(self.settings.damping), False, ())
        kinds = self.settings.kinds
        plantings = [self.plant(signals, labels, kinds[i % len(kinds)], i) for i in range(self.settings.tuning)]
        told = _between(tell, "choosing the damping", 0.3, 0.5)
        return choose_damping(self.study, plantings, self.settings.dampings, average_precision, told)

    def score(self, labels: Array, tell: Progress, damping: Damping | None = None) -> tuple[Scores, Signals]:
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
            average_influence=influence.average,
            classwise_average_influence=influence.classwise,
            head_self_influence=influence.own,
            head_in_fold_loss=influence.loss,
        )
        measured = {"classwise_average_influence": self.study.by_class, "trusted_loss": self.views.vouched}
        frame = frame.drop(columns=[name for name, there in measured.items() if not there])
        scores = Scores(suspicion, influence.average, frame, suggested, probability, combination, damping)
        return scores, signals

    def recovery(self, given: Signals, combination: Combination, damping: float, tell: Progress) -> Recovery | None:
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
            found.append(
                (
                    average_precision(planted, combination.suspicion(values)),
                    average_precision(planted[rows], -influence[0]),
                )
            )
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
