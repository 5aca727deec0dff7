"""The stages of an audit in order; the only module that knows them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from auditor import dataset, evidence, features, machine, model, noise, split, summary
from auditor import detection as detecting
from auditor import ranking as rankings
from auditor.arrays import Array
from auditor.config import AuditSettings, RunSettings
from auditor.dataset import Dataset
from auditor.errors import SourceError
from auditor.experiment import EngineChoice, HeadLearner, ImagePoints, Learner, NetworkLearner, Points, Run
from auditor.features import Features, Pixels, Transform
from auditor.made import Backbone, Made, Reference, Trial
from auditor.progress import Progress
from auditor.result import AuditResult
from auditor.sources import open_source
from auditor.sources.base import ImageTable
from auditor.weights import Weights, default_cache, load_weights

STUDY_DAMPING = 1e-3
NETWORK_DAMPING = 1e-2
"""For parameters beyond the head, where choosing by recovery would take a training for every candidate."""


def audit(
    source: str | Path | ImageTable,
    settings: AuditSettings | None = None,
    run: RunSettings | None = None,
    *,
    download: bool = False,
    progress: Progress | None = None,
) -> AuditResult:
    """Audit a data set: everything from its images to a result, which `AuditResult.save` writes.

    Parameters
    ----------
    source
        What `auditor audit SOURCE` takes, or an opened table.
    download
        Allow fetching ImageNet's weights when they are not in torch's cache.

    Raises
    ------
    SourceError, WeightsError, ConfigError, EngineError, UndecidedError
    """
    settings, run = settings or AuditSettings(), run or RunSettings()
    progress = progress or Progress(quiet=True)
    device = machine.device(run.device)
    machine.set_threads()
    with progress.stage("open", "Opening the data set"):
        table = source if isinstance(source, ImageTable) else _open(str(source), settings)
        table = _chosen(table, settings)
        weights = load_weights(settings.weights, download=download)
        backbone = _backbone(table, settings, weights, device)
    data = _read(table, backbone, settings, run, progress)
    trusted = _trusted(data, backbone, settings, run, progress)
    detection = _detection(data, trusted, settings, progress)
    learner = _learner(data, trusted, backbone, settings, detection)
    train = data.rows("train")
    with progress.stage("train", "Training on the given labels") as update:
        clean = learner.learn(data.labels[train], update)
    with progress.stage("experiment", "Planting noise and finding it again") as update:
        trials = _experiment(data, trusted, learner, clean, settings, detection, update)
    with progress.stage("result", "Putting the result together"):
        ranking = rankings.given(data, clean, detection, conditioned=learner.conditioned)
        planted = rankings.planted(data, trials[0])
        shown = _evidence(data, clean, ranking, planted, detection, settings)
    made = Made(data, trusted, backbone, learner, clean, trials, detection)
    return AuditResult(summary.document(made, settings, progress.seconds), ranking, planted, shown)


def _part(update: Any, index: int, parts: int) -> Any:
    """Progress of one of several equal parts."""
    return lambda done, total: update(index * total + done, parts * total)


# Reading


def _open(source: str, settings: AuditSettings) -> ImageTable:
    return open_source(source, allow_outside=settings.allow_outside, classes=settings.classes)


def _chosen(table: ImageTable, settings: AuditSettings) -> ImageTable:
    frame = split.check_classes(table.frame, settings.classes, table.name)
    return ImageTable(table.name, table.root, frame, table.read, table.skipped, table.locate)


def _backbone(table: ImageTable, settings: AuditSettings, weights: Weights, device: str) -> Backbone:
    size = model.image_size_for(settings.image_size, features.peek_edges(table, settings.max_pixels), weights)
    mean, std = model.normalisation(settings.preset, weights)
    n_classes = table.frame["label"].nunique()
    network = model.build_network(weights, n_classes, size, settings.seed)
    return Backbone(weights, network, Transform(size, mean, std, settings.max_pixels), device)


def _read(
    table: ImageTable, backbone: Backbone, settings: AuditSettings, run: RunSettings, progress: Progress
) -> Dataset:
    study = settings.preset == "study"
    with progress.stage("features", "Reading images") as update:
        read, values = _features(table, backbone, settings, run, study, update)
    return dataset.build(
        table, read, values, seed=settings.seed, max_unreadable=settings.max_unreadable, study=study
    )  # fmt: skip


def _features(
    table: ImageTable, backbone: Backbone, settings: AuditSettings, run: RunSettings, study: bool, update: Any
) -> tuple[Features, Array]:
    """Features of the backbone as it starts: no label has touched it, so none can leak through it."""
    keep = not settings.trains_head_only
    transform, device = backbone.transform, backbone.device
    if backbone.weights.pretrained:
        folder = Path(run.cache).expanduser() if run.cache else default_cache()
        cache = features.FeatureCache(folder, {
            "weights": backbone.weights.sha256, "size": transform.size, "mean": transform.mean, "std": transform.std,
        })  # fmt: skip
        extractor = model.feature_extractor(backbone.network).to(device)
        read = features.extract(
            table, transform, extractor, cache=cache, keep_pixels=keep, drop_grey=study, device=device, progress=update
        )
        return read, _values(read)
    read = features.extract(table, transform, None, keep_pixels=True, drop_grey=study, progress=update)
    if read.pixels is None:
        return read, np.empty((0, model.N_FEATURES), np.float32)
    model.settle_batchnorm(backbone.network, _batches(read.pixels))
    extractor = model.feature_extractor(backbone.network).to(device)
    return read, features.forward(extractor, transform, read.pixels.values, device)


def _values(read: Features) -> Array:
    return read.values if read.values is not None else np.empty((0, model.N_FEATURES), np.float32)


def _batches(pixels: Pixels) -> Iterator[torch.Tensor]:
    for start in range(0, len(pixels.values), features.BATCH):
        yield pixels.batch(np.arange(start, min(start + features.BATCH, len(pixels.values))))


def _trusted(
    data: Dataset, backbone: Backbone, settings: AuditSettings, run: RunSettings, progress: Progress
) -> Reference | None:
    if not settings.reference:
        return None
    with progress.stage("reference", "Reading the reference") as update:
        table = open_source(settings.reference, allow_outside=settings.allow_outside)
        frame, others = dataset.reference_rows(table, data.classes)
        table = ImageTable(table.name, table.root, frame, table.read, table.skipped, table.locate)
        read, values = _features(table, backbone, settings, run, settings.preset == "study", update)
    if not len(read.rows):
        raise SourceError(f"no image of the reference {table.name} can be read")
    frame = frame.iloc[read.rows]
    index = {name: i for i, name in enumerate(data.classes)}
    notes = []
    if others:
        notes.append(f"{others} reference images belong to classes outside the audit and were left out.")
    if read.skipped:
        notes.append(f"{len(read.skipped)} reference images could not be read and were left out.")
    overlap = len(set(read.hashes) & set(data.hashes))
    if overlap:
        notes.append(f"{overlap} reference images are also in the data set; trust in them is the user's.")
    return Reference(
        settings.reference, tuple(frame["path"]), values, frame["label"].map(index).to_numpy(np.int64), read.pixels,
        tuple(notes),
    )  # fmt: skip


# Detection, training and the controlled experiment


def _detection(
    data: Dataset, trusted: Reference | None, settings: AuditSettings, progress: Progress
) -> detecting.Detection | None:
    """Suspicion, calibration and the damping; None for the study, which ranks by its own influence alone."""
    if settings.preset == "study":
        return None
    with progress.stage("detection", "Looking for wrong labels") as update:
        return detecting.detect(
            data.features, data.labels, data.n_classes, seed=settings.seed, names=data.paths,
            reference=_pair(trusted), progress=lambda text, part: update(round(100 * part), 100),
        )  # fmt: skip


def _pair(trusted: Reference | None) -> tuple[Array, Array] | None:
    return None if trusted is None else (trusted.features, trusted.labels)


def _learner(
    data: Dataset,
    trusted: Reference | None,
    backbone: Backbone,
    settings: AuditSettings,
    detection: detecting.Detection | None,
) -> Learner:
    schedule = model.Schedule(settings.epochs, settings.learning_rate, settings.batch_size, settings.seed)
    conditioned = settings.damping == "auto" and detection is not None and settings.trains_head_only
    damping = STUDY_DAMPING if settings.damping == "auto" else float(settings.damping)
    if conditioned and detection is not None:
        damping = detection.damping.value
    elif settings.damping == "auto" and not settings.trains_head_only:
        damping = NETWORK_DAMPING
    choice = EngineChoice(settings.engine, damping, backbone.device, settings.seed)
    if settings.trains_head_only:

        def points(name: str) -> Points:
            rows = data.rows(name)
            return Points(data.features[rows], data.labels[rows])

        reference = points("test") if trusted is None else Points(trusted.features, trusted.labels)
        val = points("val") if len(data.rows("val")) else None
        return HeadLearner(
            data.features,
            points("train"),
            val,
            points("test"),
            reference,
            data.n_classes,
            schedule,
            choice,
            conditioned,
        )

    def images(name: str) -> ImagePoints:
        rows = data.rows(name)
        assert data.pixels is not None
        return ImagePoints(data.pixels, rows, data.labels[rows])

    if trusted is None:
        reference_images = images("test")
    else:
        assert trusted.pixels is not None
        reference_images = ImagePoints(trusted.pixels, np.arange(len(trusted.labels)), trusted.labels)
    return NetworkLearner(
        backbone.network, settings.train, images("train"), images("val") if len(data.rows("val")) else None,
        images("test"), reference_images, data.n_classes, schedule, choice,
    )  # fmt: skip


def _experiment(
    data: Dataset,
    trusted: Reference | None,
    learner: Learner,
    clean: Run,
    settings: AuditSettings,
    detection: detecting.Detection | None,
    update: Any,
) -> list[Trial]:
    """Plant, train and rank, as often as asked; the first trial is the one a report shows."""
    trials: list[Trial] = []
    train = data.rows("train")
    for repeat in range(settings.repeats):
        planting = noise.plant(
            data.labels[train], data.n_classes, settings.noise_rate, settings.noise, (settings.seed, 0x9147, repeat),
            average_influence=clean.average_influence, probabilities=clean.probabilities,
        )  # fmt: skip
        if any(np.array_equal(planting.labels, other.planting.labels) for other in trials):
            continue  # the most influential points of two classes are the same ones every time
        run = learner.learn(planting.labels, _part(update, repeat, settings.repeats))
        suspicion = -run.average_influence
        if detection is not None:
            # The combination is fitted on plantings of its own, seeded apart from the one it is judged on.
            suspicion = detecting.score(
                data.features[train], planting.labels, data.n_classes, seed=settings.seed + 1 + repeat,
                reference=_pair(trusted), damping=detection.damping,
            ).suspicion  # fmt: skip
        trials.append(Trial(planting, run, suspicion))
    return trials


def _evidence(
    data: Dataset,
    clean: Run,
    ranking: pd.DataFrame,
    planted: pd.DataFrame,
    detection: detecting.Detection | None,
    settings: AuditSettings,
) -> dict[str, Any]:
    position = {path: i for i, path in enumerate(data.paths)}
    index = {name: i for i, name in enumerate(data.classes)}
    suspects = ranking[ranking["rank"].notna()].head(settings.thumbnails)
    rows = [position[path] for path in suspects["path"]]
    suggested = np.full(len(data.paths), -1, dtype=np.int64)
    suggested[[position[p] for p in ranking["path"]]] = ranking["suggested_label"].map(index).fillna(-1).astype(int)
    shown: dict[str, Any] = {
        "examples": evidence.examples(data, clean, settings.examples),
        "histograms": evidence.influence_histograms(data, clean, planted),
        "extremes": evidence.extremes(data, clean),
        "lowest_planted_run": evidence.lowest_planted(planted),
        "why": evidence.explanations(data, clean, rows, suggested),
        "near_duplicates": evidence.near_duplicates(data, rows),
    }
    wanted = [*suspects["path"], *evidence.mentioned(list(shown.values()))]
    shown["suggested_probability"] = {
        data.paths[row]: round(float(detection.suggested_probability[row]), 4) for row in rows
    } if detection is not None else {}  # fmt: skip
    return {"thumbnails": evidence.thumbnails(data.table.read, wanted, settings.max_pixels), **shown}
