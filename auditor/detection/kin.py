"""Families: items that are copies of each other and must be held out together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array

LARGEST_TOGETHER = 64
"""Larger families share a fold, but a leave-one-out head leaves out only the item itself."""


@dataclass(frozen=True)
class Kin:
    """Who belongs together among N items.

    Attributes
    ----------
    of_point
        int64 [N], 0..F-1, the family of each item.
    together
        int64 [F_s, s] for every size s from 2 to `LARGEST_TOGETHER` that occurs: the items of each such family.
    """

    of_point: Array
    together: tuple[Array, ...]

    @classmethod
    def of(cls, families: Array | None, n: int) -> Kin:
        """From int64 [k] `families` of the first k of `n` items. The others stand alone, and so do all for None."""
        if families is None:
            return cls(np.arange(n), ())
        own = np.asarray(families, np.int64)
        alone = np.arange(n - len(own)) + (int(own.max()) + 1 if len(own) else 0)
        _, family = np.unique(np.concatenate([own, alone]), return_inverse=True)
        order, sizes = np.argsort(family, kind="stable"), np.bincount(family)
        first = np.cumsum(sizes) - sizes
        together = []
        for size in np.unique(sizes[(sizes > 1) & (sizes <= LARGEST_TOGETHER)]):
            starts = first[sizes == size]
            together.append(order[starts[:, None] + np.arange(size)])
        return cls(family.astype(np.int64), tuple(together))

    @property
    def n_families(self) -> int:
        """F, the number of families."""
        return int(self.of_point.max()) + 1

    def folds(self, folds: int, rng: np.random.Generator) -> Array:
        """Draw int64 [N], the fold of each item, 0..folds-1. A family lies in one fold, and folds are about equal."""
        sizes, order = np.bincount(self.of_point), rng.permutation(self.n_families)
        if sizes.max() == 1:
            return np.asarray(order % folds)[self.of_point]
        order = order[np.argsort(-sizes[order], kind="stable")]
        fold, filled = np.empty(len(sizes), np.int64), np.zeros(folds)
        for family in order:
            fold[family] = filled.argmin()
            filled[fold[family]] += sizes[family]
        return fold[self.of_point]
