"""Data sets with known wrong labels: planted flips, and the labels that people gave in CIFAR-10N."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shared import DATA, class_folders, features


@dataclass(frozen=True)
class Row:
    """One data set with wrong labels. `reference` holds trusted features and labels, or is None.

    `unit` is the number of the class pair, of the seed or of the part: figures are means over units.
    """

    name: str
    unit: int
    features: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    n_classes: int
    reference: tuple[np.ndarray, np.ndarray] | None


def flipped(x: np.ndarray, y: np.ndarray, n_classes: int, rate: float, kind: str, seed: int) -> np.ndarray:
    """`y` with planted flips. Confusion and influence are measured with a head on the clean labels."""
    from auditor.experiment import noise
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    probabilities = influence = None
    if kind == "confusion":
        scaled = Scaling.of(x)(x)
        half = np.random.default_rng(seed).permutation(len(y)) % 2
        probabilities = np.zeros((len(y), n_classes))
        for part in (0, 1):
            head = SoftmaxHead.train(scaled[half != part], y[half != part], n_classes, 0.3)
            logits = head.logits(scaled[half == part])
            p = np.exp(logits - logits.max(1, keepdims=True))
            probabilities[half == part] = p / p.sum(1, keepdims=True)
    if kind == "influential":
        influence = _plain_influence(Scaling.of(x)(x), y, n_classes, seed)
    return noise.plant(
        y, n_classes, rate, kind, (seed,), average_influence=influence, probabilities=probabilities
    ).labels


def _plain_influence(x: np.ndarray, y: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """The study's average influence [N] of each half on the other, by a head of weight decay and damping 1."""
    from auditor.influence import HeadProblem, engine
    from auditor.model.softmax_head import SoftmaxHead

    fold, out = np.random.default_rng([seed, 73]).permutation(len(y)) % 2, np.zeros(len(y))
    for train, held in ((fold != part, fold == part) for part in (0, 1)):
        head = SoftmaxHead.train(x[train], y[train], n_classes, 1.0)
        problem = HeadProblem(x[train], y[train], head.weight, head.bias)
        out[train] = engine(problem, "auto", 1.0).average(x[held], y[held])
    return out


Wanted = Callable[[str, int], bool]
"""Whether a row is asked for, by its name without the reference and its unit. Flips of others are not made."""


def every_row(
    cache: Path, quick: bool, seeds: int, n_pairs: int, wanted: Wanted = lambda name, unit: True
) -> Iterator[Row]:
    """Every row of the table. Its units are class pairs, seeds or parts of CIFAR-10N."""
    rates = (0.1, 0.4) if quick else (0.05, 0.1, 0.2, 0.4)
    kinds = ("uniform",) if quick else ("uniform", "confusion", "influential")
    tiny, tiny_test = (class_folders("tiny10", split, cache) for split in ("train", "test"))
    boats, boats_test = (class_folders("tables-boats", split, cache) for split in ("train", "test"))
    pairs = list(itertools.combinations(range(10), 2))
    pairs = [pairs[i] for i in np.random.default_rng(7).permutation(len(pairs))[:n_pairs]]
    sets: list[tuple[str, int, Any, Any, int]] = []
    for unit, (a, b) in enumerate(pairs):
        sets.append(("pairs", unit, _pair(*tiny, a, b), _pair(*tiny_test, a, b), 2))
    for seed in range(1 if quick else seeds):
        sets.append(("tables-boats", seed, boats, boats_test, 2))
        sets.append(("tiny10", seed, _some(*tiny, 2000, seed) if quick else tiny, tiny_test, 10))
    for name, unit, (x, y), trusted, n_classes in sets:
        for rate, kind in itertools.product(rates, kinds):
            if n_classes == 2 and kind == "confusion":
                continue  # the same as uniform, because there is only one other class
            if not wanted(f"{name}, {kind} {rate:.0%}", unit):
                continue
            z = flipped(x, y, n_classes, rate, kind, unit)
            for reference in (None, trusted):
                title = f"{name}, {kind} {rate:.0%}" + (", reference" if reference else "")
                yield Row(title, unit, x, z, z != y, n_classes, reference)
    yield from human(cache, quick, seeds)


def _pair(x: np.ndarray, y: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    keep = (y == a) | (y == b)
    return x[keep], (y[keep] == b).astype(np.int64)


def _some(x: np.ndarray, y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:n])
    return x[chosen], y[chosen]


def human(cache: Path, quick: bool, seeds: int) -> Iterator[Row]:
    """CIFAR-10N. People labelled its images once, so the units are disjoint parts of the images."""
    base = DATA / "cifar10n"
    table, trusted = pd.read_csv(base / "labels.csv"), pd.read_csv(base / "reference.csv")
    classes = {name: i for i, name in enumerate(sorted(trusted["label"].unique()))}
    x = features("cifar10n", table["path"], cache)
    reference = features("cifar10n", trusted["path"], cache), trusted["label"].map(classes)
    truth = table["clean_label"].map(classes).to_numpy()
    parts = np.random.default_rng(3).permutation(len(x)) % 5 if quick else np.arange(len(x)) % seeds
    for column in ("aggregate_label", "random_label_1", "worst_label"):
        y = table[column].map(classes).to_numpy()
        for unit in range(1 if quick else seeds):
            rows_ = parts == unit
            features_, labels = x[rows_], y[rows_]
            for ref in (None, (reference[0], reference[1].to_numpy())):
                title = f"CIFAR-10N, human {column.split('_')[0]}" + (", reference" if ref else "")
                yield Row(title, unit, features_, labels, labels != truth[rows_], 10, ref)
