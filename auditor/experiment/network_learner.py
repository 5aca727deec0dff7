"""Trains a network as a whole or in part, and takes its influences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor import influence
from auditor.data.features import Pixels
from auditor.experiment.run import EngineChoice, EngineInputs, Engines, Fit, Learnt, Weighing, learnt
from auditor.influence import InfluenceEngine
from auditor.model import training, training_state
from auditor.system.arrays import Array
from auditor.system.progress import Update


@dataclass(frozen=True)
class ImagePoints:
    """Images and labels of one role: `rows` int64 [n] of `pixels`, and `y` int64 [n]."""

    pixels: Pixels
    rows: Array
    y: Array

    def images(self, index: Array | torch.Tensor) -> torch.Tensor:
        """Normalised float32 [n, 3, S, S] at positions of this role."""
        return self.pixels.batch(self.rows[np.asarray(index)])


@dataclass(frozen=True)
class NetworkLearner:
    """A network trained as a whole or in part. Each training starts from the same parameters.

    It trains on `device`, and its influences are computed where `choice` says.
    """

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
    device: str = "cpu"
    store: Callable[[Array], training_state.StateStore] | None = None

    @property
    def n_parameters(self) -> int:
        """P, the parameters that are trained."""
        network = copy.deepcopy(self.start)
        training.trainable(network, self.layers)
        return sum(p.numel() for p in network.parameters() if p.requires_grad)

    def learn(self, labels: Array, update: Update) -> Learnt:
        """Train on `labels` int64 [N] of the training split."""
        network = copy.deepcopy(self.start)
        training.trainable(network, self.layers)
        losses = training.train_network(
            network,
            training.LabelledImages(self.train.images, labels),
            self.schedule,
            val=None if self.val is None else training.LabelledImages(self.val.images, self.val.y),
            device=self.device,
            progress=update,
            store=None if self.store is None else self.store(labels),
        )
        train = training.network_logits(network, self.train.images, len(labels), self.device)
        test = training.network_logits(network, self.test.images, len(self.test.y), self.device)
        weighing = None
        if self.choice.weighs:  # before the engine takes the network to another device
            reference = training.network_logits(network, self.reference.images, len(self.reference.y), self.device)
            weighing = Weighing.of(reference, self.reference.y, train, labels)
        engine = self._engine(network, labels, update)

        def placed(points: ImagePoints, chosen: Array) -> tuple[Any, Any]:
            return points.images(chosen), torch.as_tensor(points.y[chosen])

        inputs = EngineInputs(
            reference=lambda: placed(self.reference, np.arange(len(self.reference.y))),
            test=lambda chosen: placed(self.test, chosen),
            anywhere=lambda chosen, labels: (self.train.pixels.batch(chosen), torch.as_tensor(labels)),
        )
        fit, asked = Fit(losses, train, test), Engines(engine, engine, engine)
        return learnt(fit, self.test.y, self.choice, asked, inputs, weighing)

    def _engine(self, network: nn.Module, labels: Array, update: Update) -> InfluenceEngine:
        def images(part: slice) -> torch.Tensor:
            return self.train.images(np.arange(len(labels))[part])

        return self.choice.open(influence.NetworkProblem(network, images, torch.as_tensor(labels)), update)
