"""A learner that remembers: the runs an interrupted audit has finished, and how far a long training had come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.experiment.run import Explainer, Learner, Learnt, Run, Without
from auditor.influence import Solve
from auditor.model import training_state
from auditor.system.arrays import Array
from auditor.system.checkpoint import Checkpoints
from auditor.system.progress import Update

SAVE_EVERY = 60.0
"""Seconds of training between two states on the disk. One state of a whole network takes a tenth of a gigabyte."""


@dataclass(frozen=True)
class Remembering:
    """Learns as `learner` does. Figures of labels that were learnt before a kill are taken from the disk."""

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

    def learn(self, labels: Array, update: Update) -> Learnt:
        """Train on `labels` int64 [N] of the training split, or tell what that gave before."""
        fresh: list[Learnt] = []

        def computed() -> Run:
            fresh.append(self.learner.learn(labels, update))
            return fresh[0].run

        run = self.kept.once(f"run-{_name(labels)}", computed)
        return fresh[0] if fresh else Learnt(run, _Again(self.learner, labels, run.solves).explainer)


class _Again:
    """Explains a run from the disk. Whoever asks for a row of the influence matrix has it learnt again, once."""

    def __init__(self, learner: Learner, labels: Array, solves: tuple[Solve, ...]) -> None:
        self._learner, self._labels, self._solves = learner, labels, solves
        self._asked = False

    @cached_property
    def _whole(self) -> Explainer:
        self._asked = True
        return self._learner.learn(self._labels, lambda done, total: None).explainer

    @property
    def explainer(self) -> Explainer:
        """Its answers."""
        return Explainer(
            rows=lambda chosen: self._whole.rows(chosen),
            rows_of=lambda chosen, labels: self._whole.rows_of(chosen, labels),
            solves=lambda: self._whole.solves() if self._asked else self._solves,
            save_matrix=lambda path, attributes: self._whole.save_matrix(path, attributes),
            leave_out=self._leave_out,
        )

    def _leave_out(self, asked: Sequence[Without], update: Update) -> Array:
        answer = self._whole.leave_out
        assert answer is not None  # who has none is never asked: see `checks.before_reading`
        return answer(asked, update)


def _name(labels: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels, dtype=np.int64).tobytes()).hexdigest()[:16]


class TrainingStates:
    """Where a long training leaves its state; a `training_state.StateStore`."""

    def __init__(self, kept: Checkpoints, labels: Array) -> None:
        self._kept, self._stage = kept, f"training-{_name(labels)}"
        self._last = time.monotonic()

    def load(self) -> training_state.TrainingState | None:
        """The last state that was saved."""
        found = self._kept.recall(self._stage)
        return found if isinstance(found, training_state.TrainingState) else None

    def save(self, capture: Callable[[], training_state.TrainingState]) -> None:
        """Keep the state, unless the last one is recent."""
        if time.monotonic() - self._last >= SAVE_EVERY:
            self._kept.keep(self._stage, capture())
            self._last = time.monotonic()
