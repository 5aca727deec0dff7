"""One training and its influences, on the given labels or on planted ones: the unit of the controlled experiment.

A learner is set up once for a data set and then learns any labels of the training split. Everything else about the two
runs of an experiment (initialisation, order of batches, reference set, damping) is the same, so that what differs
between them is the planted noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from auditor import influence, model, training
from auditor.arrays import Array
from auditor.detection.heads import Scaling, SoftmaxHead
from auditor.features import Pixels
from auditor.influence import InfluenceEngine, Solve
from auditor.influence.head import RESIDENT_BYTES

Update = Callable[[int, int], None]
EXACT = ("auto", "cg", "direct")
"""Engines that solve with the exact Hessian; tests hold them against each other."""


@dataclass(frozen=True)
class Run:
    """What one training gave.

    Attributes
    ----------
    losses, quality
        Per epoch, and on the test split.
    probabilities, test_probabilities
        float64 [N, C] of the training and [n, C] of the test points.
    average_influence
        float64 [N] of every training point over the reference set (pyDVL's mode `up`; negative is harmful).
    rows
        Rows of the influence matrix for positions in the test split, [n, N], as exact as a reader needs them.
    rows_of
        The same for any images (indices into the data set) under any labels (int64 [n]); for a head always in closed
        form, whatever the engine.
    engine, damping, notes
        How it was computed.
    solves
        Every linear system solved so far, with its residual.
    save_matrix
        Writes the influence of every training point on every reference point to a folder, as zarr [n, N].
    """

    losses: model.Losses
    quality: model.Quality
    probabilities: Array
    test_probabilities: Array
    average_influence: Array
    rows: Callable[[Array], Array]
    rows_of: Callable[[Array, Array], Array]
    engine: str
    damping: float
    notes: tuple[str, ...]
    solves: Callable[[], tuple[Solve, ...]]
    save_matrix: Callable[[str, dict[str, Any]], None]

    def without_engine(self) -> Run:
        """The numbers alone: an engine holds all training features in its working precision."""
        solves = self.solves()

        def gone(*_: Any) -> Any:
            raise RuntimeError("the engine of this run was let go")

        return replace(self, rows=gone, rows_of=gone, solves=lambda: solves, save_matrix=gone)


def _save(path: str, engine: InfluenceEngine, x: Any, y: Any, attributes: dict[str, Any]) -> None:
    from auditor.influence.matrix import save_matrix

    save_matrix(path, engine, x, y, attributes=attributes)


class Learner(Protocol):
    """Trains on labels of the training split and computes influences."""

    @property
    def n_parameters(self) -> int: ...

    @property
    def conditioned(self) -> bool: ...

    def learn(self, labels: Array, update: Update) -> Run: ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine inverts the Hessian, how damped, and where; `client` is a Dask cluster's, or None."""

    name: str
    damping: float
    device: str
    seed: int
    client: Any = None

    def open(
        self, problem: influence.HeadProblem | influence.NetworkProblem, update: Update | None = None
    ) -> InfluenceEngine:
        """The engine on a problem."""
        told = None if update is None else lambda text, done, total: update(done, total)
        return influence.engine(
            problem, self.name, self.damping, device=self.device, seed=self.seed, progress=told
        )  # fmt: skip

    def average(self, engine: InfluenceEngine, x: Any, y: Any) -> Array:
        """Average influence, by the cluster where there is one."""
        if self.client is None:
            return engine.average(x, y)
        from auditor.influence.cluster import dask_average

        return dask_average(engine, x, y, self.client)


Inputs = tuple[Any, Any]
"""What an engine takes: inputs and labels."""


def _run(
    losses: model.Losses,
    logits: tuple[Array, Array],
    truth: Array,
    n_classes: int,
    choice: EngineChoice,
    engines: tuple[InfluenceEngine, InfluenceEngine, InfluenceEngine],
    reference: Callable[[], Inputs],
    test: Callable[[Array], Inputs],
    anywhere: Callable[[Array, Array], Inputs],
) -> Run:
    """A run from what was trained and what answers for its influences; inputs are made when they are asked for.

    Parameters
    ----------
    logits
        [N, C] of the training and [n, C] of the test points.
    truth
        int64 [n], labels of the test points.
    engines
        For averages, for rows of the matrix, and for rows of any image; they may be the same.
    reference, test, anywhere
        The reference set; test points by position; images of the data set under given labels.
    """
    average, rows, exact = engines
    return Run(
        losses=losses,
        quality=model.quality(logits[1], truth, n_classes),
        probabilities=model.softmax(logits[0]),
        test_probabilities=model.softmax(logits[1]),
        average_influence=choice.average(average, *reference()),
        rows=lambda chosen: rows.shown_rows(*test(chosen)),
        rows_of=lambda chosen, labels: exact.shown_rows(*anywhere(chosen, labels)),
        engine=average.name,
        damping=average.damping,
        notes=average.notes,
        solves=lambda: average.solves if exact is average else (*average.solves, *exact.solves),
        save_matrix=lambda path, attributes: _save(path, rows, *reference(), attributes),
    )


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
        return np.ascontiguousarray(self.features[:, -model.N_FEATURES :][self.rows])

    def at(self, positions: Array) -> Array:
        """float32 [k, D] of some of these points."""
        chosen: Array = self.features[self.rows[positions]]
        return chosen


def _last(x: Array) -> Array:
    """The last layer's columns of float32 [n, D] features."""
    return np.ascontiguousarray(x[:, -model.N_FEATURES :])


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
    schedule: model.Schedule
    choice: EngineChoice
    conditioned: bool = False
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_parameters(self) -> int:
        """P = C (D + 1)."""
        return self.n_classes * (min(self.train.features.shape[1], model.N_FEATURES) + 1)

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
        return _run(
            head.losses, logits, self.test.y, self.n_classes,
            self.choice, (engine, rows, exact), lambda: (seen(self.reference.x), self.reference.y),
            lambda chosen: (seen(self.test.at(chosen)), self.test.y[chosen]),
            lambda chosen, labels: (seen(self.train.features[chosen]), labels),
        )  # fmt: skip

    def _classifier(self, labels: Array, update: Update) -> tuple[model.Head, tuple[Array, Array]]:
        """The head that classifies, and its logits of the training and test points."""
        train, val = self.train.last, None if self.val is None else (self.val.last, self.val.y)
        head = model.train_head(
            train, labels, self.n_classes, self.schedule, val=val, device=self.choice.device, progress=update
        )
        return head, (head.logits(train), head.logits(self.test.last))

    def _influence_problem(
        self, head: model.Head, labels: Array
    ) -> tuple[Callable[[Array], Array], influence.HeadProblem]:
        """The head whose influences count, and what features pass through before they reach it."""
        if not self.conditioned:
            return _last, influence.HeadProblem(self.train.last, labels, head.weight, head.bias, self.shared)
        scaling, scaled = self._scaled()
        probe = SoftmaxHead.train(
            scaled, labels, self.n_classes, self.choice.damping, device=self.choice.device
        )  # fmt: skip
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
    schedule: model.Schedule
    choice: EngineChoice
    conditioned: bool = False
    keeper: Callable[[Array], training.Keeper] | None = None

    @property
    def n_parameters(self) -> int:
        """P, the parameters that are trained."""
        network = copy.deepcopy(self.start)
        model.trainable(network, self.layers)
        return sum(p.numel() for p in network.parameters() if p.requires_grad)

    def learn(self, labels: Array, update: Update) -> Run:
        """Train on `labels` int64 [N] of the training split."""
        device = self.choice.device
        network = copy.deepcopy(self.start)
        model.trainable(network, self.layers)
        val = None if self.val is None else (self.val.images, self.val.y)
        losses = model.train_network(
            network, self.train.images, labels, self.schedule, val=val, device=device, progress=update,
            keeper=None if self.keeper is None else self.keeper(labels),
        )  # fmt: skip
        train = model.network_logits(network, self.train.images, len(labels), device)
        test = model.network_logits(network, self.test.images, len(self.test.y), device)
        engine = self._engine(network, labels, update)

        def placed(points: ImagePoints, chosen: Array) -> tuple[Any, Any]:
            return points.images(chosen), torch.as_tensor(points.y[chosen])

        return _run(
            losses, (train, test), self.test.y, self.n_classes, self.choice, (engine, engine, engine),
            lambda: placed(self.reference, np.arange(len(self.reference.y))),
            lambda chosen: placed(self.test, chosen),
            lambda chosen, labels: (self.train.pixels.batch(chosen), torch.as_tensor(labels)),
        )  # fmt: skip

    def _engine(self, network: nn.Module, labels: Array, update: Update) -> InfluenceEngine:
        def images(part: slice) -> torch.Tensor:
            return self.train.images(np.arange(len(labels))[part])

        return self.choice.open(influence.NetworkProblem(network, images, torch.as_tensor(labels)), update)
