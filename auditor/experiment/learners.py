"""One training and its influences, on the given labels or on planted ones: the unit of the controlled experiment.

A learner is set up once for a data set and then learns any labels of the training split. Everything else about the two
runs of an experiment (initialisation, order of batches, reference set, damping) is the same, so that what differs
between them is the planted noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor import detection as detecting
from auditor import influence
from auditor.config import AuditSettings
from auditor.data.dataset import Dataset
from auditor.data.features import Pixels
from auditor.data.reference import Reference
from auditor.experiment.resuming import TrainingStates
from auditor.experiment.run import EngineChoice, Learner, Run, Update, measured_run
from auditor.influence import InfluenceEngine
from auditor.influence.head import RESIDENT_BYTES
from auditor.model import resnet, training, training_state
from auditor.model.backbone import Backbone
from auditor.model.scaling import Scaling
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array
from auditor.system.checkpoint import Checkpoints

EXACT = ("auto", "cg", "direct")
"""Engines that solve with the exact Hessian; tests hold them against each other."""


@dataclass(frozen=True)
class Points:
    """Inputs and labels of one role: `rows` int64 [n] of float32 `features`, which others share, and `y` int64 [n].

    Inputs are copied out when they are asked for, and not held beside the features of all images.
    """

    features: Array
    rows: Array
    y: Array

    @property
    def x(self) -> Array:
        """float32 [n, D]."""
        found: Array = self.features[self.rows]
        return found

    @property
    def last(self) -> Array:
        """float32 [n, 512], the last layer's columns."""
        return np.ascontiguousarray(self.features[:, -resnet.N_FEATURES :][self.rows])

    def at(self, positions: Array) -> Array:
        """float32 [k, D] of some of these points."""
        chosen: Array = self.features[self.rows[positions]]
        return chosen


def _last(x: Array) -> Array:
    """The last layer's columns of float32 [n, D] features."""
    return np.ascontiguousarray(x[:, -resnet.N_FEATURES :])


@dataclass(frozen=True)
class HeadLearner:
    """A new linear head on frozen features, trained as the reference study trains it.

    The head that classifies best is not the one that detects best. With `conditioned` the influences are those of a
    second head, on features standardised over the training split (a frozen layer of the network, as it were) and
    fitted with a weight decay equal to the damping, so that the damped Hessian is the Hessian of what was minimised.
    It sees the features of several layers, as detection does; the head that classifies sees the last layer's, which
    are the last columns.

    Between trainings little is held: what an engine works on goes with it, but for what no label touches (`shared`).
    """

    train: Points
    val: Points | None
    test: Points
    reference: Points
    n_classes: int
    schedule: training.Schedule
    choice: EngineChoice
    conditioned: bool = False
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_parameters(self) -> int:
        """P = C (D + 1)."""
        return self.n_classes * (min(self.train.features.shape[1], resnet.N_FEATURES) + 1)

    def learn(self, labels: Array, update: Update) -> Run:
        """Train on `labels` int64 [N] of the training split."""
        head, logits = self._classifier(labels, update)
        seen, problem = self._influence_problem(head, labels)
        engine = self.choice.open(problem, update)
        exact = engine
        if self.choice.name != "auto":
            exact = replace(self.choice, name="auto").open(problem, update)
        # A row a solve is what makes the study slow; the exact engines agree, so the fast one answers for them.
        rows = exact if self.choice.name in EXACT else engine
        return measured_run(
            head.losses,
            logits,
            self.test.y,
            self.n_classes,
            self.choice,
            (engine, rows, exact),
            lambda: (seen(self.reference.x), self.reference.y),
            lambda chosen: (seen(self.test.at(chosen)), self.test.y[chosen]),
            lambda chosen, labels: (seen(self.train.features[chosen]), labels),
        )

    def _classifier(self, labels: Array, update: Update) -> tuple[training.Head, tuple[Array, Array]]:
        """The head that classifies, and its logits of the training and test points."""
        train, val = self.train.last, None if self.val is None else (self.val.last, self.val.y)
        head = training.train_head(
            train, labels, self.n_classes, self.schedule, val=val, device=self.choice.device, progress=update
        )
        return head, (head.logits(train), head.logits(self.test.last))

    def _influence_problem(
        self, head: training.Head, labels: Array
    ) -> tuple[Callable[[Array], Array], influence.HeadProblem]:
        """The head whose influences count, and what features pass through before they reach it."""
        if not self.conditioned:
            return _last, influence.HeadProblem(self.train.last, labels, head.weight, head.bias, self.shared)
        scaling, scaled = self._scaled()
        probe = SoftmaxHead.train(scaled, labels, self.n_classes, self.choice.damping, device=self.choice.device)
        return scaling, influence.HeadProblem(scaled, labels, probe.weight, probe.bias, self.shared)

    def _scaled(self) -> tuple[Scaling, Array]:
        """Training features as an engine reads them, in its precision where it would keep them in that."""
        x = self.train.x
        scaling = Scaling.of(x)
        scaled = scaling(x)
        return scaling, scaled.astype(np.float64) if 2 * scaled.nbytes <= RESIDENT_BYTES else scaled


