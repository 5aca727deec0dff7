"""Whether the items of a class fall into two groups with hardly anything in between.

Items are seen in coordinates in which classes are round: what differs within every class counts little. On part of the
class two centres are sought (2-means), and the other items are placed on the line through both centres. If they are one
group, the middle of the line holds at least as many as the sparser one of both ends; that is true of any distribution
with a single peak. Counts of held-out items say how sure it is that the middle holds fewer (Clopper and Pearson, 1934).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betaincinv

from auditor.compute import linear
from auditor.model.scaling import Scaling
from auditor.system.arrays import Array, Floats, Ints

FOLDS = 5

ALL_DIRECTIONS = 64
"""Principal directions of all items that are kept, at most half as many as the largest class has items. With more,
centres that some items place say little of the others."""

DIRECTIONS = 8
"""Principal directions of a class in which centres are sought."""

SHRUNK = 0.5
"""The part of the covariance within classes that is replaced by a multiple of the identity."""

ROUNDS = 50
"""Rounds of 2-means at most."""

FEWEST = 40
"""Items, each copy once, that a class needs."""

HALF_WIDTH = 1 / 6
"""Half the width of the middle, and of the ends around both centres. The centres lie at -1/2 and 1/2."""


@dataclass(frozen=True)
class Modes:
    """What the line through two centres of a class shows.

    Attributes
    ----------
    label
        The class.
    n
        Items of it that were placed. Copies count once.
    middle, ends
        Held-out items in the middle, and around each centre.
    valley, high
        The items in the middle by those at the sparser end, and the upper end of its interval.
    place
        float64 [n], where each item lies: -1/2 and 1/2 are the centres.
    rows
        int64 [n], which items they are.
    """

    label: int
    n: int
    middle: int
    ends: tuple[int, int]
    valley: float
    high: float
    place: Floats
    rows: Ints

    @property
    def smaller(self) -> float:
        """The part of the items on the side that holds fewer."""
        return float(min((self.place < 0).mean(), (self.place >= 0).mean()))


def modes(features: Array, labels: Ints, trusted: Array, families: Ints, seed: int, error: float) -> list[Modes]:
    """Look at each class that has enough items.

    Parameters
    ----------
    features
        float32 [N, D].
    labels, families
        int64 [N], the given labels, and who is a copy of whom.
    trusted
        bool [N], the items whose label is probably right. The others are no part of a class.
    seed
        Draws the folds.
    error
        Chance that any of the upper ends is too low.
    """
    n_classes = int(labels.max()) + 1
    once = np.zeros(len(labels), bool)
    once[np.unique(families * n_classes + labels, return_index=True)[1]] = True
    usable = once & trusted
    counts = np.bincount(labels[usable], minlength=n_classes)
    able = np.flatnonzero(counts >= FEWEST)
    if not len(able):
        return []
    round_ = _round(features, labels, usable)
    fold = np.random.default_rng([seed, 37]).permutation(len(labels)) % FOLDS
    return [_of_class(round_, np.flatnonzero(usable & (labels == c)), int(c), fold, error / len(able)) for c in able]


def _round(features: Array, labels: Ints, usable: Array) -> Array:
    """float32 [N, D], the features in coordinates in which classes are about round."""
    counts = np.bincount(labels[usable], minlength=int(labels.max()) + 1)
    x = _leading(features, usable, min(ALL_DIRECTIONS, int(counts.max()) // 2))
    means = np.zeros((len(counts), x.shape[1]), np.float32)
    np.add.at(means, labels[usable], x[usable])
    means /= np.maximum(counts, 1)[:, None]
    centred = torch.as_tensor(x[usable] - means[labels[usable]])
    covariance = (centred.T @ centred / len(centred)).double()
    mean = float(covariance.diagonal().mean()) or 1.0
    covariance = (1 - SHRUNK) * covariance + SHRUNK * mean * torch.eye(len(covariance), dtype=torch.float64)
    values, vectors = linear.eigen(covariance)
    return np.asarray(x @ (vectors / values.sqrt()).numpy().astype(np.float32))


def _leading(features: Array, usable: Array, most: int) -> Array:
    """float32 [N, K], the features in the directions in which the usable items differ most."""
    x = np.asarray(Scaling.of(np.ascontiguousarray(features))(features), dtype=np.float32)
    if x.shape[1] <= most:
        return x
    among = torch.as_tensor(x[usable])
    _, vectors = linear.eigen((among.T @ among).double())
    return np.asarray(x @ vectors[:, -most:].numpy().astype(np.float32))


def _of_class(x: Array, rows: Ints, label: int, fold: Ints, level: float) -> Modes:
    place, first = np.empty(len(rows)), None
    for part in range(FOLDS):
        held = fold[rows] == part
        one, other = _centres(x[rows[~held]])
        line = other - one
        if first is None:
            first = line
        elif float(line @ first) < 0:  # the two centres have no order of their own
            one, other, line = other, one, -line
        place[held] = (x[rows[held]] - (one + other) / 2) @ line / max(float(line @ line), 1e-12)
    middle, *ends = (int((np.abs(place - at) <= HALF_WIDTH).sum()) for at in (0.0, -0.5, 0.5))
    sparse = min(ends)
    high = np.inf if not sparse else _ratio_high(middle, sparse, level)
    return Modes(label, len(rows), middle, (ends[0], ends[1]), middle / max(sparse, 1), high, place, rows)


def _ratio_high(few: int, many: int, level: float) -> float:
    """The upper end of the ratio of two counts, of confidence 1 - `level`."""
    part = float(betaincinv(few + 1, many, 1 - level))
    return np.inf if part >= 1 else part / (1 - part)


def _centres(x: Array) -> tuple[Floats, Floats]:
    """Two centres float64 [D], by 2-means in the leading directions."""
    mean = x.mean(axis=0, dtype=np.float64)
    centred = torch.as_tensor(x - mean.astype(np.float32)).double()
    _, vectors = linear.eigen(centred.T @ centred)
    lead = vectors[:, -DIRECTIONS:].numpy()
    seen = centred.numpy() @ lead
    side = seen[:, -1] > np.median(seen[:, -1])
    for _ in range(ROUNDS):
        if side.all() or not side.any():
            break
        one, other = seen[~side].mean(axis=0), seen[side].mean(axis=0)
        again = ((seen - other) ** 2).sum(axis=1) < ((seen - one) ** 2).sum(axis=1)
        if (again == side).all():
            break
        side = again
    if side.all() or not side.any():
        return mean, mean
    return mean + lead @ seen[~side].mean(axis=0), mean + lead @ seen[side].mean(axis=0)
