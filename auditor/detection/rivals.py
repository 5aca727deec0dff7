"""How well the held-out heads tell pairs of classes apart.

A figure is the area under the curve: of an item of each class, how often the heads find out which is which. A half is
chance. It does not rest on how large the classes are, and some wrong labels change it little: it falls by half of the
part of a class that carries the other's name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from auditor.system.arrays import Array, Floats, Ints

NEAREST = 5
"""Other classes that are compared with each class: those that the heads take its items for most."""


@dataclass(frozen=True)
class Rivals:
    """P pairs of classes.

    Attributes
    ----------
    pairs
        int64 [P, 2], class indices, the lower one first.
    told
        float64 [P], the area under the curve.
    sizes
        int64 [P, 2], items of each class. Copies count once.
    """

    pairs: Ints
    told: Floats
    sizes: Ints


def rivals(losses: Array, labels: Ints, families: Ints) -> Rivals:
    """Compare each class with those that it is taken for most.

    Parameters
    ----------
    losses
        float [N, C], loss of each label by heads that did not see the item or a copy of it.
    labels, families
        int64 [N], the given labels, and who is a copy of whom. Copies under one label count once.
    """
    n_classes = losses.shape[1]
    _, once = np.unique(families * n_classes + labels, return_index=True)
    losses, labels = losses[once], labels[once]
    rows = [np.flatnonzero(labels == label) for label in range(n_classes)]
    pairs: set[tuple[int, int]] = set()
    for label in range(n_classes):
        if len(rows[label]):
            taken = np.exp(-losses[rows[label]].astype(np.float64)).mean(axis=0)
            taken[label] = -1.0
            near = np.argsort(-taken, kind="stable")[: min(NEAREST, n_classes - 1)]
            pairs |= {(min(label, int(other)), max(label, int(other))) for other in near if len(rows[other])}
    ordered = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    told = np.array([_area(losses, rows[one], rows[other], (one, other)) for one, other in ordered])
    return Rivals(ordered, told, np.array([[len(rows[label]) for label in pair] for pair in ordered]).reshape(-1, 2))


def _area(losses: Array, ones: Ints, others: Ints, pair: tuple[int, int]) -> float:
    """How often an item of the first class leans more to it than an item of the second one; equal ones count half."""
    one, other = pair
    both = np.concatenate([ones, others])
    ranks = rankdata((losses[both, other] - losses[both, one]).astype(np.float64))[: len(ones)]
    return float((ranks.sum() - len(ones) * (len(ones) + 1) / 2) / (len(ones) * len(others)))
