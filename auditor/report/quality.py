"""How well the model classifies, as the page shows it: accuracy with its interval, confusions, losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from auditor.report import plots
from auditor.result.documents import AuditDocument, ModelDocument, QualityDocument

MAX_MATRIX = 15
"""Up to so many classes a confusion matrix is shown whole. With more, its most frequent confusions are listed."""

LISTED_CONFUSIONS = 20


class RunQuality(QualityDocument):
    """One model's quality on the test split.

    Attributes
    ----------
    title
        Which labels it was trained on.
    interval
        95% interval of its accuracy.
    matrix
        Each class with its row: the count, and its share of the row. None with many classes.
    confused
        With many classes, the most frequent confusions: images, given label, predicted label.
    """

    title: str
    interval: tuple[float, float]
    matrix: list[tuple[str, list[tuple[int, float]]]] | None
    confused: list[tuple[int, str, str]]


def wilson(hits: float, n: int) -> tuple[float, float]:
    """95% interval of a proportion, `hits` of `n` (Wilson 1927); 0 to 1 where there is nothing to count.

    `scipy.stats.binomtest` gives the same, but to import `scipy.stats` takes 0.6 s, more than a report takes to start.
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.959964
    p, denominator = hits / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy_interval(test: QualityDocument) -> tuple[float, float]:
    """95% interval of an accuracy."""
    return wilson(test["accuracy"] * test["n"], test["n"])


def run_qualities(model: ModelDocument, classes: Sequence[str]) -> list[RunQuality]:
    """Both models' quality on the test split; none where the test split is empty."""
    runs = (("Trained on the given labels", model["clean"]), ("Trained with planted labels", model["corrupted"]))
    return [_run_quality(title, fit["test"], classes) for title, fit in runs if fit["test"]["n"]]


def _run_quality(title: str, test: QualityDocument, classes: Sequence[str]) -> RunQuality:
    few = len(classes) <= MAX_MATRIX
    return {
        **test,
        "title": title,
        "interval": accuracy_interval(test),
        "matrix": _matrix(test["confusion"], classes) if few else None,
        "confused": [] if few else _confused(test["confusion"], classes),
    }


def _matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[str, list[tuple[int, float]]]]:
    shares = [[(n, n / max(1, sum(row))) for n in row] for row in confusion]
    return list(zip(classes, shares, strict=True))


def _confused(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[int, str, str]]:
    cells = [(n, classes[i], classes[j]) for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j and n]
    return sorted(cells, key=lambda cell: (-cell[0], cell[1], cell[2]))[:LISTED_CONFUSIONS]


OF_NETWORKS = ("backbone", "weights", "image_size", "mirror", "dtype", "max_pixels")
"""Settings that count where a network of images makes the features."""

OF_EPOCHS = ("epochs", "learning_rate", "batch_size")
"""Settings that count where the head is trained by epochs."""


def settings_that_count(audit: AuditDocument) -> dict[str, Any]:
    """The settings of an audit without those that had no effect on it: what made the features, and what classifies."""
    model, idle = audit["model"], set[str]()
    if not model["epochs"]:
        idle.update(OF_EPOCHS)
    if model["image_size"] is None:
        idle.update(OF_NETWORKS)
    if model["weights_sha256"] and model["weights"]:  # a sentence encoder is a backbone too
        idle.discard("backbone")
    return {name: value for name, value in audit["settings"].items() if name not in idle}


class Minimum(NamedTuple):
    """The loss of a model on a split, at the start of its training and at the end."""

    title: str
    start: float
    end: float


def minima(model: ModelDocument) -> list[Minimum]:
    """Losses at start and end, where the head was trained to the minimum of its loss; else none."""
    if model["epochs"]:
        return []
    found = []
    for title, fit in (("Given labels", model["clean"]), ("With planted labels", model["corrupted"])):
        for split, values in (("training", fit["loss"]["train"]), ("validation", fit["loss"]["val"])):
            if values:
                found.append(Minimum(f"{title}, {split}", values[0], values[-1]))
    return found


def losses(model: ModelDocument) -> Markup | None:
    """The figure of both models' losses, where there are epochs."""
    clean, corrupted = model["clean"]["loss"], model["corrupted"]["loss"]
    if not model["epochs"]:
        return None
    if not clean["train"] and not corrupted["train"]:
        return None
    return plots.loss_curves(
        clean, corrupted, "Loss per epoch of the model trained on the given labels and of the one with planted labels"
    )


def validated(model: ModelDocument) -> bool:
    """Whether a loss on the validation split was measured."""
    return bool(model["clean"]["loss"]["val"] or model["corrupted"]["loss"]["val"])
