"""The learner that an audit's settings ask for.

A learner is set up once for a data set and then learns any labels of the training split. Everything else about two
runs (initialisation, order of batches, reference set, damping) is the same. So two runs differ by the planted noise
alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from auditor.config import AuditSettings
from auditor.data.inputs import Inputs
from auditor.experiment.head_learner import FeaturePoints, HeadLearner
from auditor.experiment.network_learner import ImagePoints, NetworkLearner
from auditor.experiment.resuming import TrainingStates
from auditor.experiment.run import EngineChoice, Learner
from auditor.model import training
from auditor.system.checkpoint import Checkpoints

STUDY_DAMPING = 1e-3

NETWORK_DAMPING = 1.0
"""For parameters beyond the head. Choosing it by recovery would take a training for every candidate."""


def make_learner(
    inputs: Inputs, settings: AuditSettings, chosen_damping: float | None, client: Any, kept: Checkpoints
) -> Learner:
    """The learner of an audit.

    Parameters
    ----------
    chosen_damping
        The damping that recovers planted labels best; None where nothing chose one.
    client
        Of a Dask cluster, or None.
    """
    damping = _damping(settings, chosen_damping)
    weighs = settings.preset != "study"
    choice = EngineChoice(settings.engine, damping, inputs.exact_device, settings.seed, client, weighs)
    schedule = training.Schedule(settings.epochs, settings.learning_rate, settings.batch_size, settings.seed)
    if settings.trains_head_only:
        learner = _head_learner(inputs, schedule, choice)
        return replace(learner, conditioned=settings.conditions_head, converged=_converges(inputs, settings))
    return _network_learner(inputs, schedule, choice, settings.train, kept)


def _damping(settings: AuditSettings, chosen: float | None) -> float:
    if settings.conditions_head and chosen is not None:
        return chosen
    if settings.damping != "auto":
        return float(settings.damping)
    return STUDY_DAMPING if settings.trains_head_only else NETWORK_DAMPING


def _converges(inputs: Inputs, settings: AuditSettings) -> bool:
    """Whether no network of images made the features. Then their scale is any. The study trains as it always did."""
    return inputs.encoder.transform is None and settings.preset != "study"


def _head_learner(inputs: Inputs, schedule: training.Schedule, choice: EngineChoice) -> HeadLearner:
    data, trusted, n_last = inputs.data, inputs.trusted, inputs.encoder.n_features

    def points(name: str) -> FeaturePoints:
        rows = data.rows(name)
        return FeaturePoints(data.features, rows, data.labels[rows], n_last)

    reference = points("test")
    if trusted is not None:
        reference = FeaturePoints(trusted.features, np.arange(len(trusted.labels)), trusted.labels, n_last)
    val = points("val") if len(data.rows("val")) else None
    return HeadLearner(points("train"), val, points("test"), reference, data.n_classes, schedule, choice)


def _network_learner(
    inputs: Inputs, schedule: training.Schedule, choice: EngineChoice, layers: str, kept: Checkpoints
) -> NetworkLearner:
    data, trusted = inputs.data, inputs.trusted
    assert inputs.backbone is not None

    def images(name: str) -> ImagePoints:
        rows = data.rows(name)
        assert data.pixels is not None
        return ImagePoints(data.pixels, rows, data.labels[rows])

    reference = images("test")
    if trusted is not None:
        assert trusted.pixels is not None
        reference = ImagePoints(trusted.pixels, np.arange(len(trusted.labels)), trusted.labels)
    return NetworkLearner(
        inputs.backbone.network,
        layers,
        images("train"),
        images("val") if len(data.rows("val")) else None,
        images("test"),
        reference,
        data.n_classes,
        schedule,
        choice,
        device=inputs.device,
        store=lambda labels: TrainingStates(kept, labels),
    )
