"""Bounds at planned checkpoints, near exact: strata by suspicion, and the hypergeometric law of what the looks find.

The weighted count T = sum over strata of N_h x_h / n_h estimates how many labels are wrong. A total M is refuted from
above if T is as small as observed with probability `alpha` at most, where M labels are wrong. Where in the strata they
are wrong is not known. They are put where the looks make it most likely: the product of hypergeometric likelihoods is
log-concave, so the cheapest labels come first and greedy choice is best.

These places follow the looks, and with a few looks a stratum they follow them too closely: wrong labels gather in the
strata where chance found some, and T seems to vary less than it does. So neighbouring strata are paired too, and share
one rate (collapsed strata; Cochran 1977, 5A.12). A rate p that was fitted to n looks makes p (1 - p) too small by 1 / n
on average, and `_stretch` makes up for it. M is refuted only if it is refuted at both places. All this is no proof. The
level is checked by simulation (`tests/certificate/test_stratified.py`, `benchmarks/trust.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from auditor.system.arrays import Floats, Ints

CELLS = 4096
"""Cells between nothing and the observed T. Each stratum's part is rounded to the safe side."""

NOTHING = 1e-13
"""A smaller probability counts as none. All of them together are far below any level."""

TIE = 1 - 1e-9
"""A probability this close to the level does not refute: rounding decides nothing."""

LEAST = 5
"""Looks that each stratum gets at least; 3 where the first checkpoint lies at a hundred looks."""


@dataclass(frozen=True)
class Seen:
    """What the looks found by stratum: int64 [H] each, items, looks and wrong labels."""

    sizes: Ints
    looks: Ints
    found: Ints

    @property
    def total(self) -> int:
        """N, the items of all strata."""
        return int(self.sizes.sum())


