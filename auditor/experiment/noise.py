"""Controlled corruption of labels, in memory only: which labels are flipped, and to what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.compute.draws import draw
from auditor.errors import ConfigError, UndecidedError
from auditor.system.arrays import Array

_PROBABILITIES = "the model's probabilities"


@dataclass(frozen=True)
class Planting:
    """Labels with planted noise.

    Attributes
    ----------
    labels
        int64 [N], the labels to train with.
    planted
        bool [N], True where `labels` differs from the given label.
    kind, rate, seed
        The rule, the share asked for and the random state.
    """

    labels: Array
    planted: Array
    kind: str
    rate: float
    seed: tuple[int, ...]


def plant(
    labels: Array,
    n_classes: int,
    rate: float,
    kind: str,
    seed: tuple[int, ...],
    *,
    average_influence: Array | None = None,
    probabilities: Array | None = None,
) -> Planting:
    """Flip a share of the labels.

    `uniform` draws points at random and gives each another class at random. `confusion` draws the same way and gives
    each the class that the model confuses it with, by the model's probabilities. `influential` flips the points of
    highest average influence in each class, as the reference study does; with several classes, to another at random.
    `one-sided` files a part of one class as another. The two classes are drawn by how the model confuses them, and
    half of the class is flipped at most.

    Parameters
    ----------
    labels
        int64 [N] given labels in 0..C-1.
    average_influence
        float64 [N], for `influential`.
    probabilities
        float64 [N, C] of a model, for `confusion` and `one-sided`.

    Raises
    ------
    UndecidedError
        When there are too few points for a single flip. `check` says so before anything is computed.
    """
    check(labels, rate, kind)
    rng = np.random.default_rng(list(seed))
    n_planted = round(rate * len(labels))
    if kind == "one-sided":
        chosen, target = _one_sided(labels, _needed(probabilities, kind, _PROBABILITIES), n_planted, rng)
    elif kind == "confusion":
        likely = _needed(probabilities, kind, _PROBABILITIES)
        chosen = _drawn(labels, n_classes, n_planted, rng)
        target = _confused(labels[chosen], likely[chosen], rng)
    else:
        if kind == "influential":
            influence = _needed(average_influence, kind, "the average influence of the clean run")
            chosen = _most_influential(labels, n_classes, rate, influence)
        else:
            chosen = _drawn(labels, n_classes, n_planted, rng)
        target = (labels[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    flipped = labels.copy()
    flipped[chosen] = target
    return Planting(flipped, flipped != labels, kind, rate, seed)


def _needed(values: Array | None, kind: str, what: str) -> Array:
    if values is None:
        raise ConfigError(f"{kind} noise needs {what}")
    return values


def check(labels: Array, rate: float, kind: str) -> None:
    """Raise `UndecidedError` where none of `labels` int64 [N] could be flipped; see `plant`."""
    n_planted = round(rate * len(labels))
    if n_planted < 1 or n_planted >= len(labels):
        raise UndecidedError(
            f"{len(labels)} training images are too few to plant a share of {rate:g}",
            hint="use more images or a higher --noise-rate",
        )
    largest = int(np.bincount(labels).max())
    if kind == "one-sided" and largest < 2:
        raise UndecidedError("no class has two training images, so none can be flipped", hint="use more images")
    if kind == "influential" and _of_class(rate, largest) < 1:
        raise UndecidedError(
            f"influential noise flips a share of {rate:g} of each class, but no class has more than {largest} "
            f"training image{'s' * (largest != 1)}",
            hint="use a higher --noise-rate, or --noise uniform",
        )


def _of_class(rate: float, n: int) -> int:
    """How many of a class's `n` images influential noise flips. One stays."""
    return max(0, min(round(rate * n), n - 1))


def _drawn(labels: Array, n_classes: int, n: int, rng: np.random.Generator) -> Array:
    """`n` points at random. Every class keeps at least one, unless no class has two."""
    order = rng.permutation(len(labels))
    left = np.bincount(labels, minlength=n_classes)
    chosen = []
    for point in order:
        if left[labels[point]] > 1:
            left[labels[point]] -= 1
            chosen.append(point)
            if len(chosen) == n:
                break
    return np.sort(np.array(chosen or order[:n].tolist(), dtype=np.int64))


def _most_influential(labels: Array, n_classes: int, rate: float, influence: Array) -> Array:
    chosen = []
    for index in range(n_classes):
        rows = np.flatnonzero(labels == index)
        n = _of_class(rate, len(rows))
        chosen.append(rows[np.argsort(-influence[rows], kind="stable")[:n]])
    return np.sort(np.concatenate(chosen))


def _one_sided(labels: Array, probabilities: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points of one class and the class that they get: `n` of them, or half of the class where that is less."""
    n_classes = probabilities.shape[1]
    pairs = np.zeros((n_classes, n_classes))
    np.add.at(pairs, labels, probabilities.astype(np.float64) + 1e-9)
    counts = np.bincount(labels, minlength=n_classes)
    pairs = np.where(counts[:, None] >= 2, pairs / np.maximum(counts, 1)[:, None], 0)
    np.fill_diagonal(pairs, 0)
    source, other = divmod(int(rng.choice(pairs.size, p=pairs.ravel() / pairs.sum())), n_classes)
    chosen = rng.permutation(np.flatnonzero(labels == source))[: min(n, counts[source] // 2)]
    return np.sort(chosen), np.full(len(chosen), other, dtype=labels.dtype)


def _confused(labels: Array, probabilities: Array, rng: np.random.Generator) -> Array:
    """A class other than its own for each point, drawn by the model's probabilities."""
    weights = probabilities.astype(np.float64) + 1e-9  # a sure model still confuses towards something
    weights[np.arange(len(labels)), labels] = 0
    return draw(weights / weights.sum(axis=1, keepdims=True), rng)
