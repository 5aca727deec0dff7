"""TODO auditor.experiment.run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from auditor import influence
from auditor.influence import InfluenceEngine, Solve
from auditor.model import training
from auditor.model.quality import Quality, quality, softmax
from auditor.system.arrays import Array

Update = Callable[[int, int], None]


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

    losses: training.Losses
    quality: Quality
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
    from auditor.influence.pydvl.matrix import save_matrix

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
        return influence.engine(problem, self.name, self.damping, device=self.device, seed=self.seed, progress=told)

    def average(self, engine: InfluenceEngine, x: Any, y: Any) -> Array:
        """Average influence, by the cluster where there is one."""
        if self.client is None:
            return engine.average(x, y)
        from auditor.influence.pydvl.cluster import dask_average

        return dask_average(engine, x, y, self.client)


Inputs = tuple[Any, Any]
"""What an engine takes: inputs and labels."""


def measured_run(
    losses: training.Losses,
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
        quality=quality(logits[1], truth, n_classes),
        probabilities=softmax(logits[0]),
        test_probabilities=softmax(logits[1]),
        average_influence=choice.average(average, *reference()),
        rows=lambda chosen: rows.shown_rows(*test(chosen)),
        rows_of=lambda chosen, labels: exact.shown_rows(*anywhere(chosen, labels)),
        engine=average.name,
        damping=average.damping,
        notes=average.notes,
        solves=lambda: average.solves if exact is average else (*average.solves, *exact.solves),
        save_matrix=lambda path, attributes: _save(path, rows, *reference(), attributes),
    )
