"""Judges labellings of the same images: signals, suspicion, damping and influence, from bases computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from auditor.compute.draws import draw
from auditor.detection.damping import Single, choose_damping
from auditor.detection.grid import Heard
from auditor.detection.influence import InfluenceStudy, Points, fold_count, folds_of
from auditor.detection.labelled import NOT_LOOKED, Labelled
from auditor.detection.own_model import Together, heads_part, plant_together, repeats
from auditor.detection.planting import confusion_targets, uniform_targets
from auditor.detection.posterior import directed, posterior
from auditor.detection.precision import average_precision
from auditor.detection.results import Damping, DetectionSettings
from auditor.detection.signals import INFLUENCE_SIGNALS, HeadOutputs, Signals
from auditor.detection.suspicion import OWN, Combination, fit_combination
from auditor.detection.views import Known, Views
from auditor.model.scaling import Scaling
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats, Ints

Tell = Callable[[str, float], None]
"""Called with the name of a step and the share of detection that is done, 0 to 1."""


class Scorer:
    """Gives the suspicion of many labellings of the same images. Bases and neighbours are computed once.

    It works as `detect` does. On top of each labelling it plants labels of its own and fits the combination on them.
    It knows nothing of flips that the labelling already holds. How well it finds those is an honest measurement.

    Parameters
    ----------
    images
        Features, labels and reference.
    seed
        Draws folds and landmarks.
    rows
        int64 [n], the images that are looked at; None for all. Their features are not copied.
    settings, device
        As in `detect`.

    Raises
    ------
    AuditorError
        As `Labelled.checked` does.
    """

    def __init__(
        self,
        images: Labelled,
        *,
        seed: int,
        rows: Array | None = None,
        settings: DetectionSettings | None = None,
        device: str = "cpu",
    ) -> None:
        self._bench = Bench.set_up(images.checked(), settings or DetectionSettings(), seed, device, rows)

    def suspicion(self, labels: Array, seed: int) -> Floats:
        """Give the suspicion float64 [n] of int64 [n] `labels`. `seed` draws the labels that the fit plants."""
        signals = self._bench.signals(labels)
        combination = self._bench.combination(signals, seed, self._bench.together(signals.log_probabilities, labels))
        suspicion = combination.suspicion(signals.select(np.arange(len(labels))).of(labels))
        heard = self._bench.heard(signals, labels, np.full(len(labels), NOT_LOOKED))
        return directed(suspicion, posterior(heard, seed=self._bench.seed))


@dataclass(frozen=True)
class Scores:
    """Suspicion and influence of the given labels, before calibration.

    Attributes
    ----------
    suspicion
        float64 [N], log odds that the label was planted rather than given, at equal numbers of both.
    average_influence
        float64 [N], of the given labels. The most negative ones do the most harm.
    signals
        [N, S], one column a signal.
    suggested_label, suggested_probability
        int64 [N] and float64 [N], the most probable other label and its probability by the leave-one-out head.
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

    def select(self, rows: Array, suggested_probability: Floats) -> Scores:
        """Keep some of the images, by their int64 row numbers, and give their suggestions these probabilities."""
        return Scores(
            self.suspicion[rows],
            self.average_influence[rows],
            self.signals.iloc[rows].reset_index(drop=True),
            self.suggested_label[rows],
            suggested_probability,
            self.combination,
            self.damping,
        )


