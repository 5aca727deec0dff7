"""A learner that remembers: runs that an interrupted audit has finished, and how far a long training had come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from auditor.experiment.run import Learner, Run
from auditor.influence import Solve
from auditor.model import training, training_state
from auditor.model.quality import Quality
from auditor.system.arrays import Array
from auditor.system.checkpoint import Checkpoints

SAVE_EVERY = 60.0
"""Seconds of training between two states on the disk: a tenth of a gigabyte each for a whole network."""


@dataclass(frozen=True)
class Outcome:
    """The numbers of a `Run`: all of it but what asks its engine."""

    losses: training.Losses
    quality: Quality
    probabilities: Array
    test_probabilities: Array
    average_influence: Array
    engine: str
    damping: float
    notes: tuple[str, ...]
    solves: tuple[Solve, ...]


@dataclass(frozen=True)
class Remembering:
    """Learns as `learner` does; labels that were learnt before a kill are taken from there."""

    learner: Learner
    kept: Checkpoints

    @property
    def n_parameters(self) -> int:
        """See `Learner`."""
        return self.learner.n_parameters

    @property
    def conditioned(self) -> bool:
        """See `Learner`."""
        return self.learner.conditioned

    def learn(self, labels: Array, update: Callable[[int, int], None]) -> Run:
        """Train on `labels` int64 [N] of the training split, or tell what that gave."""
        stage = f"run-{_name(labels)}"
        fresh: list[Run] = []

        def computed() -> Outcome:
            fresh.append(self.learner.learn(labels, update))
            return _outcome(fresh[0])

        outcome = self.kept.once(stage, computed)
        return fresh[0] if fresh else _Restored(outcome, self.learner, labels).run


class _Restored:
    """A run from its outcome. Whoever asks for a row of the influence matrix has it learnt again, once."""

    def __init__(self, outcome: Outcome, learner: Learner, labels: Array) -> None:
        self._outcome, self._learner, self._labels = outcome, learner, labels
        self._asked = False

    @cached_property
    def _whole(self) -> Run:
        self._asked = True
        return self._learner.learn(self._labels, lambda done, total: None)

    @property
    def run(self) -> Run:
        """The run."""
        known = {f.name: getattr(self._outcome, f.name) for f in fields(self._outcome) if f.name != "solves"}
        return Run(
            **known,
            rows=lambda chosen: self._whole.rows(chosen),
            rows_of=lambda chosen, labels: self._whole.rows_of(chosen, labels),
            solves=lambda: self._whole.solves() if self._asked else self._outcome.solves,
            save_matrix=lambda path, attributes: self._whole.save_matrix(path, attributes),
        )


def _outcome(run: Run) -> Outcome:
    values: dict[str, Any] = {f.name: getattr(run, f.name) for f in fields(Outcome) if f.name != "solves"}
    return Outcome(**values, solves=run.solves())


def _name(labels: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels, dtype=np.int64).tobytes()).hexdigest()[:16]


class TrainingStates:
    """Where a training that takes long leaves its state; a `training.Keeper`."""

    def __init__(self, kept: Checkpoints, labels: Array) -> None:
        self._kept, self._stage = kept, f"training-{_name(labels)}"
        self._last = time.monotonic()

    def load(self) -> training_state.TrainingState | None:
        """The last state that was saved."""
        found = self._kept.recall(self._stage)
        return found if isinstance(found, training_state.TrainingState) else None

    def save(self, state: Callable[[], training_state.TrainingState]) -> None:
        """Keep the state, unless the last one is recent."""
        if time.monotonic() - self._last >= SAVE_EVERY:
            self._kept.keep(self._stage, state())
            self._last = time.monotonic()
