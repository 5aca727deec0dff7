"""One training: its figures, and the engine that explains them. Learners make both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from auditor import influence
from auditor.influence import InfluenceEngine, Solve
from auditor.influence.weighing import pull, robust_weights
from auditor.model import training
from auditor.model.quality import Quality, quality, softmax
from auditor.system.arrays import Array, Ints
from auditor.system.progress import Update

Without = tuple[int, Ints]
"""An image, as an index into the data set, and int64 [r] positions in the training split that are left out."""

LeaveOut = Callable[[Sequence[Without], Update], Array]
"""Gives probabilities float64 [k, C] of k images, each by a head that was trained again without some points."""

Asked = tuple[Any, Any]
"""What an engine takes: inputs and labels."""


@dataclass(frozen=True)
class Run:
    """The figures of one training. They can be kept on the disk.

    Attributes
    ----------
    losses, quality
        Per epoch, and on the test split. Of a head at the minimum of its loss: at the start and at the end.
    probabilities, test_probabilities
        float64 [N, C] of the training points and [n, C] of the test points.
    average_influence
        float64 [N] of every training point over the reference set (pyDVL's mode `up`; negative is harmful). The study's
        is the plain average. Others weigh the reference, and are relative to the label's own gradient (`Weighing`).
    engine, damping, notes
        How influence was computed.
    solves
        Every linear system that these figures took, with its residual.
    weight_decay
        Of a head at the minimum of its loss; None where epochs were counted.
    """

    losses: training.Losses
    quality: Quality
    probabilities: Array
    test_probabilities: Array
    average_influence: Array
    engine: str
    damping: float
    notes: tuple[str, ...]
    solves: tuple[Solve, ...]
    weight_decay: float | None = None


@dataclass(frozen=True)
class Explainer:
    """Asks the engine of one training for rows of the influence matrix. It holds the training features.

    Attributes
    ----------
    rows
        Rows for positions in the test split, [n, N], as exact as a reader needs them.
    rows_of
        The same for any images (indices into the data set) under any labels (int64 [n]). A head answers in closed
        form, whatever its engine.
    solves
        Every linear system solved so far, those of the run's figures included.
    save_matrix
        Writes the influence of every training point on every reference point to a folder, as zarr [n, N].
    leave_out
        Trains the head again without some points; None where that would mean a whole network, or where the head is
        not at the minimum of a loss.
    """

    rows: Callable[[Array], Array]
    rows_of: Callable[[Array, Array], Array]
    solves: Callable[[], tuple[Solve, ...]]
    save_matrix: Callable[[str, dict[str, Any]], None]
    leave_out: LeaveOut | None = None


@dataclass(frozen=True)
class Learnt:
    """What a learner gives: the figures, and who explains them."""

    run: Run
    explainer: Explainer


class Learner(Protocol):
    """Trains on labels of the training split and computes influences."""

    @property
    def n_parameters(self) -> int:
        """P, the parameters that are trained."""
        ...

    @property
    def conditioned(self) -> bool:
        """True where influence comes from the head that detection uses too."""
        ...

    def learn(self, labels: Array, update: Update) -> Learnt:
        """Train on `labels` int64 [N] of the training split."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine inverts the Hessian, how damped, and where; `client` is a Dask cluster's, or None.

    With `weighs` the reference knows that it is noisy (`auditor.influence.weighing`). The study's does not.
    """

    name: str
    damping: float
    device: str
    seed: int
    client: Any = None
    weighs: bool = False

    def open(
        self, problem: influence.HeadProblem | influence.NetworkProblem, update: Update | None = None
    ) -> InfluenceEngine:
        """The engine on a problem."""
        told = None if update is None else lambda text, done, total: update(done, total)
        return influence.engine(problem, self.name, self.damping, device=self.device, seed=self.seed, listener=told)

    def average(self, engine: InfluenceEngine, asked: Asked, weighing: Weighing | None) -> Array:
        """Average influence, by the cluster where there is one."""
        weights = None if weighing is None else weighing.weights
        if self.client is not None:
            from auditor.influence.pydvl.cluster import dask_average

            average = dask_average(engine, *asked, self.client, weights=weights)
        else:
            average = engine.average(*asked) if weights is None else engine.weighted_average(*asked, weights)
        return average if weighing is None else average / weighing.pull


@dataclass(frozen=True)
class Weighing:
    """What makes an average weighted and relative (see `auditor.influence.weighing`).

    Attributes
    ----------
    weights
        float64 [n], how much each reference point counts.
    pull
        float64 [N], size of each training label's own gradient.
    """

    weights: Array
    pull: Array

    @classmethod
    def of(cls, reference: Array, y: Array, train: Array, labels: Array) -> Weighing:
        """From logits [n, C] and labels `y` [n] of the reference, and [N, C] and `labels` [N] of training points."""
        return cls(robust_weights(softmax(reference), y), pull(softmax(train), labels))


@dataclass(frozen=True)
class Fit:
    """What a training gave before influence: logits [N, C] of its points, [n, C] of the test points, and losses.

    `weight_decay` is that of a head at the minimum of its loss; None where epochs were counted.
    """

    losses: training.Losses
    train_logits: Array
    test_logits: Array
    weight_decay: float | None = None


@dataclass(frozen=True)
class Engines:
    """Who answers for averages, for rows of the matrix, and for rows of any image. They may be the same."""

    average: InfluenceEngine
    rows: InfluenceEngine
    exact: InfluenceEngine

    def solves(self) -> tuple[Solve, ...]:
        """Every system solved so far for the averages and for any image."""
        return self.average.solves if self.exact is self.average else (*self.average.solves, *self.exact.solves)


@dataclass(frozen=True)
class EngineInputs:
    """How an engine's inputs are made, each when it is asked for.

    Attributes
    ----------
    reference
        The reference set.
    test
        Test points by position.
    anywhere
        Images of the data set under given labels.
    """

    reference: Callable[[], Asked]
    test: Callable[[Array], Asked]
    anywhere: Callable[[Array, Array], Asked]


def learnt(
    fit: Fit,
    truth: Array,
    choice: EngineChoice,
    engines: Engines,
    inputs: EngineInputs,
    weighing: Weighing | None = None,
) -> Learnt:
    """The figures of a training and its explainer.

    Parameters
    ----------
    truth
        int64 [n], labels of the test points.
    weighing
        How the reference is weighed; None for the plain average.
    """
    average = engines.average
    run = Run(
        losses=fit.losses,
        quality=quality(fit.test_logits, truth, fit.test_logits.shape[1]),
        probabilities=softmax(fit.train_logits),
        test_probabilities=softmax(fit.test_logits),
        average_influence=choice.average(average, inputs.reference(), weighing),
        engine=average.name,
        damping=average.damping,
        notes=average.notes,
        solves=engines.solves(),
        weight_decay=fit.weight_decay,
    )
    explainer = Explainer(
        rows=lambda chosen: engines.rows.shown_rows(*inputs.test(chosen)),
        rows_of=lambda chosen, labels: engines.exact.shown_rows(*inputs.anywhere(chosen, labels)),
        solves=engines.solves,
        save_matrix=lambda path, attributes: _save(path, engines.rows, *inputs.reference(), attributes),
    )
    return Learnt(run, explainer)


def _save(path: str, engine: InfluenceEngine, x: Any, y: Any, attributes: dict[str, Any]) -> None:
    from auditor.influence.pydvl.matrix import save_matrix

    save_matrix(path, engine, x, y, attributes=attributes)
