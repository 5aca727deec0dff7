"""The map of a report: a place on a plane for each item, so that items which look alike lie near each other."""

from __future__ import annotations

import base64

import numpy as np

from auditor.result.evidence import MapDocument
from auditor.system.arrays import Array, Ints

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
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    learnt = np.arange(0, len(features), max(1, -(-len(features) // LEARNT)))
    some = features[learnt].astype(np.float64)
    kept = max(1, min(COMPONENTS, features.shape[1], len(learnt) // EACH))
    if not np.ptp(some, axis=0).any():
        return np.zeros((len(shown), 2))
    reduced = PCA(kept, svd_solver="full").fit(some)
    low = reduced.transform(some)
    everyone = reduced.transform(features[shown].astype(np.float64))
    if len(np.unique(labels[learnt])) < 2 or len(learnt) <= len(np.unique(labels[learnt])):
        return _two(everyone)
    try:
        told = LinearDiscriminantAnalysis().fit(low, labels[learnt])
        places = told.transform(everyone)
    except (IndexError, ValueError, np.linalg.LinAlgError):  # where the classes' means do not differ, by scikit-learn
        return _two(everyone)
    if not places.shape[1] or not np.isfinite(places).all():
        return _two(everyone)
    if places.shape[1] > 1:
        return _two(places)
    # Two classes differ in one direction. The other one is that of most variance beside it.
    axis = told.scalings_[:, :1] / np.linalg.norm(told.scalings_[:, 0])
    beside = PCA(1, svd_solver="full").fit(low - low @ axis @ axis.T) if kept > 1 else None
    return _two(
        places if beside is None else np.hstack([places, beside.transform(everyone - everyone @ axis @ axis.T)])
    )


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
