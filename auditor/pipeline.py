"""The stages of an audit in order; the only module that knows them all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from auditor import detection as detecting
from auditor import evidence, machine, model, noise, reading, summary, versions
from auditor import ranking as rankings
from auditor.arrays import Array
from auditor.checkpoint import Checkpoints
from auditor.config import AuditSettings, RunSettings
from auditor.dataset import Dataset
from auditor.errors import ConfigError
from auditor.experiment import EngineChoice, HeadLearner, ImagePoints, Learner, NetworkLearner, Points, Run
from auditor.lock import refuse_inside
from auditor.made import Backbone, Made, Reference, Trial
from auditor.progress import Progress
from auditor.result import AuditResult
from auditor.resuming import Remembering, TrainingStates
from auditor.sources.base import ImageTable, left_out

STUDY_DAMPING = 1e-3
NETWORK_DAMPING = 1.0
"""For parameters beyond the head, where choosing by recovery would take a training for every candidate."""


def audit(
    source: str | Path | ImageTable,
    settings: AuditSettings | None = None,
    run: RunSettings | None = None,
    *,
    download: bool = False,
    progress: Progress | None = None,
    kept: Checkpoints | None = None,
) -> AuditResult:
    """Audit a data set: everything from its images to a result, which `AuditResult.save` writes.

    Parameters
    ----------
    source
        What `auditor audit SOURCE` takes, or an opened table.
    download
        Allow fetching ImageNet's weights when they are not in torch's cache.
    kept
        Where finished stages are kept and those of an interrupted audit are found; the caller clears it once the
        result is safe.

    Raises
    ------
    SourceError, WeightsError, ConfigError, EngineError, UndecidedError
    """
    settings, run = settings or AuditSettings(), run or RunSettings()
    progress = progress or Progress(quiet=True)
    kept = kept or Checkpoints(None)
    machine.set_threads()
    if not isinstance(source, ImageTable):
        for path, what, option in ((run.cache, "cache", "--cache"), (run.save_matrix, "matrix", "--save-matrix")):
            if path:
                refuse_inside(path, source, what, option)
    _check_matrix(run.save_matrix)
    with contextlib.ExitStack() as stack:
        stack.enter_context(machine.repeatable())
        client = stack.enter_context(_cluster(run.dask, settings)) if run.dask else None
        with _stage(progress, "open", "Opening the data set"):
            table = reading.open_table(source, settings)
            reader = reading.open_reader(table, settings, run, download=download, client=client)
            reader.check(table)
        progress.say(reader.long(table))
        with _stage(progress, "features", "Reading images") as update:
            data = reader.dataset(table, update)
        progress.say(left_out(data.skipped))
        if data.n_cached:
            fresh = len(data.paths) - data.n_cached
            progress.say(f"  {data.n_cached} images were in the cache, {fresh} went through the network")
        trusted = None
        if settings.reference:
            with _stage(progress, "reference", "Reading the reference") as update:
                trusted = reader.reference(data, update)
                data = data.settled_by(trusted.trusted, settings.seed)
            progress.say(_settled(data))
        kept.open(*_deciding(data, trusted, reader.backbone, settings, client))
        backbone = _still_needed(reader.backbone, settings)
        del reader
        return _audited(data, trusted, backbone, settings, run, client, progress, kept)


def _settled(data: Dataset) -> str:
    """How many images the reference holds itself, as a line for the terminal; empty where there are none."""
    found = data.settled()
    if not found["n"]:
        return ""
    return f"  {found['n']} images are in the reference itself, {len(found['wrong'])} of them under another label"


@contextlib.contextmanager
def _stage(progress: Progress, name: str, title: str) -> Iterator[Any]:
    """A stage whose freed memory is the system's again when the next one begins."""
    with progress.stage(name, title) as update:
        yield update
    machine.give_back()


def _still_needed(backbone: Backbone, settings: AuditSettings) -> Backbone:
    """The backbone after the pixels: what it is called and, where it is trained itself, its parameters."""
    if not settings.trains_head_only:
        return backbone
    return replace(backbone, network=nn.Identity(), weights=replace(backbone.weights, state=None))


def _check_matrix(path: str) -> None:
    """Said before the work: a matrix is never written over anything, and gone on from only where an audit wrote it."""
    if path and Path(path).exists() and _author(path) is None:
        raise ConfigError(f"{path} exists already", hint="give --save-matrix another path, or remove it first")


