"""Average influence of every image, and the damping with which it finds planted flips best.

The head is conditioned for detection, not for accuracy. Its features are standardised and its weight decay equals the
damping. The matrix that is inverted is therefore the Hessian of the very objective that was minimised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auditor.detection.kin import Kin
from auditor.detection.results import Damping, DampingTrial
from auditor.influence import HeadProblem
from auditor.influence.closed_form import ClosedForm
from auditor.influence.weighing import as_shares, given_probability, pull
from auditor.model.scaling import Scaling, even_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats
from auditor.system.progress import Update

LOSS_CAP = 60.0
"""No loss is reported higher than this."""

CLASSWISE_LIMIT = 2**24
"""Up to this number of classes times the head's parameters, influence is measured by class of the reference: 136
classes at 896 features. It takes one solve a class, with this many numbers in all right-hand sides together. The signal
is only reported, and at 300 classes it took most of an audit's time."""

TUNING_SPLITS = 2
"""Splits on which a damping is tried."""


@dataclass(frozen=True)
class Influence:
    """Influence of the labels of N images.

    Attributes
    ----------
    average
        float64 [N], average influence on a weighted reference, relative to the size of the label's own gradient.
    classwise
        float64 [N], the same over reference points of the image's own label only; NaN beyond `CLASSWISE_LIMIT`.
    own
        float64 [N], self-influence.
    loss
        float64 [N], loss of the label by the head that was trained on it, at most `LOSS_CAP`.
    """

    average: Floats
    classwise: Floats
    own: Floats
    loss: Floats


def folds_of(families: Array | None, n: int, folds: int, seed: int) -> Array:
    """Draw int64 [N], the fold of each of `n` images, of two `folds` at least.

    A family (int64 [N]; None where each image stands alone) lies in one fold: no copy of an image speaks for its label.
    """
    return Kin.of(families, n).folds(max(2, min(folds, n)), np.random.default_rng([seed, 73]))


@dataclass(frozen=True)
class Tried:
    """Average influence float64 [n] of the images `rows` int64 [n]."""

    rows: Array
    average: Floats


