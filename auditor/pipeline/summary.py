"""The content of `audit.json`, put together from what the stages made. `docs/schema.md` describes every key."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from auditor._version import __version__
from auditor.config import AuditSettings, joined
from auditor.data.inputs import Inputs
from auditor.detection import Detection
from auditor.detection.registry import meanings
from auditor.experiment import recovery
from auditor.experiment.run import Learner, Run
from auditor.experiment.trials import Trial
from auditor.pipeline.looking import looked_notes
from auditor.pipeline.model_figures import head_notes, model_document
from auditor.pipeline.rows import limits
from auditor.result.ceiling import ceiling_of
from auditor.result.documents import (
    SCHEMA_VERSION,
    AuditDocument,
    InfluenceDocument,
    OddityDocument,
    ReferenceSuspect,
    SettingsDocument,
    SettledDocument,
    SolveDocument,
)
from auditor.result.figures import CalibrationDocument, CeilingDocument, Estimate, RankingDocument, RecoveryDocument
from auditor.result.nouns import Noun, noun_of
from auditor.result.settings import ADDED
from auditor.system import machine, versions
from auditor.system.arrays import Array

_PLACES = ("root", "columns", "ledger", "features", "probabilities")
"""Settings that say where something lies. What lies there shows in hashes."""

SOLVES_KEPT = 200
"""Linear systems whose residuals are listed."""

CROWDED = 0.5
"""From this many wrong labels for each planted one, a note says that recovery reads low."""


def document(made: Made, settings: AuditSettings, seconds: dict[str, float]) -> AuditDocument:
    """The whole of `audit.json`."""
    data, trusted, detection = made.inputs.data, made.inputs.trusted, made.detection
    chosen = settings.as_json()
    content = data.summary()
    # Audits of earlier versions keep their id. Where the data set lies is no part of it.
    naming = {k: v for k, v in chosen.items() if ADDED.get(k) != v and k not in _PLACES} | _hashes(made, settings)
    ledger = None if data.looked is None else data.looked.use
    noun = noun_of(data.table.kind)
    seen = [] if ledger is None else [ledger["sha256"]]
    given = [
        text
        for text in (content["groups"], data.table.given.sha256 if data.table.given else "", content["beside"])
        if text
    ]
    encoder = made.inputs.encoder
    own = [encoder.sha256, encoder.code] if encoder.code else []  # a user's network, which its name does not tell
    identity = json.dumps([content["content_hash"], naming, *seen, *given, *own], sort_keys=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "audit_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "auditor_version": __version__,
        "command": command_line(data.source, settings),
        "settings": cast(SettingsDocument, chosen),
        "run": {"device": made.inputs.device, "threads": torch.get_num_threads(), "dtype": settings.dtype},
        "dataset": content,
        "model": model_document(made.inputs.encoder, (made.clean, made.trials[0].run), made.learner, settings),
        "reference": {
            "kind": "test split" if trusted is None else "trusted",
            "source": None if trusted is None else trusted.source,
            "n": len(data.rows("test")) if trusted is None else len(trusted.labels),
            "content_hash": None if trusted is None else trusted.content_hash,
            "suspects": _reference_suspects(made),
            "settled": data.settled(),
        },
        "ledger": ledger,
        "influence": _influence(made),
        "recovery": _recovery(made, settings),
        "calibration": None if detection is None else _calibration(detection, list(data.classes), noun),
        "signals": []
        if detection is None
        else [
            {"name": name, "weight": weight, "meaning": noun.of(meanings()[name])}
            for name, weight in detection.weights.items()
        ],
        "damping_choice": None
        if detection is None or not detection.damping.trace
        else [{"damping": trial.damping, "score": trial.average_precision} for trial in detection.damping.trace],
        "oddities": made.oddities,
        "stages": seconds,
        "versions": versions.installed(),
        "machine": machine.describe(),
        "notes": [noun.of(note) for note in _notes(made, settings)],
    }


def _hashes(made: Made, settings: AuditSettings) -> dict[str, str]:
    """Settings that name a file or a data set -> what lay there. Other bytes under one name are another audit."""
    found = {}
    if settings.weights not in ("none", "imagenet"):
        found["weights"] = made.inputs.encoder.sha256
    if made.inputs.trusted is not None:
        found["reference"] = made.inputs.trusted.content_hash
    return found


def _influence(made: Made) -> InfluenceDocument:
    runs = [("given labels", made.clean), *((f"planting {i + 1}", t.run) for i, t in enumerate(made.trials))]
    solves: list[SolveDocument] = [
        {
            "run": name,
            "right_hand_sides": solve.right_hand_sides,
            "iterations": solve.iterations,
            "relative_residual": solve.relative_residual,
            "converged": solve.converged,
        }
        for name, one in runs
        for solve in one.solves
    ]
    return {
        "engine": made.clean.engine,
        "damping": made.clean.damping,
        "mode": "up",
        "parameters": made.learner.n_parameters,
        "solves": solves[:SOLVES_KEPT],
    }


def _recovery(made: Made, settings: AuditSettings) -> RecoveryDocument:
    def measured(suspicions: list[Array]) -> RankingDocument:
        flags = [t.planting.planted[recovery.order_of(s)] for t, s in zip(made.trials, suspicions, strict=True)]
        return recovery.measure(flags, settings.seed)

    first = made.trials[0]
    n_planted = int(first.planting.planted.sum())
    return {
        "noise": settings.noise,
        "rate": settings.noise_rate,
        "n": len(first.planting.labels),
        "n_planted": n_planted,
        "rankings": {
            "influence": measured([-t.run.average_influence for t in made.trials]),
            "suspicion": None if made.detection is None else measured([t.suspicion for t in made.trials]),
            "random": recovery.measure_random(len(first.planting.labels), n_planted, settings.seed),
            "listed": "influence" if made.detection is None or settings.rank_by == "influence" else "suspicion",
        },
        "by_class": recovery.by_class(
            first.run.average_influence, first.planting.planted, first.planting.labels, made.inputs.data.classes
        ),
        "repeats": len(made.trials),
        "ceiling": _ceiling(made, n_planted),
    }


def _ceiling(made: Made, n_planted: int) -> CeilingDocument | None:
    """What a perfect list could find, by the share of labels that the audit thinks were wrong before."""
    detection, data = made.detection, made.inputs.data
    if detection is None or detection.share is None:
        return None
    train = data.rows("train")
    p = None if detection.p_mislabelled is None else detection.p_mislabelled[train]
    suggested, n_classes = detection.suggested_label[train], len(data.classes)
    strikes = [recovery.struck(trial.planting, n_classes, p, suggested) for trial in made.trials]
    share: Estimate = {"value": detection.share.value, "interval": [detection.share.low, detection.share.high]}
    return ceiling_of(len(train), n_planted, strikes, share)


def _calibration(detection: Detection, classes: list[str], noun: Noun) -> CalibrationDocument:
    """Estimates as `audit.json` keeps them, or the reason why there are none."""
    share = detection.share
    return {
        "decided": detection.decided,
        "reason": noun.of(detection.reason),
        "basis": noun.of(detection.basis),
        "assumption": noun.of(detection.assumption),
        "cannot_tell": detection.cannot_tell,
        "said": noun.of(detection.said),
        "share": None if share is None else {"value": share.value, "interval": [share.low, share.high]},
        "count": None if share is None else {"value": share.count, "interval": [share.count_low, share.count_high]},
        "by_class": [
            {
                "label": classes[int(row["label"])],
                "n": int(row["n"]),
                "count": row["expected"],
                "share": row["share"],
                "share_interval": [row["low"] / row["n"], row["high"] / row["n"]],
            }
            for row in _records(detection.by_class)
        ],
        "by_pair": [
            {
                "label": classes[int(row["label"])],
                "n": int(row["n"]),
                "suggested_label": classes[int(row["suggested_label"])],
                "count": row["expected"],
                "interval": [row["low"], row["high"]],
            }
            for row in _records(detection.by_pair)
        ],
        "review": [
            {
                "k": int(row["k"]),
                "expected_found": row["expected_found"],
                "expected_found_interval": [row["found_low"], row["found_high"]],
                "precision": row["precision"],
                "precision_interval": [row["precision_low"], row["precision_high"]],
                "recall": row["recall"],
                "recall_interval": [row["recall_low"], row["recall_high"]],
            }
            for row in _records(detection.review)
        ],
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain numbers. JSON has no NaN, so a number that is not finite becomes None."""
    rows: list[dict[str, Any]] = []
    for row in frame.to_dict("records"):
        plain = {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        rows.append({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in plain.items()})
    return rows


def _reference_suspects(made: Made) -> list[ReferenceSuspect]:
    if made.inputs.trusted is None or made.detection is None:
        return []
    trusted, classes = made.inputs.trusted, made.inputs.data.classes
    return [
        {"path": trusted.paths[row], "label": classes[trusted.labels[row]], "suggested_label": None, "suspicion": None}
        for row in made.detection.reference_suspects
    ]


def _crowded(detection: Detection | None, rate: float) -> list[str]:
    """A note where many given labels are wrong already: they make recovery read low."""
    share = None if detection is None else detection.share
    if share is None or share.value < CROWDED * rate:
        return []
    return [
        f"About {share.value:.0%} of the given labels are probably wrong already. They stand at the top of the list "
        "beside the planted ones and count there as misses. So the figures of recovery read lower here than they would "
        "on clean data. The ceiling says how many planted labels a perfect list would hold."
    ]


def _notes(made: Made, settings: AuditSettings) -> list[str]:
    notes = [*made.inputs.data.notes, *made.clean.notes, *(made.detection.notes if made.detection else ())]
    notes.extend(head_notes(made.clean))
    notes.extend(looked_notes(made.inputs.data))
    notes.extend(_crowded(made.detection, settings.noise_rate))
    notes.extend(limits(made.inputs.data, settings.examples))
    if made.inputs.trusted is not None:
        notes.extend(made.inputs.trusted.notes)
        notes.extend(_settled_notes(made.inputs.data.settled()))
    else:
        sharper = "" if made.inputs.data.table.given else " A trusted reference (--reference) makes it sharper."
        notes.append(f"Influence is measured on images whose labels are as uncertain as the rest.{sharper}")
        notes.append(
            "We flipped training labels only. The test labels stayed as they were, and the influence ranking of the "
            "experiment is measured on them. So this test is slightly easier for influence than your real data. "
            "Suspicion does not use the test split there."
        )
    if made.detection is not None and made.learner.conditioned:
        notes.append(
            "Average influence in ranking.csv is cross-fitted over all images. The report's histograms and examples "
            "show the training split's influence on the reference."
        )
    if not len(made.inputs.data.rows("val")):
        notes.append("There is no validation split, so no validation loss.")
    if made.detection is not None and made.inputs.data.pixels is not None:
        notes.append(
            "Suspicion rests on features of the network as it was before training. No label can have influenced them."
        )
    return notes


def _settled_notes(settled: SettledDocument) -> list[str]:
    n, wrong = settled["n"], len(settled["wrong"])
    if not n:
        return []
    return [
        f"The reference holds {n} of the data set's images themselves, {wrong} of them under another label. Its word "
        f"settles them: if the reference is right, {wrong} are certainly wrong and {n - wrong} are right. They were "
        "left out of training, test, planting and estimate. The figures of recovery are those of the other images."
    ]


def command_line(source: str, settings: AuditSettings) -> str:
    """The command that runs an audit again, with every setting that is not the default."""
    words = ["auditor", "audit", source]
    for field in fields(AuditSettings):
        value = getattr(settings, field.name)
        if value == field.default:
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if not isinstance(value, bool):
            words.append(joined(value) if isinstance(value, tuple) else str(value))
    return shlex.join([*words, "-o", "OUT"])


@dataclass(frozen=True)
class Made:
    """Everything an audit made, before it becomes a result.

    Attributes
    ----------
    clean
        The run on the given labels.
    trials
        The controlled experiment's plantings.
    detection
        None for the reference study's preset.
    oddities
        What else is wrong, as `audit.json` has it.
    """

    inputs: Inputs
    learner: Learner
    clean: Run
    trials: list[Trial]
    detection: Detection | None
    oddities: list[OddityDocument]