def _author(path: str) -> str | None:
    from auditor.influence.matrix import author  # zarr and pyDVL, for those who ask for a matrix

    return author(path)


def _cluster(address: str, settings: AuditSettings) -> contextlib.AbstractContextManager[Any]:
    if not settings.trains_head_only:
        raise ConfigError(
            "--dask serves --train head only: a network beyond its head is trained on one machine",
            hint="leave out --dask, or use --train head",
        )
    from auditor.influence.cluster import cluster

    opened: contextlib.AbstractContextManager[Any] = cluster(address)
    return opened


def _audited(
    data: Dataset,
    trusted: Reference | None,
    backbone: Backbone,
    settings: AuditSettings,
    run: RunSettings,
    client: Any,
    progress: Progress,
    kept: Checkpoints,
) -> AuditResult:
    """Everything after the pixels: detection, the two kinds of run, and the result.

    What the clean run's engine is asked comes before the plantings, so that it need not be held beside them.
    """
    noise.check(data.labels[data.rows("train")], settings.noise_rate, settings.noise)
    detection = _detection(data, trusted, backbone.device, settings, progress, kept)
    learner = Remembering(_learner(data, trusted, backbone, settings, detection, client, kept), kept)
    train = data.rows("train")
    with _stage(progress, "train", "Training on the given labels") as update:
        clean = learner.learn(data.labels[train], update)
    if run.save_matrix:
        with _stage(progress, "matrix", "Writing the influence matrix"):
            if not kept.key or _author(run.save_matrix) != kept.key:  # else written before a kill
                clean.save_matrix(run.save_matrix, {**_matrix_names(data, trusted), "audit": kept.key})
    with _stage(progress, "explain", "Looking for what explains the suspects"):
        ranking = rankings.given(data, clean, detection, conditioned=learner.conditioned)
        explained = _explained(data, clean, ranking, settings)
    clean = clean.without_engine()
    with _stage(progress, "experiment", "Planting noise and finding it again") as update:
        trials = _experiment(data, trusted, backbone.device, learner, clean, settings, detection, update, kept)
    with _stage(progress, "result", "Putting the result together"):
        planted = rankings.planted(data, trials[0])
        shown = _evidence(data, clean, ranking, planted, detection, explained, settings)
    made = Made(data, trusted, backbone, learner, clean, trials, detection)
    return AuditResult(summary.document(made, settings, progress.seconds), ranking, planted, shown)


def _deciding(
    data: Dataset, trusted: Reference | None, backbone: Backbone, settings: AuditSettings, client: Any
) -> list[Any]:
    """Everything that a stage after the pixels depends on."""
    reference = [] if trusted is None else [trusted.source, trusted.content_hash, trusted.features, trusted.labels]
    return [
        settings.as_json(), versions.installed(), machine.arithmetic(backbone.device), client is not None,
        data.content_hash, list(data.classes), data.splits, data.features, *reference,
        *(value.cpu().numpy() for value in backbone.network.state_dict().values()),
    ]  # fmt: skip


def _matrix_names(data: Dataset, trusted: Reference | None) -> dict[str, Any]:
    """What the rows and columns of the matrix are."""
    rows = [data.paths[i] for i in data.rows("test")] if trusted is None else list(trusted.paths)
    return {"rows": rows, "columns": [data.paths[i] for i in data.rows("train")]}


def _part(update: Any, index: int, parts: int) -> Any:
    """Progress of one of several equal parts."""
    return lambda done, total: update(index * total + done, parts * total)


# Detection, training and the controlled experiment


def _detection(
    data: Dataset, trusted: Reference | None, device: str, settings: AuditSettings, progress: Progress,
    kept: Checkpoints,
) -> detecting.Detection | None:  # fmt: skip
    """Suspicion, calibration and the damping; None for the study, which ranks by its own influence alone."""
    if settings.preset == "study":
        return None
    with _stage(progress, "detection", "Looking for wrong labels") as update:
        return kept.once("detection", lambda: detecting.detect(
            data.features, data.labels, data.n_classes, seed=settings.seed, names=data.paths,
            reference=_pair(trusted), settled=data.trusted_labels, device=device,
            progress=lambda text, part: update(round(100 * part), 100),
            settings=detecting.DetectionSettings(repeats=0),  # recovery is what the experiment measures
        ))  # fmt: skip


def _pair(trusted: Reference | None) -> tuple[Array, Array] | None:
    return None if trusted is None else (trusted.features, trusted.labels)


