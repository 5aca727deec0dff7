"""Pictures and examples for the report: what a person looks at, nothing a verdict depends on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from auditor import detection as detecting
from auditor.config import AuditSettings
from auditor.data import images
from auditor.data.dataset import Dataset
from auditor.experiment.run import Explainer, Learnt, Run
from auditor.model.scaling import unit_rows
from auditor.result.documents import (
    EvidenceDocument,
    ExampleDocument,
    ExtremeImage,
    ExtremesOfClass,
    HistogramDocument,
    HistogramsDocument,
    InfluencedImage,
    LowestImage,
    WhyDocument,
)
from auditor.system.arrays import Array

THUMBNAIL_EDGE = 96

SUSPECT_EDGE = 160
"""Longer side of the pictures a person judges by."""

SHOWN = 5
"""Images at either end of a list of examples."""

EXPLAINED = 100
"""Suspects whose neighbours are shown."""

EXPLAINED_MANY = 24

DENSE_CLASSES = 3
"""Classes up to which a row of the influence matrix costs next to nothing (one factorisation serves them all)."""

WRONG_EXAMPLES, WRONG_EXAMPLES_MANY = 100, 24
"""Wrongly classified test images explained, and the fewest where each costs a solve of its own."""

WRONG_NUMBERS = 2**20
"""Numbers solved for at once between the two: up to 20 classes of 512 features are explained like two."""

MANY_CLASSES = 128
"""With more classes than this rows are limited further."""

ROW_NUMBERS = 2**22
"""Numbers solved for at once with many classes: rows times classes times features. At 300 classes of 896 features that
is 15 rows for the examples and as many for the suspects, at 3,000 one each, which takes as long."""

_CHUNK = 4096
"""Images compared with the suspects at a time."""

LOWEST = 24

BINS = 40

ALIKE = 0.9
"""Cosine similarity of centred features from which two images count as near-duplicates.

Copies that were saved anew or brightened lie above 0.96, cropped and mirrored ones around it (0.71 to 0.96); among the
15 million pairs of 5,500 different photographs (Tiny ImageNet, ten classes) none lies above 0.88.
"""


def histogram(values: Array, groups: dict[str, Array], edges: Array | None = None) -> HistogramDocument:
    """Counts of `values` by group (boolean masks) on common edges that leave out no value."""
    if edges is None:
        edges = _edges(values)
    clipped = np.clip(values, edges[0], edges[-1])
    return {
        "edges": [float(e) for e in edges],
        "counts": {name: np.histogram(clipped[mask], edges)[0].tolist() for name, mask in groups.items()},
    }


def _edges(values: Array) -> Array:
    """Bin edges over the central 99% of the values, so that a few extremes do not flatten the picture."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    if not high > low:
        pad = max(abs(low), 1.0) * 1e-3
        low, high = low - pad, high + pad
    return np.asarray(np.linspace(low, high, BINS + 1))


def influence_histograms(data: Dataset, clean: Run, planted: pd.DataFrame) -> HistogramsDocument:
    """Average influence by label in the clean run, and planted against clean points by label in the corrupted one."""
    labels = data.labels[data.rows("train")]
    by_label = {name: labels == i for i, name in enumerate(data.classes)}
    values = planted["average_influence"].to_numpy()
    flags, trained = planted["planted"].to_numpy(bool), planted["trained_label"].to_numpy()
    edges = _edges(values)

    def counts(mask: Array) -> dict[str, list[int]]:
        return histogram(values, {c: mask & (trained == c) for c in data.classes}, edges)["counts"]

    return {
        "clean": histogram(clean.average_influence, by_label),
        "corrupted": {
            "edges": [float(e) for e in edges],
            "planted": counts(flags),
            "clean": counts(~flags),
        },
    }


