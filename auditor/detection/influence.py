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

from auditor.detection.results import Damping, DampingTrial
from auditor.influence import HeadProblem
from auditor.influence.closed_form import ClosedForm
from auditor.model.scaling import Scaling
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats
from auditor.system.progress import Update

LOSS_CAP = 60.0
"""No loss is reported higher than this."""

CLASSWISE_LIMIT = 2**24
"""Up to this number of classes times the head's parameters, influence is measured by class of the reference: 136
classes at 896 features. It takes one solve a class, with this many numbers in all right-hand sides together. The signal
is only reported, and at 300 classes it took most of an audit's time."""


@dataclass(frozen=True)
class Influence:
    """Influence of the labels of N images.

    Attributes
    ----------
    average
        float64 [N], average influence on the reference.
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


class InfluenceStudy:
    """Measures influence of labellings of the same images, on a trusted reference or, without one, on each other.

    Parameters
    ----------
    features
        float32 [N, D].
    n_classes
        C.
    reference
        Trusted features [m, D] and labels [m], or None. Without one the images are split into folds. Each fold is left
        out once: a head is trained on the others, and their influence is measured on that fold. An image's influence
        is the average over the heads that it trains.
    folds
        Number of folds, at least 2.
    seed
        Draws the folds.
    device
        Where heads are trained and systems are solved.
    scaling
        Standardises features of images and reference whenever some are needed, so that no second copy of all is kept.
        None where they are standardised already.
    """

    def __init__(
        self,
        features: Array,
        n_classes: int,
        *,
        reference: tuple[Array, Array] | None,
        folds: int,
        seed: int,
        device: str = "cpu",
        scaling: Scaling | None = None,
    ) -> None:
        self.features = features
        self.scaling = scaling
        self.device = device
        self.n_classes = n_classes
        self.reference = reference
        n = len(features)
        folds = max(2, min(folds, n))
        fold = np.random.default_rng([seed, 73]).permutation(n) % folds
        everything = np.arange(n)
        self.splits: list[tuple[Array, Array]] = (
            [(everything, everything[:0])]
            if reference is not None
            else [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(folds)]
        )
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

    def averages(self, labels: Array, dampings: Sequence[float]) -> tuple[Array, Floats]:
        """Measure average influence on the first split, at several dampings.

        Returns
        -------
        Rows int64 [n] that train the head, and their average influence float64 [n_dampings, n].
        """
        train, held = self.splits[0]
        x, y = self._target(labels, held)
        seen, taught = self._seen(train), labels[train]
        head, rows = None, []
        for damping in sorted(dampings, reverse=True):
            head = SoftmaxHead.train(seen, taught, self.n_classes, damping, start=head, device=self.device)
            rows.append(self._engine(head, seen, taught, damping, split=0).average(x, y))
        order = np.argsort(np.argsort(-np.asarray(dampings), kind="stable"), kind="stable")
        return train, np.stack(rows)[order]

    def _target(self, labels: Array, held: Array) -> tuple[Array, Array]:
        if self.reference is None:
            return self._seen(held), labels[held]
        x, y = self.reference
        return (x, y) if self.scaling is None else (self.scaling(x), y)

    def _seen(self, rows: Array) -> Array:
        """Standardised features of `rows`."""
        return self.features[rows] if self.scaling is None else self.scaling(self.features, rows)

    def _one(self, labels: Array, split: int, damping: float) -> Influence:
        train, held = self.splits[split]
        seen = self._seen(train)
        head = SoftmaxHead.train(seen, labels[train], self.n_classes, damping, device=self.device)
        engine = self._engine(head, seen, labels[train], damping, split)
        x, y = self._target(labels, held)
        average, classwise = self._averages(engine, labels[train], x, y)
        logits = torch.as_tensor(head.logits(seen))
        loss = -torch.log_softmax(logits, dim=1).numpy()[np.arange(len(train)), labels[train]]
        return Influence(average, classwise, engine.self_influence(), np.minimum(loss, LOSS_CAP))

    def _averages(self, engine: ClosedForm, labels: Array, x: Array, y: Array) -> tuple[Floats, Floats]:
        """Average influence of the trained images on `x`, `y`, and on the points of each image's own label only."""
        if not self.by_class:
            return engine.average(x, y), np.full(len(labels), np.nan)
        # The plain average is the mean of the class-wise influences, weighted by class size: no further solve.
        by_class = np.asarray(engine.average_by_class(x, y, self.n_classes))
        average = (np.bincount(y, minlength=self.n_classes) / len(y)) @ by_class
        return average, by_class[labels, np.arange(len(labels))]

    def _engine(self, head: SoftmaxHead, features: Array, labels: Array, damping: float, split: int) -> ClosedForm:
        problem = HeadProblem(features, labels, head.weight, head.bias, self._shared[split])
        return ClosedForm(problem, damping, device=self.device, dtype=torch.float32)


def choose_damping(
    study: InfluenceStudy,
    plantings: Sequence[tuple[Array, Array]],
    dampings: Sequence[float],
    score: Callable[[Array, Floats], float],
    told: Update = lambda done, total: None,
) -> Damping:
    """Choose the damping with which average influence finds planted flips best.

    Parameters
    ----------
    study
        Measures influence.
    plantings
        Pairs of labels int64 [N] and planted flags bool [N].
    dampings
        Candidates.
    score
        Average precision of bool flags [n] by a suspicion float64 [n].
    told
        Called with the number of plantings done, and of all.
    """
    results = np.zeros((len(plantings), len(dampings)))
    for i, (labels, planted) in enumerate(plantings):
        train, values = study.averages(labels, dampings)
        results[i] = [score(planted[train], -row) for row in values]
        told(i + 1, len(plantings))
    means = results.mean(axis=0)
    trace = tuple(
        DampingTrial(float(d), float(means[j]), tuple(map(float, results[:, j]))) for j, d in enumerate(dampings)
    )
    return Damping(float(dampings[int(np.argmax(means))]), True, trace)
