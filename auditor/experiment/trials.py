"""The controlled experiment: plant noise, train on it, and see what the rankings find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.experiment import noise
from auditor.experiment.noise import Planting
from auditor.experiment.run import Learner, Run
from auditor.system import memory
from auditor.system.arrays import Array
from auditor.system.progress import Update


@dataclass(frozen=True)
class Trial:
    """One planting, the run trained on it, and the suspicion float64 [N] of its training points."""

    planting: Planting
    run: Run
    suspicion: Array


@dataclass(frozen=True)
class Plan:
    """What is planted, how much, how often, and from which seed."""

    noise: str
    rate: float
    repeats: int
    seed: int


SuspicionOf = Callable[[int, Planting, Run], Array]
"""Suspicion float64 [N] of a planted labelling: which repeat, the planting, and the run trained on it."""


def run_trials(
    labels: Array, plan: Plan, learner: Learner, clean: Run, suspicion_of: SuspicionOf, update: Update
) -> list[Trial]:
    """Plant, train and rank, as often as planned. A report shows the first trial.

    All trainings come before all suspicions: neither needs what the other holds.

    Parameters
    ----------
    labels
        int64 [N], the given labels of the training split.
    clean
        The run on the given labels; some kinds of noise look at it.
    """
    runs = _trained(labels, plan, learner, clean, update)
    memory.give_back()
    trials = []
    for repeat, (planting, run) in runs.items():
        trials.append(Trial(planting, run, suspicion_of(repeat, planting, run)))
        update(plan.repeats + repeat + 1, 2 * plan.repeats)
    return trials


def _trained(
    labels: Array, plan: Plan, learner: Learner, clean: Run, update: Update
) -> dict[int, tuple[Planting, Run]]:
    """The plantings that differ from each other, and the runs trained on them, by repeat."""
    runs: dict[int, tuple[Planting, Run]] = {}
    for repeat in range(plan.repeats):
        planting = noise.plant(
            labels,
            clean.probabilities.shape[1],
            plan.rate,
            plan.noise,
            (plan.seed, 0x9147, repeat),
            average_influence=clean.average_influence,
            probabilities=clean.probabilities,
        )
        if any(np.array_equal(planting.labels, other.labels) for other, _ in runs.values()):
            continue  # the most influential points of two classes are the same ones every time
        part = _part(update, repeat, 2 * plan.repeats)  # half of all is suspicion
        runs[repeat] = planting, learner.learn(planting.labels, part).run
        update(repeat + 1, 2 * plan.repeats)
    return runs


def _part(update: Update, index: int, parts: int) -> Update:
    """Progress of one of several equal parts."""
    return lambda done, total: update(index * total + done, parts * total)
