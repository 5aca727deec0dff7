"""The content of `evidence.json`: pictures and examples for people. No verdict depends on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from auditor.config import AuditSettings
from auditor.data.dataset import Dataset
from auditor.detection import Detection
from auditor.experiment.run import Learnt, Run
from auditor.pipeline.examples import examples
from auditor.pipeline.histograms import extremes, influence_histograms
from auditor.pipeline.leaving_out import left_out_of
from auditor.pipeline.plane import plane
from auditor.pipeline.suspects import explanations, near_duplicates
from auditor.pipeline.thumbnails import Pictures, excerpts, mentioned
from auditor.result.evidence import EvidenceDocument, ExampleDocument, LikelyClass, LowestImage, WhyDocument
from auditor.system.arrays import Ints
from auditor.system.interrupts import held
from auditor.system.progress import Update

LOWEST = 24


def lowest_planted(planted: pd.DataFrame) -> list[LowestImage]:
    """The corrupted run's images of lowest average influence, and what they really are."""
    columns = ["path", "label", "trained_label", "planted", "average_influence", "influence_rank"]
    frame = planted.sort_values("influence_rank").head(LOWEST)[columns]
    with held():  # pandas writes JSON in C, and an interrupt in one of its calls of Python ends the process
        records: list[LowestImage] = json.loads(frame.to_json(orient="records"))
    return records


def _suspects(data: Dataset, ranking: pd.DataFrame, settings: AuditSettings) -> tuple[list[str], list[int]]:
    """Paths and rows of the images shown as suspects, the most suspicious first."""
    shown = ranking[ranking["rank"].notna()].head(settings.thumbnails)
    return list(shown["path"]), _in_order(data, shown).tolist()


def _in_order(data: Dataset, ranking: pd.DataFrame) -> Ints:
    """The rows of the images of a ranking, int64 [n], in its order."""
    position = {path: i for i, path in enumerate(data.paths)}
    return np.array([position[path] for path in ranking["path"]], dtype=np.int64)


class Explained(TypedDict):
    """The part of the evidence that only the clean run's engine can give."""

    examples: list[ExampleDocument]
    why: dict[str, WhyDocument]


def explain_suspects(
    data: Dataset, learnt: Learnt, ranking: pd.DataFrame, settings: AuditSettings, update: Update
) -> Explained:
    """The part of the evidence that asks the clean run's engine for rows of the influence matrix."""
    position = {path: i for i, path in enumerate(data.paths)}
    index = {name: i for i, name in enumerate(data.classes)}
    suggested = np.full(len(data.paths), -1, dtype=np.int64)
    suggested[[position[p] for p in ranking["path"]]] = ranking["suggested_label"].map(index).fillna(-1).astype(int)
    _, rows = _suspects(data, ranking, settings)
    why = explanations(data, learnt.explainer, rows, suggested)
    if settings.exact and learnt.explainer.leave_out is not None:
        exact = [row for row in rows[: settings.exact] if data.paths[row] in why]
        why = left_out_of(data, learnt.explainer.leave_out, why, exact, update)
    return {"examples": examples(data, learnt, settings.examples), "why": why}


@dataclass(frozen=True)
class Shown:
    """What the evidence is about.

    Attributes
    ----------
    ranking, planted
        The tables of the audit.
    explained
        What the clean run's engine gave.
    odd
        Paths of further items that people want to see.
    """

    ranking: pd.DataFrame
    planted: pd.DataFrame
    explained: Explained
    odd: Sequence[str] = ()


def gather_evidence(
    data: Dataset, clean: Run, detection: Detection | None, of: Shown, settings: AuditSettings, pictures: Pictures
) -> EvidenceDocument:
    """The whole of `evidence.json`. `pictures` makes the small ones."""
    ranking, planted, explained = of.ranking, of.planted, of.explained
    paths, rows = _suspects(data, ranking, settings)
    shown: EvidenceDocument = {
        "thumbnails": {},
        "excerpts": {},
        "examples": explained["examples"],
        "histograms": influence_histograms(data, clean, planted),
        "extremes": extremes(data, clean),
        "lowest_planted_run": lowest_planted(planted),
        "why": explained["why"],
        "near_duplicates": near_duplicates(data, rows),
        "map": plane(data.features, data.labels, _in_order(data, ranking)),
        "suggested_probability": _suggested_probability(data, detection, rows),
        "likeliest": _likeliest(data, detection, rows),
        "sample": [],
        "proves": [],
    }
    wanted = [*paths, *mentioned(list(shown.values())), *of.odd]
    shown["thumbnails"] = pictures.small(wanted, suspects=len(paths))
    shown["excerpts"] = excerpts(data.table, wanted)
    return shown


def _suggested_probability(data: Dataset, detection: Detection | None, rows: Sequence[int]) -> dict[str, float]:
    """The probability of each suspect's suggested label. A settled image needs none."""
    if detection is None:
        return {}
    looked = None if data.looked is None else data.looked.wrong(data.labels)
    return {
        data.paths[row]: round(float(detection.suggested_probability[row]), 4)
        for row in rows
        if data.trusted_labels[row] < 0 and not (looked is not None and looked[row])
    }


def _likeliest(data: Dataset, detection: Detection | None, rows: Sequence[int]) -> dict[str, list[LikelyClass]]:
    """The likeliest classes of each suspect. Where nothing could be decided, and of certain ones, there are none."""
    if detection is None:
        return {}
    labels, chances = detection.likeliest.labels, detection.likeliest.probabilities
    return {
        data.paths[row]: [
            {"label": data.classes[label], "probability": round(float(p), 4)}
            for label, p in zip(labels[row], chances[row], strict=True)
        ]
        for row in rows
        if detection.p_mislabelled is not None and (labels[row] >= 0).all()
    }
