"""How far items lie from all classes, and from all classes but one, as two distances.

The first one asks how alike the nearest items are. The second one asks how much an item is like any class at all: its
distance to the nearest class mean less that to the mean of all items, by the covariance within classes. That is the
relative Mahalanobis distance (Ren et al., 2021), each item measured by a model that did not see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute import linear
from auditor.model.scaling import Scaling, unit_rows
from auditor.system.arrays import Array, Floats, Ints

NEAREST = 10
"""Neighbours that are averaged."""

DEEP = 60
"""Neighbours that are kept, so that enough are left where a class is hidden."""

DIRECTIONS = 256
"""Principal directions in which neighbours are found."""

LANDMARKS = 20_000
"""Items that neighbours are sought among, at most. More are drawn by the seed."""

SHRUNK = 0.5
"""The part of the covariance within classes that is replaced by a multiple of the identity."""

FOLDS = 5

_PAIRS = 2**23
"""Pairs that are compared at a time."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest items of N items, nearest first. No item is its own neighbour, nor is a copy of it.

    Attributes
    ----------
    distance
        float32 [N, DEEP], one less the cosine of the features.
    label
        int64 [N, DEEP], their labels.
    item
        int64 [N, DEEP], which they are.
    others
        float32 [N, NEAREST], the distances to the nearest items of other labels than the item's own.
    """

    distance: Array
    label: Ints
    item: Ints
    others: Array

    def mean(self, hidden: int = -1) -> Floats:
        """float64 [N], the mean distance to the nearest items, none of them with the label `hidden`."""
        apart = np.where(self.label == hidden, np.inf, self.distance)
        apart = np.sort(apart, axis=1)[:, :NEAREST]
        # Where too few are left the farthest one that was kept is the least that the others can be.
        return np.asarray(np.minimum(apart, self.distance[:, -1:]).mean(axis=1), dtype=np.float64)

    def as_stranger(self, rows: Array, fellows: Array) -> Floats:
        """float64 [k], the same of the items at bool [N] `rows`, if of their own class `fellows` alone were there.

        `fellows` is bool [N], items of that class.
        """
        own = np.where(fellows[self.item[rows]], self.distance[rows], np.inf)
        apart = np.sort(np.concatenate([own, self.others[rows]], axis=1), axis=1)[:, :NEAREST]
        return np.asarray(apart.mean(axis=1), dtype=np.float64)


def neighbours(features: Array, labels: Ints, families: Ints, seed: int) -> Neighbours:
    """The nearest items by the cosine of features float32 [N, D]."""
    n = len(features)
    unit = torch.as_tensor(_directions(unit_rows(np.ascontiguousarray(features, dtype=np.float32))))
    among = np.arange(n) if n <= LANDMARKS else np.sort(np.random.default_rng(seed).permutation(n)[:LANDMARKS])
    others = unit[among]
    family, label = torch.as_tensor(families.copy()), torch.as_tensor(labels.copy())
    depth = min(DEEP, len(among) - 1)
    distance, found = np.empty((n, depth), np.float32), np.empty((n, depth), np.int64)
    elsewhere = np.empty((n, min(NEAREST, depth)), np.float32)
    step = max(1, _PAIRS // len(among))
    for start in range(0, n, step):
        part = torch.arange(start, min(start + step, n))
        apart = 1 - unit[part] @ others.T
        apart[family[part][:, None] == family[among][None]] = 2.0
        near = apart.topk(depth, dim=1, largest=False)
        distance[start : start + step] = near.values.numpy()
        found[start : start + step] = near.indices.numpy()
        apart[label[part][:, None] == label[among][None]] = 2.0
        few = apart.topk(min(NEAREST, depth), dim=1, largest=False)
        elsewhere[start : start + step] = few.values.numpy()
    return Neighbours(distance, labels[among][found], among[found], elsewhere)


def _directions(unit: Array) -> Array:
    """The rows in the `DIRECTIONS` directions that hold most of them. Cosines stay nearly what they are."""
    if unit.shape[1] <= DIRECTIONS:
        return unit
    double = torch.as_tensor(unit).double()
    _, vectors = linear.eigen(double.T @ double)
    return np.asarray(unit @ vectors[:, -DIRECTIONS:].numpy().astype(np.float32))


@dataclass(frozen=True)
class ClassMeans:
    """N items beside the means of C classes, as models saw them that did not learn from the item.

    Attributes
    ----------
    product
        float64 [N, C], scalar products with the class means, in coordinates in which classes are round.
    between
        float64 [FOLDS, C, C], scalar products of the class means of each fold's model.
    fold
        int64 [N], the model of each item.
    sizes
        int64 [C], the items that each mean was made of.
    """

    product: Floats
    between: Floats
    fold: Ints
    sizes: Ints

    def relative(self, hidden: int = -1) -> Floats:
        """float64 [N], the relative Mahalanobis distance, without the class `hidden`. Higher is farther."""
        keep = np.arange(len(self.sizes)) != hidden
        weight = self.sizes[keep] / self.sizes[keep].sum()
        out = np.empty(len(self.product))
        for fold, between in enumerate(self.between):
            rows, inner = self.fold == fold, between[np.ix_(keep, keep)]
            product = self.product[rows][:, keep]
            near = (np.diag(inner) - 2 * product).min(axis=1)
            out[rows] = near - (weight @ inner @ weight - 2 * product @ weight)
        return out


def class_means(features: Array, labels: Ints, trusted: Array, families: Ints, seed: int) -> ClassMeans:
    """Means and covariance of the classes, cross-fitted over families.

    Parameters
    ----------
    trusted
        bool [N], the items to learn from: those whose label is probably right.
    """
    x = np.asarray(Scaling.of(np.ascontiguousarray(features))(features), dtype=np.float32)
    n_classes = int(labels.max()) + 1
    names, family = np.unique(families, return_inverse=True)
    fold = np.random.default_rng([seed, 23]).permutation(len(names))[family] % FOLDS
    product, between = np.empty((len(x), n_classes)), np.empty((FOLDS, n_classes, n_classes))
    for part in range(FOLDS):
        learn = _enough(labels, trusted & (fold != part), fold != part, n_classes)
        means, covariance = _moments(x[learn], labels[learn], n_classes)
        covariance *= 1 - SHRUNK
        covariance[np.diag_indices(len(covariance))] += (
            SHRUNK * max(np.trace(covariance) / (1 - SHRUNK), 1e-12) / (len(covariance))
        )
        centre = x[learn].mean(axis=0, dtype=np.float64)
        apart = torch.as_tensor((means - centre).T)
        solved = linear.solved(torch.as_tensor(covariance), apart).numpy()
        rows = fold == part
        product[rows] = (x[rows] - centre) @ solved
        between[part] = (means - centre) @ solved
    return ClassMeans(product, between, fold, np.bincount(labels[trusted], minlength=n_classes).clip(min=1))


def _enough(labels: Ints, wanted: Array, others: Array, n_classes: int) -> Array:
    """bool [N], the items to learn from. A class of which none is trusted takes those that are not."""
    gone = np.bincount(labels[wanted], minlength=n_classes) == 0
    learn = wanted | (others & gone[labels])
    still = np.bincount(labels[learn], minlength=n_classes) == 0  # a class that is one family, in one fold
    return np.asarray(learn | still[labels])


def _moments(x: Array, labels: Ints, n_classes: int) -> tuple[Floats, Floats]:
    """float64 [C, D] means, and float64 [D, D] the covariance within classes."""
    means, order = np.zeros((n_classes, x.shape[1])), np.argsort(labels, kind="stable")
    present, first = np.unique(labels[order], return_index=True)
    means[present] = np.add.reduceat(x[order], first, axis=0, dtype=np.float64)
    means /= np.bincount(labels, minlength=n_classes)[:, None]
    centred: Array = x - means[labels].astype(np.float32)
    return means, np.asarray(centred.T @ centred, dtype=np.float64) / len(x)
