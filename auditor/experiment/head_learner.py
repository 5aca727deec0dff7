"""Trains a linear head on frozen features, and takes its influences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from auditor import engines, influence
from auditor.experiment.run import EngineChoice, EngineInputs, Engines, Fit, Learnt, Weighing, learnt
from auditor.influence.head import RESIDENT_BYTES
from auditor.model import training
from auditor.model.scaling import Scaling, even_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array
from auditor.system.progress import Update


@dataclass(frozen=True)
class FeaturePoints:
    """Inputs and labels of one role: `rows` int64 [n] of the shared float32 `features`, and `y` int64 [n].

    Inputs are copied out when they are asked for. They are not held beside the features of all images. The last
    `n_last` columns of the features are the network's last layer.
    """

    features: Array
    rows: Array
    y: Array
    n_last: int

    @property
    def x(self) -> Array:
        """float32 [n, D]."""
        found: Array = self.features[self.rows]
        return found

    @property
    def last(self) -> Array:
        """float32 [n, n_last], the last layer's columns."""
        return np.ascontiguousarray(self.features[:, -self.n_last :][self.rows])

    def last_of(self, x: Array) -> Array:
        """The last layer's columns of float32 [k, D] features."""
        return np.ascontiguousarray(x[:, -self.n_last :])

    def at(self, positions: Array) -> Array:
        """float32 [k, D] of some of these points."""
        chosen: Array = self.features[self.rows[positions]]
        return chosen


@dataclass(frozen=True)
class HeadLearner:
    """A new linear head on frozen features, trained as the reference study trains it.

    The head that classifies best is not the head that detects best. With `conditioned` a second head gives the
    influences. Its features are standardised over the training split and scaled to one length. Its weight decay equals
    the damping. So the damped Hessian is the Hessian of the loss that was minimised. The second head sees the features
    of several layers, as detection does. The head that classifies sees the last layer's features: the last columns.

    Little is held between trainings. An engine takes its work with it; `shared` keeps the part that no label touches.
    """

    train: FeaturePoints
    val: FeaturePoints | None
    test: FeaturePoints
    reference: FeaturePoints
    n_classes: int
    schedule: training.Schedule
    choice: EngineChoice
    conditioned: bool = False
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_parameters(self) -> int:
        """P = C (D + 1)."""
        return self.n_classes * (self.train.n_last + 1)

    def learn(self, labels: Array, update: Update) -> Learnt:
        """Train on `labels` int64 [N] of the training split."""
        head, fit = self._classifier(labels, update)
        seen, probe, problem = self._influence_problem(head, labels)
        engine = self.choice.open(problem, update)
        exact = engine
        if self.choice.name != "auto":
            exact = replace(self.choice, name="auto").open(problem, update)
        # One solve a row makes the study slow. The exact engines agree, so the fast one answers for them.
        rows = exact if engines.kind(self.choice.name).exact else engine
        inputs = EngineInputs(
            reference=lambda: (seen(self.reference.x), self.reference.y),
            test=lambda chosen: (seen(self.test.at(chosen)), self.test.y[chosen]),
            anywhere=lambda chosen, labels: (seen(self.train.features[chosen]), labels),
        )
        weighing = None
        if self.choice.weighs:
            x, y = inputs.reference()
            weighing = Weighing.of(probe.logits(x), y, probe.logits(np.asarray(problem.features)), labels)
        return learnt(fit, self.test.y, self.choice, Engines(engine, rows, exact), inputs, weighing)

    def _classifier(self, labels: Array, update: Update) -> tuple[SoftmaxHead, Fit]:
        """The head that classifies, and what its training gave."""
        train, val = self.train.last, None if self.val is None else (self.val.last, self.val.y)
        head, losses = training.train_head(
            train, labels, self.n_classes, self.schedule, val=val, device=self.choice.device, progress=update
        )
        return head, Fit(losses, head.logits(train), head.logits(self.test.last))

    def _influence_problem(
        self, head: SoftmaxHead, labels: Array
    ) -> tuple[Callable[[Array], Array], SoftmaxHead, influence.HeadProblem]:
        """What features pass through first, the head whose influences count, and its problem."""
        if not self.conditioned:
            problem = influence.HeadProblem(self.train.last, labels, head.weight, head.bias, self.shared)
            return self.train.last_of, head, problem
        scaling, scaled = self._scaled()
        probe = SoftmaxHead.train(scaled, labels, self.n_classes, self.choice.damping, device=self.choice.device)
        return scaling, probe, influence.HeadProblem(scaled, labels, probe.weight, probe.bias, self.shared)

    def _scaled(self) -> tuple[Callable[[Array], Array], Array]:
        """Training features as an engine reads them, in float64 where the engine would keep them so."""
        x = self.train.x
        scaling = Scaling.of(x)
        scaled = even_rows(scaling(x))
        resident = scaled.astype(np.float64) if 2 * scaled.nbytes <= RESIDENT_BYTES else scaled
        return lambda rows: even_rows(scaling(rows)), resident
