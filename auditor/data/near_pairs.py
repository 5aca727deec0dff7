"""Near copies: pairs of pictures that are far more alike than neighbours are by chance, in two ways at once.

The features see what a picture shows. Its lowest frequencies see how it is laid out, mirrored or not: they are those of
a perceptual hash (pHash; Zauner, 2010), kept as numbers. A picture that was saved anew, made smaller or brighter is
alike in both; a cropped one is a little in each.

Around an item, the volume within a neighbour's distance is a uniform part of the volume within the twentieth's, if
items lie as densely as near it. The dimension comes from how distances grow (Levina and Bickel, 2004). So each way of
looking gives a chance, and Fisher's rule joins the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betainc, chdtrc

from auditor.model.scaling import Scaling, unit_rows
from auditor.system.arrays import Array, Floats, Ints

NEAR, FAR = 10, 20
"""Near copies are among the first `FAR` neighbours. Neighbours from `NEAR` on tell how dense the data are."""

BY_CHANCE = 0.05
"""Pairs that are expected by chance alone in the whole data set, at most."""

DIMENSIONS = 128
"""Features are projected on this many random directions."""

_PAIRS = 2**22
"""Pairs that are compared at a time."""


@dataclass(frozen=True)
class Density:
    """How dense n items are.

    Attributes
    ----------
    outer
        float64 [n], the distance of each item's farthest neighbour.
    dimension
        That in which distances grow (Levina and Bickel, 2004).
    """

    outer: Floats
    dimension: float

    @classmethod
    def of(cls, distance: Floats) -> Density | None:
        """From distances [n, FAR], nearest first; None where too many items lie on each other to tell."""
        outer, inner = distance[:, -1], distance[:, NEAR - 1]
        usable = (inner > 1e-6) & (outer > inner)
        if usable.mean() < 0.5:
            return None
        growth = float(np.log(outer[usable] / inner[usable]).mean())
        return cls(outer, float(sum(1 / k for k in range(NEAR, FAR))) / growth)

    def part(self, distance: Floats, scale: Floats) -> Floats:
        """The part of the volume within `scale` that lies within `distance`, in 0..1; both float64 of one shape."""
        near = np.divide(distance, scale, out=np.ones_like(distance), where=scale > 1e-6)
        return np.asarray(np.clip(np.power(near, self.dimension), 0, 1))


@dataclass(frozen=True)
class NearPairs:
    """Pairs of items, the surest first.

    Attributes
    ----------
    pairs
        int64 [k, 2], rows; the smaller one stands first.
    chance
        float64 [k], how likely so near a neighbour is by chance.
    """

    pairs: Ints
    chance: Floats

    @classmethod
    def none(cls) -> NearPairs:
        """No pair."""
        return cls(np.empty((0, 2), np.int64), np.empty(0))

    def after(self, certain: Ints) -> NearPairs:
        """The same behind pairs int64 [m, 2] that are no chance at all."""
        return NearPairs(np.concatenate([certain, self.pairs]), np.concatenate([np.zeros(len(certain)), self.chance]))


@dataclass(frozen=True)
class _Space:
    """A way of looking at n items: rows of length one, and their neighbours.

    The cosine of two items is that of their first `plain` columns plus that of the others; where `mirrored`, the sign
    of the latter plays no part.
    """

    unit: torch.Tensor
    plain: int
    mirrored: bool
    index: Ints
    density: Density

    def chance(self, pairs: Ints) -> Floats:
        """How likely so near a nearest neighbour is by chance, for int64 [k, 2]."""
        one, other = self.unit[pairs[:, 0]], self.unit[pairs[:, 1]]
        first = (one[:, : self.plain] * other[:, : self.plain]).sum(dim=1)
        rest = (one[:, self.plain :] * other[:, self.plain :]).sum(dim=1)
        cosine = (first + (rest.abs() if self.mirrored else rest)).double().numpy()
        distance = np.sqrt(np.clip(2 - 2 * cosine, 0, None))
        scale = self.density.outer[pairs].min(axis=1)
        return np.asarray(betainc(1, FAR - 1, self.density.part(distance, scale)))


def near_pairs(features: Array | None, layout: Array, rows: Ints) -> NearPairs:
    """Find near copies among the items at `rows`.

    Parameters
    ----------
    features
        float32 [N, D]; None where there are none that tell copies.
    layout
        float32 [N, 63], the frequencies of `data.picture_facts`. Rows of NaN are not looked at.
    rows
        int64, ascending: one item of each group of equal ones, for many equal ones would hide how dense the data are.
    """
    rows = rows[np.isfinite(layout[rows]).all(axis=1)]
    if len(rows) < 3 * FAR:
        return NearPairs.none()
    spaces = [_by_layout(layout[rows])]
    if features is not None:
        spaces.append(_by_features(features[rows]))
    usable = [space for space in spaces if space is not None]
    if not usable:
        return NearPairs.none()
    found = np.concatenate([np.stack([_repeated(s.index), s.index.ravel()], axis=1) for s in usable])
    candidates = np.unique(np.sort(found, axis=1), axis=0)
    chances = np.stack([space.chance(candidates) for space in usable])
    joined = chdtrc(2 * len(usable), -2 * np.log(np.clip(chances, 1e-300, 1)).sum(axis=0))
    near = np.flatnonzero(joined <= BY_CHANCE / len(rows))
    near = near[np.argsort(joined[near], kind="stable")]
    return NearPairs(rows[candidates[near]], joined[near])


def _repeated(index: Ints) -> Ints:
    return np.repeat(np.arange(len(index)), index.shape[1])


def _by_features(features: Array) -> _Space | None:
    unit = unit_rows(np.ascontiguousarray(Scaling.of(features)(features)), consume=True)
    if unit.shape[1] > DIMENSIONS:
        rng = np.random.default_rng(84)
        thrown = unit @ rng.normal(size=(unit.shape[1], DIMENSIONS)).astype(np.float32)
        unit = unit_rows(thrown, consume=True)
    return _space(torch.as_tensor(unit), unit.shape[1], mirrored=False)


def _by_layout(layout: Array) -> _Space | None:
    side = math.isqrt(layout.shape[1] + 1)
    across = (np.arange(1, side * side) % side) % 2  # a mirror turns the sign of every second column
    order = np.argsort(across, kind="stable")
    unit = unit_rows(np.ascontiguousarray(layout[:, order], dtype=np.float32), consume=True)
    return _space(torch.as_tensor(unit), int((across == 0).sum()), mirrored=True)


def _space(unit: torch.Tensor, plain: int, *, mirrored: bool) -> _Space | None:
    """The neighbours of rows of length one; None where too many items lie on each other to tell how dense they are."""
    n = len(unit)
    index, distance = np.empty((n, FAR), np.int64), np.empty((n, FAR))
    first, rest = unit[:, :plain].contiguous(), unit[:, plain:].contiguous()
    step = max(1, _PAIRS // n)
    for start in range(0, n, step):
        part = torch.arange(start, min(start + step, n))
        cosine = first[part] @ first.T
        if rest.shape[1]:
            turned = rest[part] @ rest.T
            cosine += turned.abs() if mirrored else turned
        cosine[part - start, part] = -float("inf")
        near = cosine.topk(FAR, dim=1)
        index[start : start + step] = near.indices.numpy()
        distance[start : start + step] = (2 - 2 * near.values).clamp(min=0).sqrt().numpy()
    density = Density.of(distance)
    return None if density is None else _Space(unit, plain, mirrored, index, density)
