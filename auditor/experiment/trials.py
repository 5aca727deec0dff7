"""TODO auditor.experiment.trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from auditor import detection as detecting
from auditor.config import AuditSettings
from auditor.data.dataset import Dataset
from auditor.data.reference import Reference
from auditor.experiment import noise
from auditor.experiment.noise import Planting
from auditor.experiment.run import Learner, Run
from auditor.system import memory
from auditor.system.arrays import Array
from auditor.system.checkpoint import Checkpoints


@dataclass(frozen=True)
class Trial:
    """One planting, the run trained on it, and the suspicion float64 [N] of its training points."""

    planting: Planting
    run: Run
    suspicion: Array


def _part(update: Any, index: int, parts: int) -> Any:
    """Progress of one of several equal parts."""
    return lambda done, total: update(index * total + done, parts * total)


def as_pair(trusted: Reference | None) -> tuple[Array, Array] | None:
    return None if trusted is None else (trusted.features, trusted.labels)


def run_trials(
    data: Dataset,
    trusted: Reference | None,
    device: str,
    learner: Learner,
    clean: Run,
    settings: AuditSettings,
    detection: detecting.Detection | None,
    update: Any,
    kept: Checkpoints,
) -> list[Trial]:
    """Plant, train and rank, as often as asked; the first trial is the one a report shows.

    All trainings come before all suspicions: neither needs what the other holds.
    """
    runs: dict[int, tuple[noise.Planting, Run]] = {}
    train = data.rows("train")
    for repeat in range(settings.repeats):
        planting = noise.plant(
            data.labels[train],
            data.n_classes,
            settings.noise_rate,
            settings.noise,
            (settings.seed, 0x9147, repeat),
            average_influence=clean.average_influence,
            probabilities=clean.probabilities,
        )
        if any(np.array_equal(planting.labels, other.labels) for other, _ in runs.values()):
            continue  # the most influential points of two classes are the same ones every time
        part = _part(update, repeat, 2 * settings.repeats)  # half of all is suspicion
        runs[repeat] = planting, learner.learn(planting.labels, part).without_engine()
        update(repeat + 1, 2 * settings.repeats)
    memory.give_back()
    if detection is None:
        return [Trial(planting, run, -run.average_influence) for planting, run in runs.values()]
    scorer = cache(
        lambda: detecting.Scorer(  # made when first asked: an audit that goes on may need none
            data.features,
            data.labels,
            data.n_classes,
            rows=train,
            seed=settings.seed + 1,
            reference=as_pair(trusted),
            device=device,
        )
    )
    trials = []
    for repeat, (planting, run) in runs.items():
        # The combination is fitted on plantings of its own, seeded apart from the one it judges.
        suspicion = kept.once(
            f"suspicion-{repeat}", partial(_suspicion, scorer, planting.labels, settings.seed + 1 + repeat)
        )
        trials.append(Trial(planting, run, suspicion))
        update(settings.repeats + repeat + 1, 2 * settings.repeats)
    return trials


def _suspicion(scorer: Callable[[], detecting.Scorer], labels: Array, seed: int) -> Array:
    return scorer().suspicion(labels, seed)
