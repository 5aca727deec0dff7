"""Families: items that are copies of each other, byte for byte, altered, or said to belong together.

A wrong label of one picture stands on all its copies, and they confirm each other. So no model may learn from one copy
and judge another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc

from auditor.data.near_pairs import FAR, NEAR, Density, NearPairs, near_pairs
from auditor.model.scaling import Scaling, unit_rows
from auditor.system.arrays import Array, Floats

BY_CHANCE = 0.05
"""The part of near copies that are found by chance alone, at most."""

DIMENSIONS = 64
"""Features are projected on this many random directions to find neighbours."""

LARGEST = 0.05
"""A family that near copies alone make larger than this part of the items is no family: features tell too little."""

SIMILARITIES = 2**22
"""Pairs that are compared at a time."""


@dataclass(frozen=True)
class Kinship:
    """The families of N items, and the near copies among them.

    Attributes
    ----------
    family
        int64 [N], the number of each item's family: that of its first member.
    near
        Near copies that pictures show; none where there are no pictures. Equal items stand there once.
    """

    family: Array
    near: NearPairs


def families(features: Array | None, hashes: Sequence[str] = (), groups: Sequence[str] | None = None) -> Array:
    """Find the family of each item, int64 [N], as `kinship` does without pictures."""
    return kinship(features, hashes, groups).family


def kinship(
    features: Array | None,
    hashes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    layout: Array | None = None,
) -> Kinship:
    """Find the family of each item.

    Parameters
    ----------
    features
        float32 [N, D]; None where there are none that tell copies. Then `hashes` must be given.
    hashes
        N content hashes, or none. Equal ones are copies.
    groups
        N names: items of one name belong together. An empty name says nothing.
    layout
        float32 [N, 63], how each picture is laid out (`data.picture_facts`). With it near copies are also found by
        features and layout together: features alone miss many.
    """
    n = len(hashes) if features is None else len(features)
    equal = [_equal([row.tobytes() for row in features])] if features is not None and _tell_apart(features) else []
    equal += [_equal(list(hashes))] if len(hashes) else []
    links = [*equal, _equal([name or f"\0{row}" for row, name in enumerate(groups)])] if groups is not None else equal
    certain = np.concatenate([np.empty((0, 2), np.int64), *links])
    family = _joined(certain, n)
    pairs = NearPairs.none()
    near = np.empty((0, 2), np.int64) if features is None else _near(features, family)
    if layout is not None:
        alike = _joined(np.concatenate([near[:0], *equal]), n)
        pairs = near_pairs(features, layout, np.flatnonzero(alike == np.arange(n)))
        near = np.concatenate([near, pairs.pairs])
        pairs = pairs.after(_saved_anew(np.concatenate([near[:0], *equal]), hashes))
    return Kinship(_with_near(family, certain, near), pairs)


def _saved_anew(equal: Array, hashes: Sequence[str]) -> Array:
    """Of pairs [k, 2] those whose bytes differ: the same picture in another file."""
    differ = [bool(hashes) and hashes[one] != hashes[other] for one, other in equal]
    return np.sort(np.unique(equal[np.array(differ, dtype=bool)], axis=0), axis=1)


def _with_near(family: Array, certain: Array, near: Array) -> Array:
    """The families with near copies [k, 2] in them, but for those that would be too large."""
    n = len(family)
    if not len(near):
        return family
    both = _joined(np.concatenate([certain, near]), n)
    sizes, before = np.bincount(both, minlength=n), np.bincount(family, minlength=n)
    too_large = (sizes[both] > max(LARGEST * n, NEAR)) & (before[family] < sizes[both])
    return np.where(too_large, family, both)


def _tell_apart(features: Array) -> bool:
    """Whether equal features mean equal items: hardly any family of them may be large."""
    n = len(features)
    _, family = np.unique(features, axis=0, return_inverse=True)
    return int(np.bincount(family.ravel()).max(initial=0)) <= max(min(NEAR, n // 2), LARGEST * n)


def _equal(keys: Sequence[bytes | str]) -> Array:
    """[k, 2], each item and the first with an equal key, where that is another."""
    first: dict[bytes | str, int] = {}
    pairs = [(first.setdefault(key, row), row) for row, key in enumerate(keys)]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def _joined(pairs: Array, n: int) -> Array:
    """int64 [n], the first item of each connected component."""
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    first = np.unique(label, return_index=True)[1]
    return np.asarray(first[label], dtype=np.int64)


def _near(features: Array, family: Array) -> Array:
    """[k, 2], pairs that are far closer than neighbours are by chance.

    Around an item, the volume within a neighbour's distance is a uniform part of the volume within the twentieth's, if
    items lie as densely as near it. The dimension comes from how distances grow (Levina and Bickel, 2004). A pair is
    near where such a part is too small for chance in all N items together. For the nearest
    item a smaller sign is enough where many have one.
    """
    rows = np.flatnonzero(family == np.arange(len(family)))  # exact copies would hide the density
    n = len(rows)
    if n < 3 * FAR:
        return np.empty((0, 2), np.int64)
    index, distance = _neighbours(features[rows])
    density = Density.of(distance)
    if density is None:
        return np.empty((0, 2), np.int64)
    part = density.part(distance, np.minimum(density.outer[:, None], density.outer[index]))
    rank = np.arange(1, FAR)
    chance = betainc(rank, FAR - rank, part[:, :-1])
    limits = np.full(FAR - 1, BY_CHANCE / n)  # long chains would follow from a larger one
    limits[0] = max(limits[0], _false_discoveries(chance[:, 0], BY_CHANCE))
    found = np.argwhere(chance <= limits)
    return np.stack([rows[found[:, 0]], rows[index[found[:, 0], found[:, 1]]]], axis=1)


def _false_discoveries(chance: Floats, level: float) -> float:
    """The largest of [n] probabilities under chance at which at most this part is found by chance.

    This is the rule of Benjamini and Hochberg (1995): below 0 where nothing is found.
    """
    ordered = np.sort(chance)
    good = np.flatnonzero(ordered <= level * np.arange(1, len(ordered) + 1) / len(ordered))
    return float(ordered[good[-1]]) if len(good) else -1.0


def _neighbours(features: Array) -> tuple[Array, Floats]:
    """Indices [n, FAR] and distances [n, FAR] of the nearest items, nearest first."""
    x = torch.as_tensor(unit_rows(np.ascontiguousarray(Scaling.of(features)(features)), consume=True))
    if x.shape[1] > DIMENSIONS:
        rng = np.random.default_rng(84)
        x = x @ torch.as_tensor(rng.normal(size=(x.shape[1], DIMENSIONS)).astype(np.float32) / DIMENSIONS**0.5)
    n = len(x)
    square = x.square().sum(dim=1)
    index, distance = np.empty((n, FAR), np.int64), np.empty((n, FAR))
    step = max(1, SIMILARITIES // n)
    for start in range(0, n, step):
        part = torch.arange(start, min(start + step, n))
        apart = torch.addmm(square[None], x[part], x.T, alpha=-2).add_(square[part][:, None])
        apart[part - start, part] = float("inf")
        near = apart.topk(FAR, dim=1, largest=False)
        index[start : start + step] = near.indices.numpy()
        distance[start : start + step] = near.values.clamp(min=0).sqrt().numpy()
    return index, distance