def _learner(
    data: Dataset,
    trusted: Reference | None,
    backbone: Backbone,
    settings: AuditSettings,
    detection: detecting.Detection | None,
    client: Any,
    kept: Checkpoints,
) -> Learner:
    schedule = model.Schedule(settings.epochs, settings.learning_rate, settings.batch_size, settings.seed)
    conditioned = settings.conditions_head
    damping = STUDY_DAMPING if settings.damping == "auto" else float(settings.damping)
    if conditioned and detection is not None:
        damping = detection.damping.value
    elif settings.damping == "auto" and not settings.trains_head_only:
        damping = NETWORK_DAMPING
    choice = EngineChoice(settings.engine, damping, backbone.device, settings.seed, client)
    if settings.trains_head_only:

        def points(name: str) -> Points:
            rows = data.rows(name)
            return Points(data.features, rows, data.labels[rows])

        reference = points("test")
        if trusted is not None:
            reference = Points(trusted.features, np.arange(len(trusted.labels)), trusted.labels)
        val = points("val") if len(data.rows("val")) else None
        return HeadLearner(
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
        keeper=lambda labels: TrainingStates(kept, labels),
    )  # fmt: skip


def _experiment(
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
            data.labels[train], data.n_classes, settings.noise_rate, settings.noise, (settings.seed, 0x9147, repeat),
            average_influence=clean.average_influence, probabilities=clean.probabilities,
        )  # fmt: skip
        if any(np.array_equal(planting.labels, other.labels) for other, _ in runs.values()):
            continue  # the most influential points of two classes are the same ones every time
        part = _part(update, repeat, 2 * settings.repeats)  # half of all is suspicion
        runs[repeat] = planting, learner.learn(planting.labels, part).without_engine()
        update(repeat + 1, 2 * settings.repeats)
    machine.give_back()
    if detection is None:
        return [Trial(planting, run, -run.average_influence) for planting, run in runs.values()]
    scorer = cache(lambda: detecting.Scorer(  # made when first asked: an audit that goes on may need none
        data.features, data.labels, data.n_classes, rows=train, seed=settings.seed + 1, reference=_pair(trusted),
        device=device,
    ))  # fmt: skip
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


def _suspects(data: Dataset, ranking: pd.DataFrame, settings: AuditSettings) -> tuple[list[str], list[int]]:
    """Paths and rows of the images that are shown as suspects, the most suspicious first."""
    position = {path: i for i, path in enumerate(data.paths)}
    paths = list(ranking[ranking["rank"].notna()].head(settings.thumbnails)["path"])
    return paths, [position[path] for path in paths]


def _explained(data: Dataset, clean: Run, ranking: pd.DataFrame, settings: AuditSettings) -> dict[str, Any]:
    """What asks the clean run's engine for rows of the influence matrix."""
    position = {path: i for i, path in enumerate(data.paths)}
    index = {name: i for i, name in enumerate(data.classes)}
    suggested = np.full(len(data.paths), -1, dtype=np.int64)
    suggested[[position[p] for p in ranking["path"]]] = ranking["suggested_label"].map(index).fillna(-1).astype(int)
    _, rows = _suspects(data, ranking, settings)
    return {
        "examples": evidence.examples(data, clean, settings.examples),
        "why": evidence.explanations(data, clean, rows, suggested),
    }


def _evidence(
    data: Dataset,
    clean: Run,
    ranking: pd.DataFrame,
    planted: pd.DataFrame,
    detection: detecting.Detection | None,
    explained: dict[str, Any],
    settings: AuditSettings,
) -> dict[str, Any]:
    paths, rows = _suspects(data, ranking, settings)
    shown: dict[str, Any] = {
        "examples": explained["examples"],
        "histograms": evidence.influence_histograms(data, clean, planted),
        "extremes": evidence.extremes(data, clean),
        "lowest_planted_run": evidence.lowest_planted(planted),
        "why": explained["why"],
        "near_duplicates": evidence.near_duplicates(data, rows),
    }
    wanted = [*paths, *evidence.mentioned(list(shown.values()))]
    shown["suggested_probability"] = {
        data.paths[row]: round(float(detection.suggested_probability[row]), 4)
        for row in rows if data.trusted_labels[row] < 0
    } if detection is not None else {}  # fmt: skip
    pictures = evidence.thumbnails(data.table.read, wanted, settings.max_pixels, suspects=len(paths))
    return {"thumbnails": pictures, **shown}
