"""Average influence of every image, and the damping under which it finds planted flips best.

The head is conditioned for detection, not for accuracy: standardised features, and a weight decay equal to the
damping, so that what is inverted is the Hessian of the very objective that was minimised.
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

CLASSWISE_LIMIT = 2**24
"""Classes times the head's parameters up to which influence is measured by class of the reference: 136 classes of 896
features. It takes a solve a class, whose right-hand sides together are so many numbers, for a signal that is only
reported; at 300 classes that was most of an audit's time."""


@dataclass(frozen=True)
class Influence:
    """float64 [N] each: average influence, the same over reference points of the given class only, self-influence
    and the loss of the label by the head that was trained on it. `classwise` is NaN beyond `CLASSWISE_LIMIT`."""

    average: Floats
    classwise: Floats
    own: Floats
    loss: Floats


class InfluenceStudy:
    """Influence of labellings of the same images on a trusted reference or, without one, on each other.

    Parameters
    ----------
    features
        float32 [N, D].
    scaling
        Standardises them, and the reference's, whenever some are needed: a second copy of all is not kept. None where
        they are standardised.
    reference
        Trusted features and labels, or None: then the images are split into folds, and the
        influence of an image is the average over the heads of the folds that it trains, measured on the fold left
        out.
    device
        Where heads are trained and systems are solved.
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
        self._shared: list[dict[Any, Any]] = [{} for _ in self.splits]  # of each split's features, whatever the head

    @property
    def by_class(self) -> bool:
        """Whether influence is measured by class of the reference too."""
        return self.n_classes**2 * (self.features.shape[1] + 1) <= CLASSWISE_LIMIT

    def measure(self, labels: Array, damping: float) -> Influence:
        """Influence of int64 [N] `labels`."""
        total = {name: np.zeros(len(labels)) for name in ("average", "classwise", "own", "loss")}
        times = np.zeros(len(labels))
        for split, (train, _) in enumerate(self.splits):
            part = self._one(labels, split, damping)
            for name, values in total.items():
                values[train] += getattr(part, name)
            times[train] += 1
        return Influence(**{name: values / np.maximum(times, 1) for name, values in total.items()})

    def averages(self, labels: Array, dampings: Sequence[float]) -> tuple[Array, Floats]:
        """Rows that train the first split's head, and their average influence [n_dampings, n] at each damping."""
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
        """Average influence of the trained images on `x`, `y`, and on those of an image's own label alone."""
        if not self.by_class:
            return engine.average(x, y), np.full(len(labels), np.nan)
        # Averaged over the classes with their shares the class-wise influences are the plain average: one solve.
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
    """Of `dampings` the one whose average influence recovers the flips best.

    Parameters
    ----------
    plantings
        Pairs of labels int64 [N] and planted flags bool [N].
    score
        Average precision of flags by a suspicion.
    told
        Called with the plantings done and their number.
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
