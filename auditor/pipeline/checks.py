"""Checks that refuse work before it starts. Without them the same errors would come up after an hour."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from auditor import engines, influence
from auditor.compute import hardware
from auditor.config import AuditSettings
from auditor.data.dataset import Dataset
from auditor.detection import DetectionSettings
from auditor.detection.cost import memory_bytes, processor_seconds
from auditor.detection.registry import all_signals
from auditor.errors import ConfigError
from auditor.experiment import noise
from auditor.model import training
from auditor.model.backbone import Encoder
from auditor.oddities import all_kinds
from auditor.pipeline.job import Job
from auditor.pipeline.reader import Reader
from auditor.pipeline.room import require_room
from auditor.sources.base import ImageTable
from auditor.system.lock import refuse_inside

MANY_CLASSES = 128
"""More classes than this make detection long by themselves. That is said before it starts."""

LONG, LONGEST = 600.0, 24 * 3600.0
"""Processor seconds of detection from which its length is said, and from which it is refused."""


def before_opening(source: str | Path | ImageTable, job: Job) -> None:
    """Refuse places where the audit must not write, and options that do not go together.

    Raises
    ------
    ConfigError, EngineError
    """
    run = job.run
    if not isinstance(source, ImageTable):
        for path, what, option in ((run.cache, "cache", "--cache"), (run.save_matrix, "matrix", "--save-matrix")):
            if path:
                refuse_inside(path, source, what, option)
    for needed, option in ((run.dask, "--dask"), (run.save_matrix, "--save-matrix")):
        if needed:
            engines.require_pydvl(option)
    engines.kind(job.settings.engine).opener()  # an engine that cannot be imported is refused before the work
    all_signals()  # a package that brings a broken signal is named now, not after the images were read
    all_kinds()
    # A matrix is never written over anything. An audit goes on only with a matrix that it wrote itself.
    if run.save_matrix and Path(run.save_matrix).exists() and matrix_author(run.save_matrix) is None:
        raise ConfigError(
            f"{run.save_matrix} exists already", hint="give --save-matrix another path, or remove it first"
        )
    if run.dask and not job.settings.freezes_backbone:
        raise ConfigError(
            "--dask serves --train head only: a network beyond its head is trained on one machine",
            hint="leave out --dask, or use --train head",
        )
    if run.dask and ".py:" in job.settings.backbone:
        raise ConfigError(
            f"--dask cannot send the file of --backbone {job.settings.backbone} to its workers",
            hint="install it as a package on every machine and say package.module:FUNCTION, or leave out --dask",
        )


def matrix_author(path: str) -> str | None:
    """The key of the audit that wrote the matrix at `path`; None where it is no audit's."""
    from auditor.influence.pydvl.matrix import author  # zarr and pyDVL, for those who ask for a matrix

    return author(path)


def before_reading(table: ImageTable, reader: Reader, settings: AuditSettings) -> None:
    """Refuse layers that are not there, and work for which time or memory will not do.

    Raises
    ------
    ConfigError, EngineError
    """
    n_images, n_classes = len(table.frame), table.frame["label"].nunique()
    network = None
    if reader.backbone is not None:
        network = copy.deepcopy(reader.backbone.network)
        training.trainable(network, settings.trained, reader.backbone.kind.classifier)
        if settings.train != "auto" or not reader.backbone.weights.pretrained:  # auto stays with the head without room
            require_room(reader.backbone, settings, n_images)
    _check_exact(settings, reader.encoder)
    _check_time(settings, reader.encoder, n_images, n_classes)
    _check_probabilities(settings, n_images, n_classes)
    _check_engine(network, reader, settings, n_images, n_classes)
    _check_tables(settings, reader.encoder, n_images, n_classes)


def before_training(data: Dataset, settings: AuditSettings) -> None:
    """Refuse a data set in which no label could be planted.

    Raises
    ------
    UndecidedError
    """
    noise.check(data.labels[data.rows("train")], settings.noise_rate, settings.noise)


def long_work(table: ImageTable, encoder: Encoder, settings: AuditSettings) -> str:
    """A sentence for work that will take long; empty where it will not."""
    n_images, n_classes = len(table.frame), table.frame["label"].nunique()
    seconds = _detection_seconds(settings, encoder, n_images, n_classes)
    if seconds < LONG:
        return ""
    return (
        f"  {n_classes:,} classes: the search for wrong labels takes about {duration_text(seconds)} "
        "of processor time; with fewer --classes, some at a time, it is a part of that"
    )


def duration_text(seconds: float) -> str:
    """Hours, or minutes where it is less than two hours."""
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{max(1, seconds / 60):.0f} minutes"


def _detection_seconds(settings: AuditSettings, encoder: Encoder, n_images: int, n_classes: int) -> float:
    """Processor seconds of detection. They are known for many classes alone; 0 otherwise."""
    if settings.preset == "study" or n_classes <= MANY_CLASSES:
        return 0.0
    return processor_seconds(n_images, n_classes, encoder.n_layered)


def _check_exact(settings: AuditSettings, encoder: Encoder) -> None:
    """Refuse to leave items out of what is no head at the minimum of its loss."""
    fixed = settings.trains_head_only and settings.preset != "study"
    if settings.exact and not (fixed and (settings.conditions_head or encoder.transform is None)):
        raise ConfigError(
            "--exact trains a head again, and needs one that is at the minimum of its loss",
            hint="use --train head with --damping auto and no preset, or leave out --exact",
        )


def _check_time(settings: AuditSettings, encoder: Encoder, n_images: int, n_classes: int) -> None:
    seconds = _detection_seconds(settings, encoder, n_images, n_classes)
    if seconds > LONGEST:
        raise ConfigError(
            f"the search for wrong labels among {n_images:,} images in {n_classes:,} classes would take about "
            f"{duration_text(seconds)} of processor time, which grows with the square of the number of classes",
            hint="choose fewer --classes and audit some at a time",
        )


def _check_probabilities(settings: AuditSettings, n_images: int, n_classes: int) -> None:
    runs = 1 + settings.repeats  # each keeps every image's probability of every class
    influence.require(
        8 * runs * n_images * n_classes,
        f"the probabilities of {n_images} images in {n_classes} classes",
        "cpu",
        "choose fewer --classes or fewer --repeats",
    )


def _check_engine(
    network: nn.Module | None, reader: Reader, settings: AuditSettings, n_images: int, n_classes: int
) -> None:
    if network is None or settings.trains_head_only:
        encoder = reader.encoder
        columns = (encoder.n_layered if settings.conditions_head else encoder.n_features) + 1
        size, rank, width = n_classes * columns, (n_classes - 1) * columns, 8
    else:
        size = sum(p.numel() for p in network.parameters() if p.requires_grad)
        rank, width = min(size, n_images * (n_classes - 1)), 4
    influence.require_engine(settings.engine, influence.EngineSize(size, rank, width), hardware.exact(reader.device))


def _check_tables(settings: AuditSettings, encoder: Encoder, n_images: int, n_classes: int) -> None:
    if settings.preset != "study":
        influence.require(
            memory_bytes(n_images, n_classes, encoder.n_layered, DetectionSettings().landmarks),
            f"detection on {n_images} images in {n_classes} classes",
            "cpu",
            "choose fewer --classes, or audit the images a part at a time",
        )