def extremes(data: Dataset, clean: Run) -> list[ExtremesOfClass]:
    """Per class the training images of highest and lowest average influence."""
    train = data.rows("train")
    labels, values = data.labels[train], clean.average_influence

    def listed(positions: Array) -> list[ExtremeImage]:
        return [{"path": data.paths[train[i]], "average_influence": float(values[i])} for i in positions]

    found: list[ExtremesOfClass] = []
    for index, name in enumerate(data.classes):
        rows = np.flatnonzero(labels == index)
        order = rows[np.argsort(-values[rows], kind="stable")]
        found.append({"label": name, "highest": listed(order[:SHOWN]), "lowest": listed(order[::-1][:SHOWN])})
    return found


def most_rows(data: Dataset, wanted: int) -> int:
    """How many of `wanted` rows of the influence matrix a list gets: all of them, unless there are many classes."""
    if data.n_classes <= MANY_CLASSES:
        return wanted
    return min(wanted, max(1, ROW_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))))


def most_wrong(data: Dataset, n_each: int) -> int:
    """How many wrongly classified test images are explained at most, many classes apart (`most_rows`)."""
    if data.n_classes <= DENSE_CLASSES:
        return max(WRONG_EXAMPLES, n_each)
    affordable = WRONG_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))
    return max(WRONG_EXAMPLES_MANY, min(WRONG_EXAMPLES, affordable), n_each)


def limits(data: Dataset, n_each: int) -> tuple[str, ...]:
    """What `most_rows` leaves out, as sentences; none where it leaves out nothing."""
    wanted = max(EXPLAINED_MANY, most_wrong(data, n_each) + 2 * n_each)
    rows = most_rows(data, wanted)
    if rows == wanted:
        return ()
    return (
        f"With {data.n_classes} classes every row of the influence matrix takes long: of the examples, and of the "
        f"suspects, no more than {rows} {'has one' if rows == 1 else 'have theirs'}.",
    )


