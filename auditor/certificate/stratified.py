"""Bounds at planned checkpoints, near exact: strata by suspicion and the hypergeometric laws of what looks find.

The weighted count T = sum over strata of N_h x_h / n_h estimates how many labels are wrong. A total M is refuted from
above when T is as small as observed with probability `alpha` at most, where the M wrong labels lie in the strata as
the looks make most likely (profile likelihood; the likelihood is concave, so the cheapest labels come first). The
places are a constrained maximum and not a supremum, so the level is checked by simulation and not proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import hypergeom

from auditor.certificate.draw import Floats, Ints

CELLS = 4000
"""Cells of the grid on which the laws are added up. Values are rounded to the safe side."""

LEAST, LEAST_OF_FEW, FEW = 5, 3, 100
"""Looks that each stratum gets at least: `LEAST_OF_FEW` up to `FEW` looks in all, else `LEAST`."""


@dataclass(frozen=True)
class Seen:
    """Sizes N_h, looks n_h and wrong labels found x_h by stratum, int64 [H]. Every stratum has a look."""

    sizes: Ints
    looks: Ints
    found: Ints

    @property
    def estimate(self) -> float:
        """T, the weighted count."""
        return float((self.sizes * self.found / self.looks).sum())


def quotas(shares: Floats, sizes: Ints, checkpoints: Sequence[int], spread: float) -> Ints:
    """int64 [K, H], looks by stratum at each checkpoint: Neyman's allocation with a floor. They never shrink.

    Parameters
    ----------
    shares
        float64 [H], assumed shares of wrong labels. Nothing that was found may enter.
    """
    deviation = np.sqrt(shares * (1 - shares))
    part = sizes * (spread + (1 - spread) * deviation / np.average(deviation, weights=sizes))
    part = part / part.sum()
    rows, before = [], np.zeros(len(sizes), np.int64)
    for n in checkpoints:
        least = LEAST_OF_FEW if n <= FEW else LEAST
        floor = np.minimum(sizes, np.maximum(least, before))
        looks = np.maximum(floor, np.minimum(sizes, np.floor(n * part))).astype(np.int64)
        while looks.sum() > max(n, floor.sum()):
            ahead = np.where(looks > floor, looks - n * part, -np.inf)
            looks[int(ahead.argmax())] -= 1
        while looks.sum() < min(n, sizes.sum()):
            behind = np.where(looks < sizes, n * part - looks, -np.inf)
            looks[int(behind.argmax())] += 1
        rows.append(looks)
        before = looks
    return np.array(rows)


def order(u: Floats, stratum: Ints, quota: Ints) -> Ints:
    """int64 [N], the order of looking: checkpoint by checkpoint, in each stratum by `u`; at last the rest."""
    rank = np.empty(len(u), np.int64)
    for h in range(quota.shape[1]):
        rows = np.flatnonzero(stratum == h)
        rank[rows[np.argsort(u[rows], kind="stable")]] = np.arange(len(rows))
    due = (rank[:, None] >= quota.T[stratum]).sum(axis=1)
    return np.asarray(np.lexsort((u, due)), np.int64)


def interval(seen: Seen, alpha: float) -> tuple[int, int]:
    """At least and at most so many labels are wrong; each side fails with probability `alpha`."""
    places = _Places.of(seen)
    return _lowest(seen, places, alpha), _highest(seen, places, alpha)


def _highest(seen: Seen, places: _Places, alpha: float) -> int:
    low, high = places.likeliest, places.most
    while low < high:
        middle = (low + high + 1) // 2
        if _tail(seen, places.at(middle), below=True) > alpha:
            low = middle
        else:
            high = middle - 1
    return low


def _lowest(seen: Seen, places: _Places, alpha: float) -> int:
    low, high = places.least, places.likeliest
    while low < high:
        middle = (low + high) // 2
        if _tail(seen, places.at(middle), below=False) > alpha:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True)
class _Places:
    """The most likely places of any total of wrong labels.

    Attributes
    ----------
    base
        int64 [H], where the likeliest total lies.
    up, down
        Strata of the labels that come next when the total grows, and that go next when it shrinks.
    least, most
        Ends of the totals that the looks allow.
    """

    base: Ints
    up: Ints
    down: Ints
    least: int
    most: int

    @classmethod
    def of(cls, seen: Seen) -> _Places:
        up, down, base = [], [], []
        for size, looks, found in zip(seen.sizes, seen.looks, seen.found, strict=True):
            value = _likelihood(int(size), int(looks), int(found))
            best = int(value.argmax())
            base.append(int(found) + best)
            step = np.diff(value)
            up.append(-step[best:])
            down.append(step[:best][::-1])
        return cls(
            np.array(base, np.int64),
            _cheapest(up),
            _cheapest(down),
            int(seen.found.sum()),
            int((seen.sizes - seen.looks + seen.found).sum()),
        )

    @property
    def likeliest(self) -> int:
        """The most likely total."""
        return int(self.base.sum())

    def at(self, total: int) -> Ints:
        """int64 [H], wrong labels by stratum that add up to `total`."""
        more = total - self.likeliest
        if more >= 0:
            return self.base + np.bincount(self.up[:more], minlength=len(self.base))
        return self.base - np.bincount(self.down[:-more], minlength=len(self.base))


def _cheapest(costs: list[Floats]) -> Ints:
    """Strata in the order of rising cost; in one stratum costs rise already, since the likelihood is concave."""
    stratum = np.repeat(np.arange(len(costs)), [len(c) for c in costs])
    values = np.concatenate([np.maximum.accumulate(c) if len(c) else c for c in costs])
    return np.asarray(stratum[np.lexsort((stratum, values))], np.int64)


def _likelihood(size: int, looks: int, found: int) -> Floats:
    """float64, log likelihood of K = found .. size - looks + found wrong labels in a stratum."""
    k = np.arange(found, size - looks + found + 1)
    right = size - k
    value = gammaln(k + 1) - gammaln(k - found + 1) + gammaln(right + 1) - gammaln(right - (looks - found) + 1)
    return np.asarray(value, np.float64)


def _tail(seen: Seen, wrong: Ints, *, below: bool) -> float:
    """P(T <= observed), or P(T >= observed), where `wrong` int64 [H] labels are wrong. Rounded to the safe side."""
    scale = CELLS / _span(seen)
    law = np.zeros(CELLS + 1)
    law[0] = 1.0
    for size, looks, k in zip(seen.sizes, seen.looks, wrong, strict=True):
        if k == 0:
            continue
        x = np.arange(max(0, looks - (size - k)), min(looks, k) + 1)
        mass = hypergeom.pmf(x, size, k, looks)
        exact = size * x / looks * scale
        # Rounded down, T falls low too often, so that fewer totals are refuted from above; from below, rounded up.
        cells = (np.floor(exact + 1e-9) if below else np.ceil(exact - 1e-9)).astype(np.int64)
        added = np.zeros_like(law)
        for cell, p in zip(np.minimum(cells, CELLS), mass, strict=True):
            if p > 1e-15:
                added[cell:] += p * law[: CELLS + 1 - cell]
                if not below and cell:
                    added[CELLS] += p * law[CELLS + 1 - cell :].sum()
        law = added
    observed = seen.estimate * scale
    if below:
        return float(law[: int(np.floor(observed + 1e-9)) + 1].sum())
    return float(law[int(np.ceil(observed - 1e-9)) :].sum())


def _span(seen: Seen) -> float:
    """The largest T on the grid. Larger ones share the last cell: both tails end far below."""
    return max(1.0, 2 * seen.estimate + 10 * float((seen.sizes / seen.looks).max()))
