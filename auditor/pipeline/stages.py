"""The stages of an audit in order. No other module knows them all.

source -> split -> features -> train -> influence -> ranking -> plant, train, influence -> recovery -> result
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor import detection as detecting
from auditor import engines
from auditor.compute import hardware
from auditor.compute.side_by_side import pieces_for
from auditor.config import AuditSettings, RunSettings
from auditor.data.families import kinship
from auditor.data.inputs import Inputs
from auditor.detection import Detection, Labelled
from auditor.detection.registry import identities
from auditor.experiment.learners import make_learner
from auditor.experiment.noise import Planting
from auditor.experiment.resuming import Remembering
from auditor.experiment.run import Explainer, Learner, Run
from auditor.experiment.trials import Plan, SuspicionOf, Trial, run_trials
from auditor.oddities.registry import identities as kinds_from_elsewhere
from auditor.pipeline import checks, oddities, reading, summary
from auditor.pipeline import ranking as rankings
from auditor.pipeline.choosing import Learnt, learnt
from auditor.pipeline.evidence import Explained, Shown, explain_suspects, gather_evidence
from auditor.pipeline.job import Job
from auditor.pipeline.sample import with_sample
from auditor.pipeline.summary import Made
from auditor.pipeline.thumbnails import Pictures
from auditor.pipeline.tuned_features import Tuner
from auditor.result import AuditResult
from auditor.result.nouns import noun_of
from auditor.review.ledger import Ledger
from auditor.sources.base import ImageTable
from auditor.sources.beside import beside_digest
from auditor.system import memory, versions
from auditor.system.arrays import Array
from auditor.system.checkpoint import Checkpoints
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
    """Audit a data set, from its images to a result. `AuditResult.save` writes the result.

    Parameters
    ----------
    source
        What `auditor audit SOURCE` takes, or an opened table.
    download
        Allow fetching ImageNet's weights when they are not in torch's cache.
    kept
        Where finished stages are kept, and where those of an interrupted audit are found. The caller clears it once
        the result is safe.

    Raises
    ------
    SourceError, WeightsError, ConfigError, EngineError, UndecidedError
    """
    job = Job(
        settings or AuditSettings(),
        run or RunSettings(),
        progress or Progress(quiet=True),
        kept or Checkpoints(None),
        download,
    )
    hardware.set_threads()
    checks.before_opening(source, job)
    with memory.only_new_objects(), hardware.repeatable(), _cluster(job.run.dask) as client:
        job = replace(job, client=client)
        inputs, ledger = reading.read(source, job)
        job.kept.open(*_deciding(inputs, job))
        inputs = _without_network(inputs, job.settings)
        with noun_of(inputs.data.table.kind).told(), pieces_for(inputs.data.features.size):
            return _audited(inputs, job, ledger)


def _cluster(address: str) -> contextlib.AbstractContextManager[Any]:
    """A client of the Dask cluster that the user named; None without one."""
    if not address:
        return contextlib.nullcontext()
    from auditor.influence.pydvl.cluster import cluster

    opened: contextlib.AbstractContextManager[Any] = cluster(address)
    return opened


def _deciding(inputs: Inputs, job: Job) -> list[Any]:
    """Everything that a stage after the pixels depends on."""
    data, trusted = inputs.data, inputs.trusted
    network = {} if inputs.backbone is None else inputs.backbone.network.state_dict()
    reference = [] if trusted is None else [trusted.source, trusted.content_hash, trusted.features, trusted.labels]
    return [
        job.settings.as_json(),
        engines.code(job.settings.engine),
        versions.installed(),
        hardware.arithmetic(inputs.device),
        job.client is not None,
        identities(),
        kinds_from_elsewhere(),
        data.content_hash,
        list(data.classes),
        data.splits,
        data.features,
        *([] if data.groups is None else [list(data.groups)]),
        beside_digest(data.table, data.paths),
        *([] if data.looked is None else [dict(data.looked.use), data.looked.first, data.looked.found]),
        *reference,
        *(value.cpu().numpy() for value in network.values()),
        inputs.encoder.code,
    ]


def _without_network(inputs: Inputs, settings: AuditSettings) -> Inputs:
    """The inputs after the pixels. A frozen backbone has done its work."""
    return replace(inputs, backbone=None) if settings.freezes_backbone else inputs


def _audited(inputs: Inputs, job: Job, ledger: Ledger) -> AuditResult:
    """Everything after the pixels: detection, the two kinds of run, and the result."""
    checks.before_training(inputs.data, job.settings)
    inputs = _with_families(oddities.with_facts(inputs, job), job)
    seen = learnt(inputs, job)
    detection = _detect(inputs, job, seen)
    damping = None if detection is None else detection.damping.value
    taught = replace(inputs, data=inputs.data.taught())
    learner = Remembering(make_learner(taught, job.settings, damping, job.client, job.kept), job.kept)
    given = _learn_given(inputs, job, learner, detection)
    odd = oddities.find(inputs, job, detection)
    trials = _experiment(taught, job, learner, given.run, _suspicions(taught, job, detection, seen.tuner))
    with job.stage("result", "Putting the result together"):
        planted = rankings.planted(taught.data, trials[0], by=job.settings.rank_by)
        of = Shown(given.ranking, planted, given.explained, odd.paths)
        pictures = Pictures(inputs.data.table, job.settings.max_pixels, inputs.data.hashes, job.kept.remembered)
        shown = gather_evidence(inputs.data, given.run, detection, of, job.settings, pictures)
    made = Made(inputs, learner, given.run, trials, detection, odd.documents)
    document = summary.document(made, job.settings, job.progress.seconds)
    result = AuditResult(document, odd.columns_in(given.ranking), planted, shown)
    return with_sample(result, inputs.data.table, pictures, ledger)


def _detect(inputs: Inputs, job: Job, seen: Learnt) -> Detection | None:
    """Suspicion, calibration and the damping; None for the study, which ranks by influence alone."""
    if job.settings.preset == "study":
        return None
    data, images = inputs.data, seen.joined(_labelled(inputs, looks=True))
    with job.stage("detection", "Looking for wrong labels") as update:
        found = job.kept.once(
            "detection",
            lambda: detecting.detect(
                images,
                seed=job.settings.seed,
                settings=detecting.DetectionSettings(rank_by=job.settings.rank_by),
                names=data.paths,
                settled=data.trusted_labels,
                device=inputs.exact_device,
                tell=lambda step, share: update(round(100 * share), 100),
            ),
        )
    return replace(found, notes=(*seen.notes, *found.notes))


def _with_families(inputs: Inputs, job: Job) -> Inputs:
    """The inputs with their families of copies. The study knows none."""
    if job.settings.preset == "study":
        return inputs
    data = inputs.data
    # Probabilities alone tell no copies: whatever a model is sure of looks alike.
    seen = data.features if data.table.given is None or data.table.given.features is not None else None
    layout = None if inputs.facts is None else inputs.facts.layout
    found = job.kept.remembered.once(
        "families",
        [seen, layout, list(data.hashes), None if data.groups is None else list(data.groups), _made_by("cpu")],
        lambda: kinship(seen, data.hashes, data.groups, layout),
    )
    groups = None if len(np.unique(found.family)) == len(found.family) else found.family
    return replace(inputs, groups=groups, near=found.near)


def _made_by(device: str) -> list[Any]:
    """What decides the last bits of numbers."""
    return [versions.installed(), hardware.arithmetic(device)]


def _labelled(inputs: Inputs, *, looks: bool = False) -> Labelled:
    """What detection judges, with its families of copies.

    With `looks` these are the labels as they were first audited, with what people found as evidence.
    """
    data, seen = inputs.data, inputs.data.looked if looks else None
    return Labelled(
        data.features,
        data.labels if seen is None else seen.first,
        data.n_classes,
        inputs.reference_pair,
        found=None if seen is None else seen.found,
        groups=inputs.groups,
        probabilities=data.probabilities,
    )


@dataclass(frozen=True)
class _Given:
    """What the given labels led to: the run on them, the ranking, and what explains its first images."""

    run: Run
    ranking: pd.DataFrame
    explained: Explained


def _learn_given(inputs: Inputs, job: Job, learner: Learner, detection: Detection | None) -> _Given:
    """Train on the given labels, rank, and explain. The engine is let go before anything is planted."""
    data = inputs.data
    with job.stage("train", "Training on the given labels") as update:
        learnt = learner.learn(data.taught().labels[data.rows("train")], update)
    if job.run.save_matrix:
        with job.stage("matrix", "Writing the influence matrix"):
            _save_matrix(inputs, job, learnt.explainer)
    with job.stage("explain", "Looking for what explains the suspects") as update:
        ranking = rankings.given(data, learnt.run, detection, conditioned=learner.conditioned, by=job.settings.rank_by)
        explained = explain_suspects(data, learnt, ranking, job.settings, update)
    return _Given(replace(learnt.run, solves=learnt.explainer.solves()), ranking, explained)


def _save_matrix(inputs: Inputs, job: Job, explainer: Explainer) -> None:
    """Write the matrix, unless this very audit wrote it before a kill."""
    path, key = job.run.save_matrix, job.kept.key
    if key and checks.matrix_author(path) == key:
        return
    data, trusted = inputs.data, inputs.trusted
    rows = [data.paths[i] for i in data.rows("test")] if trusted is None else list(trusted.paths)
    columns = [data.paths[i] for i in data.rows("train")]
    explainer.save_matrix(path, {"rows": rows, "columns": columns, "audit": key})


def _experiment(inputs: Inputs, job: Job, learner: Learner, clean: Run, suspicion_of: SuspicionOf) -> list[Trial]:
    """Plant noise in the given labels and find it again."""
    data, settings = inputs.data, job.settings
    plan = Plan(settings.noise, settings.noise_rate, settings.repeats, settings.seed)
    with job.stage("experiment", "Planting noise and finding it again") as update:
        return run_trials(data.labels[data.rows("train")], plan, learner, clean, suspicion_of, update)


def _suspicions(inputs: Inputs, job: Job, detection: Detection | None, tuner: Tuner | None) -> SuspicionOf:
    """What ranks the experiment's labels: as the given ones were ranked."""
    if detection is None:
        return _by_influence
    return _by_suspicion(inputs, job, detection) if tuner is None else _by_tuned(inputs, job, detection, tuner)