class InfluenceStudy:
    """Measures influence of labellings of the same images on each other, and on a trusted reference where there is one.

    The images are split into folds. Each fold is left out once: a head is trained on the others, and their influence is
    measured on that fold. An image's influence is the average over the heads that it trains. Trusted images join every
    fold that is left out. They train no head.

    The reference knows that it is noisy (`auditor.influence.weighing`): each of its images counts by the probability of
    its label by the head, which has not seen it. This holds for trusted images too, since those that nothing resembles
    would outvote all others. And influence is relative to the size of the label's own gradient.

    Parameters
    ----------
    features
        float32 [N, D].
    n_classes
        C.
    reference
        Trusted features [m, D] and labels [m], or None.
    fold
        int64 [N], the fold of each image, from 0 on, at least two of them (see `folds_of`).
    device
        Where heads are trained and systems are solved.
    scaling
        Standardises features of images and reference whenever some are needed, so that no second copy of all is kept.
        None where they are standardised already. Their rows are scaled to one length in any case.
    """

    def __init__(
        self,
        features: Array,
        n_classes: int,
        *,
        reference: tuple[Array, Array] | None,
        fold: Array,
        device: str = "cpu",
        scaling: Scaling | None = None,
    ) -> None:
        self.features = features
        self.scaling = scaling
        self.device = device
        self.n_classes = n_classes
        self.reference = reference
        self.splits: list[tuple[Array, Array]] = [
            (np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(int(fold.max()) + 1)
        ]
        # What engines keep of each split's features, for any head.
        self._shared: list[dict[Any, Any]] = [{} for _ in self.splits]

    @property
    def by_class(self) -> bool:
        """Whether influence is also measured by class of the reference."""
        return self.n_classes**2 * (self.features.shape[1] + 1) <= CLASSWISE_LIMIT

    def measure(self, labels: Array, damping: float) -> Influence:
        """Measure the influence of int64 [N] `labels`, with `damping` as weight decay too."""
        total = {name: np.zeros(len(labels)) for name in ("average", "classwise", "own", "loss")}
        times = np.zeros(len(labels))
        for split, (train, _) in enumerate(self.splits):
            part = self._one(labels, split, damping)
            for name, values in total.items():
                values[train] += getattr(part, name)
            times[train] += 1
        return Influence(**{name: values / np.maximum(times, 1) for name, values in total.items()})

    def averages(self, labels: Array, damping: float, start: Sequence[SoftmaxHead]) -> tuple[Tried, list[SoftmaxHead]]:
        """Measure average influence on the first `TUNING_SPLITS` splits.

        One split alone prefers a damping that is too strong: an average over heads needs less of it.

        Parameters
        ----------
        start
            A head a split to start from, such as those of a near damping; none for zeros.

        Returns
        -------
        Rows and their influence, and the heads.
        """
        total, times, heads = np.zeros(len(labels)), np.zeros(len(labels)), []
        for split, (train, held) in enumerate(self.splits[:TUNING_SPLITS]):
            (x, y), seen, taught = self._target(labels, held), self._seen(train), labels[train]
            first = start[split] if start else None
            head = SoftmaxHead.train(seen, taught, self.n_classes, damping, start=first, device=self.device)
            engine = self._engine(head, seen, taught, damping, split)
            average = engine.weighted_average(x, y, given_probability(head.probabilities(x), y))
            total[train] += average / pull(head.probabilities(seen), taught)
            times[train] += 1
            heads.append(head)
        rows = np.flatnonzero(times)
        return Tried(rows, total[rows] / times[rows]), heads

    def _target(self, labels: Array, held: Array) -> tuple[Array, Array]:
        """Features and labels of the reference: the images that are left out, then the trusted ones."""
        if self.reference is None:
            return self._seen(held), labels[held]
        x, y = self.reference
        trusted = even_rows(x if self.scaling is None else self.scaling(x))
        return np.concatenate([self._seen(held), trusted]), np.concatenate([labels[held], y])

    def _seen(self, rows: Array) -> Array:
        """Standardised features of `rows`, scaled to one length."""
        return even_rows(self.features[rows] if self.scaling is None else self.scaling(self.features, rows))

    def _one(self, labels: Array, split: int, damping: float) -> Influence:
        train, held = self.splits[split]
        seen, taught = self._seen(train), labels[train]
        head = SoftmaxHead.train(seen, taught, self.n_classes, damping, device=self.device)
        engine = self._engine(head, seen, taught, damping, split)
        x, y = self._target(labels, held)
        shares = as_shares(given_probability(head.probabilities(x), y), len(y))
        p = head.probabilities(seen)
        size, own = pull(p, taught), p[np.arange(len(train)), taught]
        average, classwise = self._averages(engine, taught, x, y, shares)
        loss = np.minimum(-np.log(np.maximum(own, np.exp(-LOSS_CAP))), LOSS_CAP)
        return Influence(average / size, classwise / size, engine.self_influence(), loss)

    def _averages(self, engine: ClosedForm, labels: Array, x: Array, y: Array, shares: Floats) -> tuple[Floats, Floats]:
        """Influence of the trained images on `x`, `y`, weighted by `shares` [1, n], and on their own class."""
        if not self.by_class:
            average: Floats = engine.sums(x, y, shares)[0]
            return average, np.full(len(labels), np.nan)
        # The average is the sum of the class-wise influences, weighted by each class's share: no further solve.
        members = shares * (y == np.arange(self.n_classes)[:, None])
        of_class = members.sum(axis=1)
        by_class = engine.sums(x, y, members / np.where(of_class > 0, of_class, 1)[:, None])
        return of_class @ by_class, by_class[labels, np.arange(len(labels))]

    def _engine(self, head: SoftmaxHead, features: Array, labels: Array, damping: float, split: int) -> ClosedForm:
        problem = HeadProblem(features, labels, head.weight, head.bias, self._shared[split])
        return ClosedForm(problem, damping, device=self.device, dtype=torch.float32)


def choose_damping(
    study: InfluenceStudy,
    plantings: Sequence[tuple[Array, Array]],
    dampings: Sequence[float],
    right: Floats,
    score: Callable[[Array, Floats, Floats], float],
    told: Update = lambda done, total: None,
) -> Damping:
    """Choose the damping with which average influence finds planted flips best.

    They are tried from the strongest down, until plantings are found worse again. Weaker ones overfit more.

    Parameters
    ----------
    study
        Measures influence.
    plantings
        Pairs of labels int64 [N] and planted flags bool [N].
    dampings
        Candidates.
    right
        float64 [N], how probable each given label was before anything was planted. An image counts by it: where the
        given label is wrong too, a planting shows nothing.
    score
        Average precision of bool flags [n] by a suspicion float64 [n], with weights float64 [n].
    told
        Called with the number of dampings done, and of all.
    """
    heads: list[list[SoftmaxHead]] = [[] for _ in plantings]
    trace: list[DampingTrial] = []
    for damping in sorted(dampings, reverse=True):
        found = []
        for i, (labels, planted) in enumerate(plantings):
            tried, heads[i] = study.averages(labels, damping, heads[i])
            found.append(score(planted[tried.rows], -tried.average, right[tried.rows]))
        trace.append(DampingTrial(float(damping), float(np.mean(found)), tuple(map(float, found))))
        told(len(trace), len(dampings))
        if len(trace) > 1 and trace[-1].average_precision < trace[-2].average_precision:
            break
    best = max(trace, key=lambda trial: trial.average_precision)
    return Damping(best.damping, True, tuple(sorted(trace, key=lambda trial: trial.damping)))