def chosen_examples(data: Dataset, run: Run, n_each: int) -> Array:
    """Positions in the test split: correct ones of the classes in turn, each kind of wrong one, then further ones."""
    truth = data.labels[data.rows("test")]
    predicted = run.test_probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    certainty = run.test_probabilities[np.arange(len(truth)), truth]
    correct = [np.flatnonzero((predicted == truth) & (truth == c)) for c in range(data.n_classes)]
    spread = [_typical_first(rows[np.argsort(certainty[rows], kind="stable")], n_each) for rows in correct]
    # Few classes get several correct examples each; with many classes one each for the first few is enough.
    n_right = max(n_each, min(2 * n_each, data.n_classes))
    most = most_wrong(data, n_each)
    rows = most_rows(data, n_right + most)
    if rows < n_right + most:
        n_right, most = min(n_right, rows // 3), rows - min(n_right, rows // 3)
    right = [rows[place] for place in range(n_each) for rows in spread if place < len(rows)][:n_right]
    kinds: dict[tuple[int, int], int] = {}
    for position in wrong:
        kinds.setdefault((int(truth[position]), int(predicted[position])), int(position))
    ordered = list(dict.fromkeys([*kinds.values(), *wrong.tolist()]))[:most]
    return np.array([*right, *ordered], dtype=np.int64)


def _typical_first(ordered: Array, n: int) -> list[int]:
    """`n` rows spread over an order: its middle, its ends, then what lies between."""
    if not len(ordered):
        return []
    last = len(ordered) - 1
    places = [last // 2, 0, last, *np.linspace(0, last, max(n, 1)).round().astype(int).tolist()]
    return [int(ordered[place]) for place in list(dict.fromkeys(places))[:n]]


def examples(data: Dataset, learnt: Learnt, n_each: int) -> list[ExampleDocument]:
    """Chosen test images with their influence histogram by label and the same label's most and least influential."""
    run = learnt.run
    positions = chosen_examples(data, run, n_each)
    if not len(positions) or not n_each:
        return []
    matrix = learnt.explainer.rows(positions)
    train, test = data.rows("train"), data.rows("test")
    labels = data.labels[train]
    by_label = {name: labels == i for i, name in enumerate(data.classes)}
    found: list[ExampleDocument] = []
    for position, row in zip(positions, matrix, strict=True):
        image = test[position]
        same = np.flatnonzero(labels == data.labels[image])
        order = same[np.argsort(-row[same], kind="stable")]
        predicted = int(run.test_probabilities[position].argmax())

        def listed(chosen: Array, row: Array = row) -> list[InfluencedImage]:
            return [
                {"path": data.paths[train[i]], "label": data.classes[labels[i]], "influence": float(row[i])}
                for i in chosen
            ]

        found.append(
            {
                "kind": "correct" if predicted == data.labels[image] else "wrong",
                "path": data.paths[image],
                "label": data.classes[data.labels[image]],
                "predicted": data.classes[predicted],
                "probability": float(run.test_probabilities[position, predicted]),
                "histogram": histogram(row, by_label),
                "most": listed(order[:SHOWN]),
                "least": listed(order[::-1][:SHOWN]),
            }
        )
    return found


def lowest_planted(planted: pd.DataFrame) -> list[LowestImage]:
    """The corrupted run's images of lowest average influence, with what they really are."""
    columns = ["path", "label", "trained_label", "planted", "average_influence", "influence_rank"]
    frame = planted.sort_values("influence_rank").head(LOWEST)[columns]
    records: list[LowestImage] = json.loads(frame.to_json(orient="records"))
    return records


def explanations(
    data: Dataset, explainer: Explainer, suspects: Sequence[int], suggested: Array
) -> dict[str, WhyDocument]:
    """For the first suspects: the training images that pull it the other way, and its nearest images of any label.

    What pulls the other way are the training images that carry the suggested label and whose influence on the
    suspect's loss under its given label is the most negative.

    Parameters
    ----------
    suspects
        Images in the order of their suspicion.
    suggested
        int64 [N] class indices; negative where there is none.
    """
    chosen = np.array(list(suspects)[:EXPLAINED], dtype=np.int64)
    if not len(chosen):
        return {}
    train = data.rows("train")
    # Rows cost a solve each: with many classes only the first suspects get theirs.
    n_rows = EXPLAINED if data.n_classes <= DENSE_CLASSES else most_rows(data, EXPLAINED_MANY)
    influence = explainer.rows_of(chosen[:n_rows], data.labels[chosen[:n_rows]])
    similarity = _similarity(data.features, chosen)
    similarity[np.arange(len(chosen)), chosen] = -np.inf
    found: dict[str, WhyDocument] = {}
    for i, row in enumerate(chosen):
        near = np.argsort(-similarity[i], kind="stable")[:4]
        found[data.paths[row]] = {
            "against": _against(data, train, influence[i], row, suggested[row]) if i < len(influence) else [],
            "neighbours": [
                {"path": data.paths[k], "label": data.classes[data.labels[k]], "similarity": float(similarity[i, k])}
                for k in near
            ],
        }
    return found


def _against(data: Dataset, train: Array, influence: Array, row: int, suggested: int) -> list[InfluencedImage]:
    """The training images of the suggested label (of any other, where none is suggested) that harm a given label."""
    labels = data.labels[train]
    others = labels == suggested if suggested >= 0 else labels != data.labels[row]
    candidates = np.flatnonzero(others & (train != row) & (influence < 0))
    order = candidates[np.argsort(influence[candidates], kind="stable")][:3]
    return [
        {"path": data.paths[train[k]], "label": data.classes[labels[k]], "influence": float(influence[k])}
        for k in order
    ]


def near_duplicates(data: Dataset, suspects: Sequence[int]) -> list[list[str]]:
    """Groups of suspects that look alike to the backbone (or are the same file)."""
    chosen = np.array(list(suspects), dtype=np.int64)
    if len(chosen) < 2:
        return []
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    unit = unit_rows(data.features[chosen] - data.features.mean(axis=0))
    close = np.argwhere(np.triu(unit @ unit.T > ALIKE, 1))
    graph = coo_matrix((np.ones(len(close)), close.T), shape=(len(chosen), len(chosen)))
    _, component = connected_components(graph, directed=False)
    groups = [chosen[component == c] for c in np.unique(component)]
    return [sorted(data.paths[i] for i in group) for group in groups if len(group) > 1]


def _similarity(features: Array, chosen: Array) -> Array:
    """float32 [k, N], cosines between centred features of `chosen` [k] images and all; a part of them at a time."""
    centre = features.mean(axis=0)
    unit = unit_rows(features[chosen] - centre)
    out = np.empty((len(chosen), len(features)), np.float32)
    for start in range(0, len(features), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[:, part] = unit @ unit_rows(features[part] - centre).T
    return out


def mentioned(evidence: Any) -> Iterable[str]:
    """Every path that a piece of evidence names, in order of first mention."""
    if isinstance(evidence, dict):
        if isinstance(evidence.get("path"), str):
            yield evidence["path"]
        for value in evidence.values():
            yield from mentioned(value)
    elif isinstance(evidence, list):
        for value in evidence:
            yield from mentioned(value)


def thumbnails(
    read: Callable[[str], bytes], paths: Iterable[str], max_pixels: int, *, suspects: int = 0
) -> dict[str, str]:
    """Small pictures as data URIs, the first `suspects` of them larger; what has become unreadable is left out."""
    found = {}
    for place, path in enumerate(dict.fromkeys(paths)):
        try:
            edge = SUSPECT_EDGE if place < suspects else THUMBNAIL_EDGE
            picture = images.thumbnail(read(path), edge, max_pixels)
        except (OSError, images.UnreadableImage):
            continue
        text = base64.b64encode(picture).decode("ascii")
        found[path] = f"data:{images.media_type(picture)};base64,{text}"
    return found


def _suspects(data: Dataset, ranking: pd.DataFrame, settings: AuditSettings) -> tuple[list[str], list[int]]:
    """Paths and rows of the images that are shown as suspects, the most suspicious first."""
    position = {path: i for i, path in enumerate(data.paths)}
    paths = list(ranking[ranking["rank"].notna()].head(settings.thumbnails)["path"])
    return paths, [position[path] for path in paths]


class Explained(TypedDict):
    """The part of the evidence that only the clean run's engine can give."""

    examples: list[ExampleDocument]
    why: dict[str, WhyDocument]


def explain_suspects(data: Dataset, learnt: Learnt, ranking: pd.DataFrame, settings: AuditSettings) -> Explained:
    """What asks the clean run's engine for rows of the influence matrix."""
    position = {path: i for i, path in enumerate(data.paths)}
    index = {name: i for i, name in enumerate(data.classes)}
    suggested = np.full(len(data.paths), -1, dtype=np.int64)
    suggested[[position[p] for p in ranking["path"]]] = ranking["suggested_label"].map(index).fillna(-1).astype(int)
    _, rows = _suspects(data, ranking, settings)
    return {
        "examples": examples(data, learnt, settings.examples),
        "why": explanations(data, learnt.explainer, rows, suggested),
    }


def gather_evidence(
    data: Dataset,
    clean: Run,
    ranking: pd.DataFrame,
    planted: pd.DataFrame,
    detection: detecting.Detection | None,
    explained: Explained,
    settings: AuditSettings,
) -> EvidenceDocument:
    """The whole of `evidence.json`."""
    paths, rows = _suspects(data, ranking, settings)
    shown: EvidenceDocument = {
        "thumbnails": {},
        "examples": explained["examples"],
        "histograms": influence_histograms(data, clean, planted),
        "extremes": extremes(data, clean),
        "lowest_planted_run": lowest_planted(planted),
        "why": explained["why"],
        "near_duplicates": near_duplicates(data, rows),
        "suggested_probability": _suggested_probability(data, detection, rows),
    }
    wanted = [*paths, *mentioned(list(shown.values()))]
    shown["thumbnails"] = thumbnails(data.table.read, wanted, settings.max_pixels, suspects=len(paths))
    return shown


def _suggested_probability(
    data: Dataset, detection: detecting.Detection | None, rows: Sequence[int]
) -> dict[str, float]:
    """The probability of each suspect's suggested label; a settled image needs none."""
    if detection is None:
        return {}
    return {
        data.paths[row]: round(float(detection.suggested_probability[row]), 4)
        for row in rows
        if data.trusted_labels[row] < 0
    }
