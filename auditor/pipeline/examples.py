"""Test images that the report explains by their rows of the influence matrix."""

from __future__ import annotations

import numpy as np

from auditor.data.dataset import Dataset
from auditor.experiment.run import Learnt, Run
from auditor.pipeline.histograms import SHOWN, histogram
from auditor.pipeline.rows import most_rows, most_wrong
from auditor.result.evidence import ExampleDocument, InfluencedImage
from auditor.system.arrays import Array


def chosen_examples(data: Dataset, run: Run, n_each: int) -> Array:
    """Positions in the test split: correct ones of each class in turn, then each kind of wrong one, then more."""
    truth = data.labels[data.rows("test")]
    predicted = run.test_probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    certainty = run.test_probabilities[np.arange(len(truth)), truth]
    correct = [np.flatnonzero((predicted == truth) & (truth == c)) for c in range(data.n_classes)]
    spread = [_typical_first(rows[np.argsort(certainty[rows], kind="stable")], n_each) for rows in correct]
    # Few classes get several correct examples each. With many classes, one for each of the first few is enough.
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
    """`n` rows spread over an order: its middle, its two ends, then rows between them."""
    if not len(ordered):
        return []
    last = len(ordered) - 1
    places = [last // 2, 0, last, *np.linspace(0, last, max(n, 1)).round().astype(int).tolist()]
    return [int(ordered[place]) for place in list(dict.fromkeys(places))[:n]]


def examples(data: Dataset, learnt: Learnt, n_each: int) -> list[ExampleDocument]:
    """Chosen test images, each with its influence histogram and its own label's most and least influential images."""
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