def quotas(sizes: Ints, weight: Floats, checkpoints: Sequence[int]) -> Ints:
    """int64 [K, H], looks of each stratum at each checkpoint; no row takes back what the row before gave.

    Looks go in proportion to size times weight, by the divisor method of Webster, which is monotone in their number.
    Strata behind those whose weights sum to 1 came later. They get their share on top, so the quotas of the first draw
    stay what they were.
    """
    wanted = sizes * weight
    first = int(np.searchsorted(np.cumsum(wanted), 1 - 1e-9)) + 1
    least = int(np.clip(3 * min(checkpoints, default=0) // (5 * max(1, first)), 1, LEAST))
    rows = np.zeros((len(checkpoints), len(sizes)), np.int64)
    for k, n in enumerate(checkpoints):
        rows[k, :first] = _webster(sizes[:first], wanted[:first], n, least)
        rows[k, first:] = np.minimum(sizes[first:], np.maximum(least, np.ceil(n * wanted[first:])))
    return np.maximum.accumulate(rows, axis=0)


def _webster(sizes: Ints, wanted: Floats, n: int, least: int) -> Ints:
    looks = np.minimum(sizes, min(least, n // max(1, len(sizes))))
    if n >= sizes.sum():
        return sizes
    room = np.minimum(sizes - looks, n)
    h = np.repeat(np.arange(len(sizes)), room)
    seat = np.arange(len(h)) - np.repeat(np.cumsum(room) - room, room) + looks[h]
    best = np.argsort(-wanted[h] / (seat + 0.5), kind="stable")[: n - int(looks.sum())]
    return looks + np.bincount(h[best], minlength=len(sizes))


def at_most(seen: Seen, alpha: float) -> int:
    """At most so many of the N labels are wrong; fails with probability `alpha` or less.

    Strata that nobody has looked into may hold nothing but wrong labels.
    """
    inside = _looked_into(seen)
    places = _Places.of(inside)
    found = _last(places.least, places.most, partial(_may_be_more, inside, places, alpha))
    return found + seen.total - inside.total


def at_least(seen: Seen, alpha: float) -> int:
    """At least so many of the N labels are wrong; fails with probability `alpha` or less."""
    inside = _looked_into(seen)
    places = _Places.of(inside)
    return -_last(-places.most, -places.least, partial(_may_be_less, inside, places, alpha))


def refuted(seen: Seen, alpha: float, total: int, *, upward: bool) -> bool:
    """Whether `total` wrong labels are refuted: `at_most(seen, alpha) < total`, or `at_least(seen, alpha) > total`.

    One step in place of a search, for simulations that know the truth.
    """
    inside = _looked_into(seen)
    places = _Places.of(inside)
    if upward:
        total -= seen.total - inside.total
        if not places.least < total <= places.most:
            return total > places.most
        return not _may_be_more(inside, places, alpha, total)
    if not places.least <= total < places.most:
        return total < places.least
    return not _may_be_less(inside, places, alpha, -total)


def _may_be_more(seen: Seen, places: _Places, alpha: float, total: int) -> bool:
    observed = _observed(seen)
    for wrong, stretch in places.at(seen, total):
        moved = total - (total - observed) / stretch if 0 < observed < total else observed
        if _law(seen, wrong, moved, below=False) > alpha * TIE:
            return True
    return False


def _may_be_less(seen: Seen, places: _Places, alpha: float, total: int) -> bool:
    observed, total = _observed(seen), -total
    for wrong, stretch in places.at(seen, total):
        moved = total + (observed - total) / stretch if observed > total else observed
        if 1 - _law(seen, wrong, moved, below=True) > alpha * TIE:
            return True
    return False


def _observed(seen: Seen) -> float:
    """T."""
    return float((seen.sizes / seen.looks * seen.found).sum())


def _stretch(seen: Seen, wrong: Ints, pair: Ints) -> float:
    """How much larger the standard deviation of T is than where `wrong` int64 [H] labels of the strata are wrong.

    A pair's rate p was fitted to its n looks, with the variance p (1 - p) / n. The mean of p (1 - p) is too small by as
    much. The total ties the pairs together, which takes off the part of each in the variance of T. So nothing is
    lacking where there is one pair.
    """
    size, rate = seen.sizes.astype(float), wrong / seen.sizes
    factor = size**2 / seen.looks * (size - seen.looks) / np.maximum(size - 1, 1)
    variance = float((factor * rate * (1 - rate)).sum())
    if variance <= 0:
        return 1.0
    sizes, looks, found, factors = (np.bincount(pair, weights=one) for one in (size, seen.looks, wrong, factor))
    fitted = found / sizes * (1 - found / sizes) / looks
    lacking = factors * fitted * (1 - np.minimum(1, sizes**2 * fitted / variance))
    return float(np.sqrt(1 + lacking.sum() / variance))


def estimate(seen: Seen) -> float:
    """T, the estimated number of wrong labels. Strata that nobody has looked into get the rate of all others."""
    inside = _looked_into(seen)
    return _observed(inside) * seen.total / inside.total if inside.total else seen.total / 2


def _looked_into(seen: Seen) -> Seen:
    keep = np.flatnonzero((seen.looks > 0) & (seen.sizes > 0))
    return Seen(seen.sizes[keep], seen.looks[keep], seen.found[keep])


@dataclass(frozen=True)
class _Allocation:
    """Where wrong labels are put: stratum after stratum as their total grows from `least` to `most`."""

    least: Ints
    added: Ints

    def of(self, total: int) -> Ints:
        """int64 [H], wrong labels by stratum that sum to `total`."""
        more = self.added[: total - int(self.least.sum())]
        return self.least + np.bincount(more, minlength=len(self.least))


@dataclass(frozen=True)
class _Places:
    """The likeliest places by stratum and by pair of neighbouring strata; `pair` int64 [H] numbers the pairs."""

    single: _Allocation
    paired: _Allocation
    pair: Ints

    @classmethod
    def of(cls, seen: Seen) -> _Places:
        """The last pair of an odd number of strata holds three."""
        h = len(seen.sizes)
        pair = np.minimum(np.arange(h) // 2, max(0, h // 2 - 1))
        pooled = (np.bincount(pair, weights=one).astype(np.int64) for one in (seen.sizes, seen.looks, seen.found))
        return cls(_likeliest(seen), _likeliest(Seen(*pooled)), pair)

    @property
    def least(self) -> int:
        """The smallest total that is possible."""
        return int(self.single.least.sum())

    @property
    def most(self) -> int:
        """The largest."""
        return self.least + len(self.single.added)

    def at(self, seen: Seen, total: int) -> Iterator[tuple[Ints, float]]:
        """Wrong labels by stratum, int64 [H], that sum to `total`, and the stretch there."""
        yield self.single.of(total), 1.0
        wrong = seen.found + self._spread(seen, total)
        yield wrong, _stretch(seen, wrong, self.pair)

    def _spread(self, seen: Seen, total: int) -> Ints:
        """int64 [H], what each pair holds beyond the labels that were found, over its strata by their room."""
        room = seen.sizes - seen.looks
        more = (self.paired.of(total) - self.paired.least)[self.pair]
        exact = more * room / np.maximum(np.bincount(self.pair, weights=room)[self.pair], 1)
        whole = np.floor(exact).astype(np.int64)
        rest = total - int((seen.found + whole).sum())
        whole[np.argsort(whole - exact, kind="stable")[:rest]] += 1
        return np.minimum(whole, room)


def _likeliest(seen: Seen) -> _Allocation:
    """The most likely places: the cheapest labels come first."""
    room = seen.sizes - seen.looks
    h = np.repeat(np.arange(len(room)), room)
    k = np.arange(len(h)) - np.repeat(np.cumsum(room) - room, room)
    return _Allocation(seen.found, h[np.argsort(_costs(seen, h, k), kind="stable")])


def _costs(seen: Seen, h: Ints, k: Ints) -> Floats:
    """float64, how much the log likelihood of stratum h falls if one more than found + k of its labels are wrong."""
    wrong = seen.found[h] + k
    right = seen.sizes[h] - wrong
    return np.asarray(
        np.log(wrong + 1 - seen.found[h])
        - np.log(wrong + 1.0)
        + np.log(right.astype(float))
        - np.log(right - (seen.looks - seen.found)[h])
    )


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number from `low` to `high` for which `holds`, which stops once; `low` if for no larger one."""
    if low < high and not holds(low + 1):
        return low
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _law(seen: Seen, wrong: Ints, observed: float, *, below: bool) -> float:
    """P(T < observed) rounded down if `below`, else P(T <= observed) rounded up."""
    factor = seen.sizes / seen.looks
    if observed <= 0:
        zero = _log_masses(seen.sizes, seen.looks, wrong, np.zeros_like(wrong))
        return 0.0 if below else float(np.exp(zero.sum()))
    part = factor * CELLS / observed
    last = CELLS - 1 if below else CELLS
    x = np.arange(min(int((CELLS / part).max() + 1e-9), int(seen.looks.max())) + 1)
    mass = np.exp(_log_masses(seen.sizes[:, None], seen.looks[:, None], wrong[:, None], x[None, :]))
    place = part[:, None] * x
    cells = (np.ceil(place - 1e-9) if below else np.floor(place + 1e-9)).astype(np.int64)
    law = np.zeros(last + 1)
    law[0] = 1.0
    for h in range(len(wrong)):
        kept = (cells[h] <= last) & (mass[h] > NOTHING)
        added = np.zeros_like(law)
        for cell, p in zip(cells[h, kept].tolist(), mass[h, kept].tolist(), strict=True):
            added[cell:] += p * law[: last + 1 - cell]
        law = added
    return float(min(1.0, law.sum()))


def _log_masses(size: Ints, looks: Ints, wrong: Ints, x: Ints) -> Floats:
    """log P(x wrong labels among `looks` of `size` items of which `wrong` are wrong)."""
    from scipy.special import gammaln

    def choose(n: Ints, k: Ints) -> Floats:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    with np.errstate(invalid="ignore"):
        mass = choose(wrong, x) + choose(size - wrong, looks - x) - choose(size, looks)
    return np.where((x > wrong) | (x > looks) | (looks - x > size - wrong), -np.inf, mass)