@dataclass(frozen=True)
class ImagePoints:
    """The same for networks that see pixels: `rows` of `pixels`, and `y` int64 [n]."""

    pixels: Pixels
    rows: Array
    y: Array

    def images(self, index: Array | torch.Tensor) -> torch.Tensor:
        """Normalised float32 [n, 3, S, S] at positions of this role."""
        return self.pixels.batch(self.rows[np.asarray(index)])


@dataclass(frozen=True)
class NetworkLearner:
    """A network trained as a whole or in part, starting from the same parameters each time."""

    start: nn.Module
    layers: str
    train: ImagePoints
    val: ImagePoints | None
    test: ImagePoints
    reference: ImagePoints
    n_classes: int
    schedule: training.Schedule
    choice: EngineChoice
    conditioned: bool = False
    keeper: Callable[[Array], training_state.Keeper] | None = None

    @property
    def n_parameters(self) -> int:
        """P, the parameters that are trained."""
        network = copy.deepcopy(self.start)
        training.trainable(network, self.layers)
        return sum(p.numel() for p in network.parameters() if p.requires_grad)

    def learn(self, labels: Array, update: Update) -> Run:
        """Train on `labels` int64 [N] of the training split."""
        device = self.choice.device
        network = copy.deepcopy(self.start)
        training.trainable(network, self.layers)
        val = None if self.val is None else (self.val.images, self.val.y)
        losses = training.train_network(
            network,
            self.train.images,
            labels,
            self.schedule,
            val=val,
            device=device,
            progress=update,
            keeper=None if self.keeper is None else self.keeper(labels),
        )
        train = training.network_logits(network, self.train.images, len(labels), device)
        test = training.network_logits(network, self.test.images, len(self.test.y), device)
        engine = self._engine(network, labels, update)

        def placed(points: ImagePoints, chosen: Array) -> tuple[Any, Any]:
            return points.images(chosen), torch.as_tensor(points.y[chosen])

        return measured_run(
            losses,
            (train, test),
            self.test.y,
            self.n_classes,
            self.choice,
            (engine, engine, engine),
            lambda: placed(self.reference, np.arange(len(self.reference.y))),
            lambda chosen: placed(self.test, chosen),
            lambda chosen, labels: (self.train.pixels.batch(chosen), torch.as_tensor(labels)),
        )

    def _engine(self, network: nn.Module, labels: Array, update: Update) -> InfluenceEngine:
        def images(part: slice) -> torch.Tensor:
            return self.train.images(np.arange(len(labels))[part])

        return self.choice.open(influence.NetworkProblem(network, images, torch.as_tensor(labels)), update)


STUDY_DAMPING = 1e-3

NETWORK_DAMPING = 1.0
"""For parameters beyond the head, where choosing by recovery would take a training for every candidate."""


def make_learner(
    data: Dataset,
    trusted: Reference | None,
    backbone: Backbone,
    settings: AuditSettings,
    detection: detecting.Detection | None,
    client: Any,
    kept: Checkpoints,
) -> Learner:
    schedule = training.Schedule(settings.epochs, settings.learning_rate, settings.batch_size, settings.seed)
    conditioned = settings.conditions_head
    damping = STUDY_DAMPING if settings.damping == "auto" else float(settings.damping)
    if conditioned and detection is not None:
        damping = detection.damping.value
    elif settings.damping == "auto" and not settings.trains_head_only:
        damping = NETWORK_DAMPING
    choice = EngineChoice(settings.engine, damping, backbone.device, settings.seed, client)
    if settings.trains_head_only:

        def points(name: str) -> Points:
            rows = data.rows(name)
            return Points(data.features, rows, data.labels[rows])

        reference = points("test")
        if trusted is not None:
            reference = Points(trusted.features, np.arange(len(trusted.labels)), trusted.labels)
        val = points("val") if len(data.rows("val")) else None
        return HeadLearner(
            points("train"),
            val,
            points("test"),
            reference,
            data.n_classes,
            schedule,
            choice,
            conditioned,
        )

    def images(name: str) -> ImagePoints:
        rows = data.rows(name)
        assert data.pixels is not None
        return ImagePoints(data.pixels, rows, data.labels[rows])

    if trusted is None:
        reference_images = images("test")
    else:
        assert trusted.pixels is not None
        reference_images = ImagePoints(trusted.pixels, np.arange(len(trusted.labels)), trusted.labels)
    return NetworkLearner(
        backbone.network,
        settings.train,
        images("train"),
        images("val") if len(data.rows("val")) else None,
        images("test"),
        reference_images,
        data.n_classes,
        schedule,
        choice,
        keeper=lambda labels: TrainingStates(kept, labels),
    )
