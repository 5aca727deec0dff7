"""The stages of an audit in order; the only module that knows them all."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from auditor import dataset, evidence, features, machine, model, noise, recovery, split
from auditor._version import __version__
from auditor.arrays import Array
from auditor.config import AuditSettings, RunSettings
from auditor.dataset import Dataset
from auditor.errors import SourceError
from auditor.experiment import EngineChoice, HeadLearner, ImagePoints, Learner, NetworkLearner, Points, Run
from auditor.features import Features, Pixels, Transform
from auditor.progress import Progress
from auditor.result import SCHEMA_VERSION, AuditResult
from auditor.sources import open_source
from auditor.sources.base import ImageTable
from auditor.weights import Weights, default_cache, load_weights

STUDY_DAMPING = 1e-3


@dataclass(frozen=True)
class Backbone:
    """The network an audit starts from and how images reach it."""

    weights: Weights
    network: nn.Module
    transform: Transform
    device: str


@dataclass(frozen=True)
class Reference:
    """Trusted images, where the user gave some: features float32 [n, D], labels int64 [n]."""

    source: str
    paths: tuple[str, ...]
    features: Array
    labels: Array
    pixels: Pixels | None
    notes: tuple[str, ...]


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
    learner = _learner(data, trusted, backbone, settings)
    train = data.rows("train")
    with progress.stage("train", "Training on the given labels") as update:
        clean = learner.learn(data.labels[train], update)
    plantings, corrupted = [], []
    with progress.stage("experiment", "Planting noise and finding it again") as update:
        for repeat in range(settings.repeats):
            planting = _plant(data, clean, settings, repeat)
            plantings.append(planting)
            corrupted.append(learner.learn(planting.labels, _part(update, repeat, settings.repeats)))
    with progress.stage("result", "Putting the result together"):
        ranking = _ranking(data, clean)
        planted = _planted_table(data, plantings[0], corrupted[0])
        shown = _evidence(data, clean, ranking, planted, settings)
    summary = _summary(
        data, trusted, backbone, settings, run, learner, clean, plantings, corrupted, progress
    )  # fmt: skip
    return AuditResult(summary, ranking, planted, shown)


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


# Training and the controlled experiment


def _learner(data: Dataset, trusted: Reference | None, backbone: Backbone, settings: AuditSettings) -> Learner:
    schedule = model.Schedule(settings.epochs, settings.learning_rate, settings.batch_size, settings.seed)
    damping = STUDY_DAMPING if settings.damping == "auto" else float(settings.damping)
    choice = EngineChoice(settings.engine, damping, backbone.device, settings.seed)
    if settings.trains_head_only:

        def points(name: str) -> Points:
            rows = data.rows(name)
            return Points(data.features[rows], data.labels[rows])

        reference = points("test") if trusted is None else Points(trusted.features, trusted.labels)
        val = points("val") if len(data.rows("val")) else None
        return HeadLearner(points("train"), val, points("test"), reference, data.n_classes, schedule, choice)

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


def _plant(data: Dataset, clean: Run, settings: AuditSettings, repeat: int) -> noise.Planting:
    return noise.plant(
        data.labels[data.rows("train")], data.n_classes, settings.noise_rate, settings.noise,
        (settings.seed, 0x9147, repeat),
        average_influence=clean.average_influence, probabilities=clean.probabilities,
    )  # fmt: skip


# The result


def _ranking(data: Dataset, clean: Run) -> pd.DataFrame:
    """Every labelled image; the training split ranked by negative average influence."""
    train = data.rows("train")
    names = np.array(data.classes, dtype=object)
    frame = pd.DataFrame({"path": data.paths, "split": data.splits, "label": names[data.labels]})
    influence = np.full(len(frame), np.nan)
    influence[train] = clean.average_influence
    ranks = np.full(len(frame), np.nan)
    ranks[train] = recovery.ranks_of(-clean.average_influence)
    suggested = np.full(len(frame), "", dtype=object)
    predicted = clean.probabilities.argmax(axis=1)
    differs = predicted != data.labels[train]
    suggested[train[differs]] = names[predicted[differs]]
    frame.insert(0, "rank", pd.Series(ranks).astype("Int64"))
    return frame.assign(
        suggested_label=suggested, average_influence=influence, influence_rank=frame["rank"],
        suspicion=-influence, p_mislabelled=np.nan,
    ).sort_values("rank", kind="stable", na_position="last", ignore_index=True)  # fmt: skip


def _planted_table(data: Dataset, planting: noise.Planting, corrupted: Run) -> pd.DataFrame:
    train = data.rows("train")
    names = np.array(data.classes, dtype=object)
    ranks = recovery.ranks_of(-corrupted.average_influence)
    frame = pd.DataFrame({
        "rank": ranks, "path": np.array(data.paths, dtype=object)[train], "label": names[data.labels[train]],
        "trained_label": names[planting.labels], "planted": planting.planted,
        "average_influence": corrupted.average_influence, "influence_rank": ranks,
        "suspicion": -corrupted.average_influence,
    })  # fmt: skip
    return frame.sort_values("rank", kind="stable", ignore_index=True)


def _evidence(
    data: Dataset, clean: Run, ranking: pd.DataFrame, planted: pd.DataFrame, settings: AuditSettings
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
        "why": evidence.explanations(data, rows, suggested),
        "near_duplicates": evidence.near_duplicates(data, rows),
    }
    wanted = [*suspects["path"], *evidence.mentioned(list(shown.values()))]
    return {"thumbnails": evidence.thumbnails(data.table.read, wanted, settings.max_pixels), **shown}


def _summary(
    data: Dataset,
    trusted: Reference | None,
    backbone: Backbone,
    settings: AuditSettings,
    run: RunSettings,
    learner: Learner,
    clean: Run,
    plantings: list[noise.Planting],
    corrupted: list[Run],
    progress: Progress,
) -> dict[str, Any]:
    """The content of `audit.json`; see `docs/schema.md`."""
    chosen = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    content = data.summary()
    identity = json.dumps([content["content_hash"], chosen], sort_keys=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "auditor_version": __version__,
        "command": command_line(data.source, settings),
        "settings": chosen,
        "run": {"device": backbone.device, "threads": torch.get_num_threads(), "dtype": "float32"},
        "dataset": content,
        "model": _model_summary(data, backbone, settings, learner, clean, corrupted[0]),
        "reference": {
            "kind": "test split" if trusted is None else "trusted",
            "source": None if trusted is None else trusted.source,
            "n": len(data.rows("test")) if trusted is None else len(trusted.labels),
            "suspects": [],
        },
        "influence": _influence_summary(learner, clean, corrupted),
        "recovery": _recovery_summary(data, settings, plantings, corrupted),
        "calibration": None,
        "signals": [],
        "damping_choice": None,
        "stages": progress.seconds,
        "versions": machine.versions(),
        "machine": machine.describe(),
        "notes": _notes(data, trusted, clean),
    }


def _model_summary(
    data: Dataset, backbone: Backbone, settings: AuditSettings, learner: Learner, clean: Run, corrupted: Run
) -> dict[str, Any]:
    def fit(one: Run) -> dict[str, Any]:
        quality = asdict(one.quality)
        quality["confusion"] = [list(row) for row in one.quality.confusion]
        return {"loss": {"train": list(one.losses.train), "val": list(one.losses.val)}, "test": quality}

    return {
        "architecture": "resnet18",
        "weights": backbone.weights.name,
        "weights_sha256": backbone.weights.sha256,
        "image_size": backbone.transform.size,
        "normalisation": {"mean": list(backbone.transform.mean), "std": list(backbone.transform.std)},
        "trained": settings.train,
        "n_features": int(data.features.shape[1]),
        "n_parameters": learner.n_parameters,
        "epochs": settings.epochs,
        "clean": fit(clean),
        "corrupted": fit(corrupted),
    }


def _influence_summary(learner: Learner, clean: Run, corrupted: list[Run]) -> dict[str, Any]:
    runs = [("given labels", clean), *((f"planting {i + 1}", one) for i, one in enumerate(corrupted))]
    return {
        "engine": clean.engine,
        "damping": clean.damping,
        "mode": "up",
        "parameters": learner.n_parameters,
        "solves": [
            {"run": name, **{k: v for k, v in asdict(solve).items() if k != "damping"}}
            for name, one in runs
            for solve in one.solves()
        ],
    }


def _recovery_summary(
    data: Dataset, settings: AuditSettings, plantings: list[noise.Planting], corrupted: list[Run]
) -> dict[str, Any]:
    flags = [
        planting.planted[recovery.order_of(-one.average_influence)]
        for planting, one in zip(plantings, corrupted, strict=True)
    ]
    first, run = plantings[0], corrupted[0]
    n_planted = int(first.planted.sum())
    return {
        "noise": settings.noise,
        "rate": settings.noise_rate,
        "n": len(first.labels),
        "n_planted": n_planted,
        "rankings": {
            "influence": recovery.measure(flags, settings.seed),
            "suspicion": None,
            "random": recovery.measure_random(len(first.labels), n_planted, settings.seed),
        },
        "by_class": recovery.by_class(run.average_influence, first.planted, first.labels, data.classes),
        "repeats": len(plantings),
    }


def _notes(data: Dataset, trusted: Reference | None, clean: Run) -> list[str]:
    notes = list(clean.notes)
    if trusted is not None:
        notes.extend(trusted.notes)
    else:
        notes.append(
            "Influence is measured on the test split, whose labels are as uncertain as the rest; "
            "a trusted reference (--reference) makes it sharper."
        )
    if not len(data.rows("val")):
        notes.append("There is no validation split, so no validation loss.")
    return notes


def command_line(source: str, settings: AuditSettings) -> str:
    """The command that runs an audit again, with every setting that is not the default."""
    words = ["auditor", "audit", source]
    for field in fields(AuditSettings):
        value = getattr(settings, field.name)
        if value != field.default:
            text = [] if value is True else [",".join(value) if isinstance(value, tuple) else str(value)]
            words += [f"--{field.name.replace('_', '-')}", *text]
    return shlex.join(words)
