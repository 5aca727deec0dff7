"""The map of a report: a place on a plane for each item, so that items which look alike lie near each other."""

from __future__ import annotations

import base64

import numpy as np
import torch

from auditor.compute.linear import by_rows, eigen
from auditor.result.evidence import MapDocument
from auditor.system.arrays import Array, Floats, Ints

MOST = 50_000
"""Items on the map. Of more, the most suspicious are shown."""

LEARNT = 10_000
"""Items from which the plane is learnt, at even steps."""

COMPONENTS = 32
"""Directions of most variance in which classes are told apart."""

EACH = 10
"""Items that stand behind each direction, so that a label is not learnt by heart."""

EDGE = 0.002
"""The part of the items that lies at each edge of the map, however far out it is."""

ROUNDING = 1e-12
"""A direction with a smaller part of the largest variance is rounding."""

EVEN = 1e-9
"""A column whose tails differ by a smaller part has none that is longer. Its sign stays."""

STEPS = 65_535
"""Places along each side."""


def plane(features: Array, labels: Ints, order: Ints) -> MapDocument:
    """Place items on the plane that tells their given labels apart best.

    Features are reduced to their directions of most variance. Fisher's linear discriminant (R. A. Fisher, "The use of
    multiple measurements in taxonomic problems", 1936) then finds the plane. It is linear and learnt from many
    items, so that an item with a wrong label lies where it belongs and not where its label says.

    Parameters
    ----------
    features
        float [N, D].
    labels
        int64 [N].
    order
        int64 rows, in the order of the ranking.
    """
    shown = order[:MOST]
    places = _scaled(_places(features, labels, shown))
    return {"n": len(shown), "points": base64.b64encode(places.astype("<u2").tobytes()).decode()}


def _places(features: Array, labels: Ints, shown: Ints) -> Array:
    """float64 [n, 2] of the rows `shown`, unscaled."""
    learnt = np.arange(0, len(features), max(1, -(-len(features) // LEARNT)))
    some = features[learnt].astype(np.float64)
    centre = some.mean(axis=0)
    reduced = _principal(some - centre, max(1, min(COMPONENTS, features.shape[1], len(learnt) // EACH)))
    if not reduced.shape[1]:
        return np.zeros((len(shown), 2))
    low = (some - centre) @ reduced
    everyone = (features[shown].astype(np.float64) - centre) @ reduced
    told = _discriminant(low, labels[learnt])
    if not told.shape[1] or not np.isfinite(told).all():
        return _two(everyone)
    if told.shape[1] > 1:
        return _two(everyone @ told)
    # Two classes differ in one direction. The other one is that of most variance beside it.
    axis = told / np.linalg.norm(told)
    beside = _principal(low - low @ axis @ axis.T, 1)
    return _two(np.hstack([everyone @ told, (everyone - everyone @ axis @ axis.T) @ beside]))


def _principal(centred: Floats, most: int) -> Floats:
    """Columns [D, k <= most], the directions of most variance of float64 [n, D]; none where nothing varies."""
    if not centred.size:
        return np.empty((centred.shape[1], 0))
    x = torch.as_tensor(centred)
    if by_rows(x):
        values, left = eigen(x @ x.T)
        keep = _largest(values, most)
        return np.asarray((x.T @ (left[:, keep] / values[keep].sqrt())).numpy())
    values, vectors = eigen(x.T @ x)
    return np.asarray(vectors[:, _largest(values, most)].numpy())


def _largest(values: torch.Tensor, most: int) -> torch.Tensor:
    """int64 [k <= most], the largest of rising eigenvalues, largest first. Those that are rounding are none."""
    order = torch.arange(len(values) - 1, max(-1, len(values) - 1 - most), -1)
    return order[values[order] > max(ROUNDING * float(values[-1]), torch.finfo(values.dtype).tiny)]


def _discriminant(low: Floats, labels: Ints) -> Floats:
    """Columns [r, k], Fisher's directions of float64 [n, r], best first; none where classes cannot be told apart."""
    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if not 2 <= len(classes) < len(low):
        return np.empty((low.shape[1], 0))
    means = np.zeros((len(classes), low.shape[1]))
    np.add.at(means, index, low)
    means /= counts[:, None]
    within = low - means[index]
    spread = within.std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 1.0)
    inside = _principal(within * scale, low.shape[1])
    white = scale[:, None] * inside / np.linalg.norm((within * scale) @ inside, axis=0)
    between = np.sqrt(counts)[:, None] * (means - low.mean(axis=0)) @ white
    return np.asarray(white @ _principal(between, min(len(classes) - 1, low.shape[1])))


def _two(places: Array) -> Array:
    """The first two columns. A missing one is zero."""
    return np.hstack([places, np.zeros((len(places), 2))])[:, :2]


def _scaled(places: Array) -> Array:
    """Whole numbers from 0 to `STEPS`. A column's longer tail lies on the right, which settles its sign."""
    if not len(places):
        return places
    places = places - np.median(places, axis=0)
    cubes = np.sort(places**3, axis=0)  # the order of the items must not decide by a rounding error
    places = places * np.where(cubes.sum(axis=0) < -EVEN * np.abs(cubes).sum(axis=0), -1.0, 1.0)
    low, high = np.quantile(places, EDGE, axis=0), np.quantile(places, 1 - EDGE, axis=0)
    width = np.where(high > low, high - low, 1.0)
    return np.asarray(np.round(np.clip((places - low) / width, 0.0, 1.0) * STEPS))