@dataclass(frozen=True)
class Bench:
    """Everything that is computed before a labelling is judged: bases, neighbours, folds and trusted labels.

    Attributes
    ----------
    labels
        int64 [N], the labels that teach: the given ones, corrected where people looked. Trusted images follow them in
        `views`.
    given, found, families
        int64 [N], the labels when they were first audited, what people found, and who is a copy of whom.
    trusted
        int64 [m].
    study
        Measures influence of audited and trusted images.
    """

    views: Views
    labels: Array
    given: Array
    found: Array
    families: Array
    trusted: Array
    n_classes: int
    settings: DetectionSettings
    seed: int
    study: InfluenceStudy

    @classmethod
    def set_up(
        cls, images: Labelled, settings: DetectionSettings, seed: int, device: str, rows: Array | None = None
    ) -> Bench:
        """Compute the bases of `rows` [n] of checked images; None for all of them."""
        scaling = Scaling.of(images.features, rows)
        points = Points(images.features, rows, None if images.reference is None else images.reference[0], scaling)
        stacked, trusted = scaling(images.features, rows), np.empty(0, np.int64)
        if images.reference is not None:
            stacked, trusted = np.concatenate([stacked, scaling(images.reference[0])]), images.reference[1]
        chosen = slice(None) if rows is None else rows
        labels = images.taught(scaling)[chosen]
        own = images.labels[chosen], images.looks()[chosen], images.families()[chosen]
        groups = None if images.groups is None else own[2]
        views = Views(
            stacked,
            trusted,
            images.n_classes,
            settings=settings,
            seed=seed,
            device=device,
            known=Known(groups, _likely(images, chosen), images.tuned),
        )
        n = len(labels) + len(trusted)
        fold = folds_of(groups, n, settings.influence_folds or fold_count(n, images.n_classes), seed)
        study = InfluenceStudy(points, images.n_classes, fold=fold, device=device)
        return cls(views, labels, *own, trusted, images.n_classes, settings, seed, study)

    @property
    def n(self) -> int:
        """N, the number of audited images."""
        return len(self.labels)

    def heard(self, signals: Signals, labels: Array, found: Array) -> Heard:
        """What the posterior hears of int64 [N] `labels`, of which people found int64 [N] `found`."""
        losses = signals.values["stacked_loss"]
        return Heard(losses[: self.n], labels, found, self.families, losses[self.n :], self.trusted)

    def signals(self, labels: Array) -> Signals:
        """Compute all signals of int64 [N] `labels`, and behind them those of the trusted images."""
        told = self.views.heads(labels)
        damping, heads = self.damping(told)
        average = self.study.what_if(told.labels, damping.value, heads)
        return Signals.of_heads(replace(told, influence=average), self.views.table)

    def planted_one_by_one(self, table: Floats, signals: Signals) -> Floats:
        """Suspicion float64 [2 N] of labels planted on one image at a time, from `table` [N + m, C]: two an image."""
        rng = np.random.default_rng([self.seed, 75])
        rows = np.arange(self.n)
        return np.concatenate(
            [
                table[rows, draw(self._targets(signals.log_probabilities, self.labels, kind), rng)]
                for kind in ("confusion", "uniform")
            ]
        )

    def damping(self, told: HeadOutputs, tell: Tell = lambda step, share: None) -> tuple[Damping, list[SoftmaxHead]]:
        """The fixed damping, or the one with which influence finds planted labels best, and heads trained with it."""
        if self.settings.damping is not None:
            return Damping(float(self.settings.damping), False, ()), []
        rng, labels = np.random.default_rng([self.seed, 74]), told.labels[: self.n]
        planted = {}
        for kind in self.settings.kinds:
            targets = self._targets(told.log_probabilities, labels, kind)
            planted[kind] = np.stack([draw(targets, rng) for _ in range(self.settings.plantings)])
        worth = np.exp(-told.stacked_loss[np.arange(self.n), labels].astype(np.float64))

        def said(done: int, total: int) -> None:
            tell("choosing the damping", 0.3 + 0.2 * done / total)

        single = Single(planted, worth, self.settings.rate)
        return choose_damping(self.study, told.labels, single, self.settings.dampings, average_precision, said)

    def _targets(self, log_probabilities: Array, labels: Array, kind: str) -> Floats:
        """[N, C], the distribution of what is planted on `labels` [N], by the heads' [N + m, C] `log_probabilities`."""
        if kind == "confusion":
            return confusion_targets(log_probabilities[: self.n], labels)
        return uniform_targets(labels, self.n_classes)

    def together(self, log_probabilities: Array, labels: Array) -> list[Together]:
        """Labellings with labels planted together, of each kind. None without a model of the user's."""
        if not any(signal.needs_own for signal in self.views.table):
            return []
        rng, rows, found = np.random.default_rng([self.seed, 76]), np.arange(self.n), list[Together]()
        for kind in self.settings.kinds * repeats(self.n, self.settings.rate):
            targets = self._targets(log_probabilities, labels, kind)
            planted = plant_together(targets, labels, self.families, self.settings.rate, rng)
            signals = self.views.signals(planted)
            values = {name: table[rows, planted].astype(np.float64) for name, table in signals.values.items()}
            found.append(Together(kind, values, planted != labels))
        return found

    def combination(self, signals: Signals, seed: int, trials: Sequence[Together]) -> Combination:
        """Fit the combination of a labelling's signals, those of trusted images last. `trials`: see `together`.

        Of the signals of the user's model, `own_gap` is the best where its probabilities are no odds, and says less
        than the others where they are. It counts where labels planted together are surely found better with it.
        """
        vouched = len(self.trusted) if self.views.vouched else 0
        fit = partial(
            fit_combination,
            signals.select(np.arange(self.n + vouched)),
            n_trusted=vouched,
            plantings=self.settings.plantings,
            seed=seed,
            kinds=self.settings.kinds,
        )
        if not trials:
            return fit(use=self.settings.signals)
        used = list(signals.values) if self.settings.signals is None else list(self.settings.signals)
        choices = [tuple(name for name in used if name != left_out) for left_out in ("own_gap", "")]
        found = [fit(use=use) for use in choices]
        parts = [heads_part(one, list(signals.values), set(OWN), trials) for one in found]
        best = int(parts[1].surely_beats(parts[0]))
        part = parts[best].value
        return found[best] if part == 1 else fit(use=choices[best], heads_part=part)

    def score(self, tell: Tell) -> tuple[Scores, Signals]:
        """Judge the given labels. The bases are given back, since influence needs memory of its own.

        Returns
        -------
        Scores of the audited images, and signals of these and, behind them, the trusted ones.
        """
        tell("fitting heads", 0.2)
        told = self.views.heads(self.labels, self.given)
        trials = self.together(told.log_probabilities, self.labels)
        self.views.release()
        tell("choosing the damping", 0.3)
        damping, heads = self.damping(told, tell)
        tell("measuring influence", 0.5)
        influence = self.study.measure(told.labels, damping.value, heads)
        signals = Signals.of_heads(replace(told, influence=influence.average), self.views.table)
        combination = self.combination(signals, self.seed, trials)
        audited = signals.select(np.arange(self.n))
        values = audited.of(self.labels)
        suggested, probability = _suggest(audited)
        silent = [one.name for one in self.views.table if one.needs_trusted and not self.views.vouched]
        sign = [-1 if one.helps else 1 for one in self.views.table]
        frame = pd.DataFrame(values * sign, columns=list(audited.values)).drop(columns=silent)
        measured = [one for one in INFLUENCE_SIGNALS if self.study.by_class or not one.by_class]
        frame = frame.assign(**{one.name: one.values(influence)[: self.n] for one in measured})
        average = frame["average_influence"].to_numpy(np.float64)
        suspicion = combination.suspicion(values)
        return Scores(suspicion, average, frame, suggested, probability, combination, damping), signals


def _likely(images: Labelled, chosen: slice | Array) -> Array | None:
    """Probabilities of the chosen images, and of the trusted ones behind them; None where none are given."""
    if images.probabilities is None:
        return None
    ours, theirs = images.probabilities[chosen], images.reference_probabilities
    return ours if theirs is None else np.concatenate([ours, theirs])


def _suggest(signals: Signals) -> tuple[Array, Floats]:
    """The most probable other label of each image, and its probability."""
    p = np.exp(signals.log_probabilities.astype(np.float64))
    rows = np.arange(len(p))
    p[rows, signals.labels] = -1
    best = p.argmax(axis=1).astype(np.int64)
    return best, p[rows, best]