def _by_influence(repeat: int, planting: Planting, run: Run) -> Array:
    """The study's suspicion: negative average influence."""
    return -run.average_influence


def _by_suspicion(inputs: Inputs, job: Job, detection: Detection) -> SuspicionOf:
    """Detection's suspicion of planted labels, at its damping. A resumed audit may need no scorer, and makes none."""
    data, seed = inputs.data, job.settings.seed + 1
    scorer = cache(
        lambda: detecting.Scorer(
            _labelled(inputs),
            rows=data.rows("train"),
            seed=seed,
            settings=detecting.DetectionSettings(damping=detection.damping.value),
            device=inputs.exact_device,
        )
    )

    def suspicion(repeat: int, planting: Planting, run: Run) -> Array:
        # The combination is fitted on plantings of its own, seeded apart from the one it judges.
        return job.kept.once(f"suspicion-{repeat}", lambda: scorer().suspicion(planting.labels, seed + repeat))

    return suspicion


def _by_tuned(inputs: Inputs, job: Job, detection: Detection, tuner: Tuner) -> SuspicionOf:
    """The same with networks that are tuned anew on each planting: others would have seen the labels it replaces."""
    rows, seed = inputs.data.rows("train"), job.settings.seed + 1

    def suspicion(repeat: int, planting: Planting, run: Run) -> Array:
        def computed() -> Array:
            told = tuner(planting.labels, rows, f"tuned-{repeat}", lambda done, total: None)
            scorer = detecting.Scorer(
                told.joined(_labelled(inputs).select(rows)),
                seed=seed,
                settings=detecting.DetectionSettings(damping=detection.damping.value),
                device=inputs.exact_device,
            )
            return scorer.suspicion(planting.labels, seed + repeat)

        return job.kept.once(f"suspicion-{repeat}", computed)

    return suspicion
