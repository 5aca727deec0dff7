"""Trains a linear head on frozen features, and takes its influences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from auditor import engines, influence
from auditor.experiment.run import EngineChoice, EngineInputs, Engines, Fit, Learnt, Weighing, Without, learnt
from auditor.influence.head import RESIDENT_BYTES
from auditor.influence.leave_one_out import Question, left_out
from auditor.model import training
from auditor.model.converged_head import choose_weight_decay, mean_loss
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
class Probe:
    """The head whose influences count, its problem, and what features pass through before they reach it."""

    seen: Callable[[Array], Array]
    head: SoftmaxHead
    problem: influence.HeadProblem


@dataclass(frozen=True)
class HeadLearner:
    """A new linear head on frozen features, trained as the reference study trains it.

    The head that classifies best is not the head that detects best. With `conditioned` a second head gives the
    influences. Its features are standardised over the training split and scaled to one length. Its weight decay equals
    the damping. So the damped Hessian is the Hessian of the loss that was minimised. The second head sees the features
    of several layers, as detection does. The head that classifies sees the last layer's features: the last columns.

    Features that no network of images made may have any scale. With `converged` both heads see them standardised, and
    both are trained to the minimum of their loss. The one that classifies has the weight decay with which left-out
    labels of the same training are told best: labels with planted noise need more of it. The one that gives the
    influences is the second head above, whatever the damping.

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
    converged: bool = False
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_parameters(self) -> int:
        """P = C (D + 1)."""
        return self.n_classes * (self.train.n_last + 1)

    @property
    def leaves_out(self) -> bool:
        """Whether the head whose influences count is at the minimum of its loss, so that another one can be found."""
        return self.conditioned or self.converged

    def learn(self, labels: Array, update: Update) -> Learnt:
        """Train on `labels` int64 [N] of the training split."""
        fit, probe = self._trained(labels, update)
        seen, problem = probe.seen, probe.problem
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
            said = probe.head.logits(x), y, probe.head.logits(np.asarray(problem.features)), labels
            weighing = Weighing.of(*said)
        found = learnt(fit, self.test.y, self.choice, Engines(engine, rows, exact), inputs, weighing)
        if not self.leaves_out:
            return found

        def leave_out(asked: Sequence[Without], update: Update) -> Array:
            questions = [Question(seen(self.train.features[[image]])[0], without) for image, without in asked]
            return left_out(problem, self.choice.damping, questions, device=self.choice.device, tell=update)

        return replace(found, explainer=replace(found.explainer, leave_out=leave_out))

    def _trained(self, labels: Array, update: Update) -> tuple[Fit, Probe]:
        """What the head that classifies says, and the head whose influences count."""
        if self.converged:
            return self._converged(labels), self._second(labels)
        head, fit = self._classifier(labels, update)
        if self.conditioned:
            return fit, self._second(labels)
        problem = influence.HeadProblem(self.train.last, labels, head.weight, head.bias, self.shared)
        return fit, Probe(self.train.last_of, head, problem)

    def _classifier(self, labels: Array, update: Update) -> tuple[SoftmaxHead, Fit]:
        """The head that classifies, and what its training gave."""
        train, val = self.train.last, None if self.val is None else (self.val.last, self.val.y)
        head, losses = training.train_head(
            train, labels, self.n_classes, self.schedule, val=val, device=self.choice.device, progress=update
        )
        return head, Fit(losses, head.logits(train), head.logits(self.test.last))

    def _converged(self, labels: Array) -> Fit:
        """What the head at the minimum of its loss says. It starts at zero, where all classes are alike."""
        scaling = Scaling.of(self.train.x)
        x = scaling(self.train.x)
        decay = choose_weight_decay(x, labels, self.n_classes, self.schedule.seed, device=self.choice.device)
        head = SoftmaxHead.train(x, labels, self.n_classes, decay, device=self.choice.device)
        start, ends = float(np.log(self.n_classes)), [mean_loss(head, x, labels)]
        if self.val is not None:
            ends.append(mean_loss(head, scaling(self.val.x), self.val.y))
        losses = training.Losses(*((start, end) for end in ends))
        return Fit(losses, head.logits(x), head.logits(scaling(self.test.x)), decay)

    def _second(self, labels: Array) -> Probe:
        """The head whose weight decay is the damping."""
        seen, x = self._scaled()
        head = SoftmaxHead.train(x, labels, self.n_classes, self.choice.damping, device=self.choice.device)
        return Probe(seen, head, influence.HeadProblem(x, labels, head.weight, head.bias, self.shared))

    def _scaled(self) -> tuple[Callable[[Array], Array], Array]:
        """Training features as an engine reads them, in float64 where the engine would keep them so."""
        x = self.train.x
        scaling = Scaling.of(x)
        scaled = even_rows(scaling(x))
        resident = scaled.astype(np.float64) if 2 * scaled.nbytes <= RESIDENT_BYTES else scaled
        return lambda rows: even_rows(scaling(rows)), resident
