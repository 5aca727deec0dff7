"""The stages of an audit in order; the only module that knows them all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from auditor import detection as detecting
from auditor.compute import hardware
from auditor.config import AuditSettings, RunSettings
from auditor.data.dataset import Dataset
from auditor.data.reference import Reference
from auditor.errors import ConfigError
from auditor.experiment import noise
from auditor.experiment.learners import make_learner
from auditor.experiment.resuming import Remembering
from auditor.experiment.trials import as_pair, run_trials
from auditor.model.backbone import Backbone
from auditor.pipeline import ranking as rankings
from auditor.pipeline import reading, summary
from auditor.pipeline.evidence import explain_suspects, gather_evidence
from auditor.pipeline.summary import Made
from auditor.result import AuditResult
from auditor.sources.base import ImageTable, left_out
from auditor.system import memory, versions
from auditor.system.checkpoint import Checkpoints
from auditor.system.lock import refuse_inside
from auditor.system.progress import Progress


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
    hardware.set_threads()
    if not isinstance(source, ImageTable):
        for path, what, option in ((run.cache, "cache", "--cache"), (run.save_matrix, "matrix", "--save-matrix")):
            if path:
                refuse_inside(path, source, what, option)
    _check_matrix(run.save_matrix)
    with contextlib.ExitStack() as stack:
        stack.enter_context(hardware.repeatable())
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
    memory.give_back()


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
    from auditor.influence.pydvl.matrix import author  # zarr and pyDVL, for those who ask for a matrix

    return author(path)


def _cluster(address: str, settings: AuditSettings) -> contextlib.AbstractContextManager[Any]:
    if not settings.trains_head_only:
        raise ConfigError(
            "--dask serves --train head only: a network beyond its head is trained on one machine",
            hint="leave out --dask, or use --train head",
        )
    from auditor.influence.pydvl.cluster import cluster

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
    learner = Remembering(make_learner(data, trusted, backbone, settings, detection, client, kept), kept)
    train = data.rows("train")
    with _stage(progress, "train", "Training on the given labels") as update:
        clean = learner.learn(data.labels[train], update)
    if run.save_matrix:
        with _stage(progress, "matrix", "Writing the influence matrix"):
            if not kept.key or _author(run.save_matrix) != kept.key:  # else written before a kill
                clean.save_matrix(run.save_matrix, {**_matrix_names(data, trusted), "audit": kept.key})
    with _stage(progress, "explain", "Looking for what explains the suspects"):
        ranking = rankings.given(data, clean, detection, conditioned=learner.conditioned)
        explained = explain_suspects(data, clean, ranking, settings)
    clean = clean.without_engine()
    with _stage(progress, "experiment", "Planting noise and finding it again") as update:
        trials = run_trials(data, trusted, backbone.device, learner, clean, settings, detection, update, kept)
    with _stage(progress, "result", "Putting the result together"):
        planted = rankings.planted(data, trials[0])
        shown = gather_evidence(data, clean, ranking, planted, detection, explained, settings)
    made = Made(data, trusted, backbone, learner, clean, trials, detection)
    return AuditResult(summary.document(made, settings, progress.seconds), ranking, planted, shown)


def _deciding(
    data: Dataset, trusted: Reference | None, backbone: Backbone, settings: AuditSettings, client: Any
) -> list[Any]:
    """Everything that a stage after the pixels depends on."""
    reference = [] if trusted is None else [trusted.source, trusted.content_hash, trusted.features, trusted.labels]
    return [
        settings.as_json(),
        versions.installed(),
        hardware.arithmetic(backbone.device),
        client is not None,
        data.content_hash,
        list(data.classes),
        data.splits,
        data.features,
        *reference,
        *(value.cpu().numpy() for value in backbone.network.state_dict().values()),
    ]


def _matrix_names(data: Dataset, trusted: Reference | None) -> dict[str, Any]:
    """What the rows and columns of the matrix are."""
    rows = [data.paths[i] for i in data.rows("test")] if trusted is None else list(trusted.paths)
    return {"rows": rows, "columns": [data.paths[i] for i in data.rows("train")]}


# Detection, training and the controlled experiment


def _detection(
    data: Dataset,
    trusted: Reference | None,
    device: str,
    settings: AuditSettings,
    progress: Progress,
    kept: Checkpoints,
) -> detecting.Detection | None:
    """Suspicion, calibration and the damping; None for the study, which ranks by its own influence alone."""
    if settings.preset == "study":
        return None
    with _stage(progress, "detection", "Looking for wrong labels") as update:
        return kept.once(
            "detection",
            lambda: detecting.detect(
                data.features,
                data.labels,
                data.n_classes,
                seed=settings.seed,
                names=data.paths,
                reference=as_pair(trusted),
                settled=data.trusted_labels,
                device=device,
                progress=lambda text, part: update(round(100 * part), 100),
                settings=detecting.DetectionSettings(repeats=0),  # recovery is what the experiment measures
            ),
        )
