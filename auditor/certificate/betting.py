"""Bounds that hold at any moment and for any kind of errors: betting against every share that could be true.

A gambler bets against each possible number M of wrong labels. While M is the truth the bets are fair, whatever the
errors are, so the wealth ever reaches 1 / alpha with probability alpha at most (Ville's inequality). A number is
refuted once its wealth has reached that. What is not refuted bounds the truth (Waudby-Smith and Ramdas, JRSS-B 2024;
weights as in Shekhar, Xu, Lipton, Liang and Ramdas, 2023). The model's scores choose weights, first bets and the
control variate: they make the bound narrower and never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.certificate.draw import Floats, Ints

FINE, COARSE = 4000, 2000
"""Up to `FINE` numbers of wrong labels are tried one by one. In larger populations `COARSE` more are tried, in steps
that grow; a bound is rounded outward to the next number that was tried."""

FIRST = 5.0
"""The guess of the share counts as much as this many looks."""

LARGEST_UP, LARGEST_DOWN = 0.95, 0.9
"""The part of the wealth that a bet can lose at most, for the upper and the lower bound."""


@dataclass(frozen=True)
class Population:
    """N items in the order of looking: weights and control variates float64 [N]."""

    weight: Floats
    credit: Floats

    @property
    def n(self) -> int:
        """N."""
        return len(self.weight)


@dataclass(frozen=True)
class Wealth:
    """The largest log wealth ever reached against each candidate.

    Attributes
    ----------
    grid
        int64 [K], numbers of wrong labels that were tried, rising; 0 and N among them.
    above, below
        float64 [K], against "M are wrong" as too many, and as too few.
    estimate
        Mean of the fair answers times N: an unbiased estimate of the number of wrong labels. NaN without a look.
    """

    grid: Ints
    above: Floats
    below: Floats
    estimate: float

    def at_most(self, alpha: float) -> int:
        """No more than so many labels are wrong; too low at any moment with probability `alpha` at most."""
        open_ = np.flatnonzero(self.above < np.log(1 / alpha))
        last = int(open_[-1]) if len(open_) else 0
        return int(self.grid[last + 1]) - 1 if last + 1 < len(self.grid) else int(self.grid[-1])

    def at_least(self, alpha: float) -> int:
        """No fewer than so many labels are wrong; too high at any moment with probability `alpha` at most."""
        open_ = np.flatnonzero(self.below < np.log(1 / alpha))
        first = int(open_[0]) if len(open_) else len(self.grid) - 1
        return int(self.grid[first - 1]) + 1 if first > 0 else 0


def candidates(n: int) -> Ints:
    """int64 [K], the numbers of wrong labels that are tried among `n`."""
    if n <= FINE:
        return np.arange(n + 1)
    steps = np.geomspace(FINE, n, COARSE).round().astype(np.int64)
    return np.asarray(np.unique(np.concatenate([np.arange(FINE), steps, [n]])), np.int64)


def bet(population: Population, most: Floats, least: Floats, expected: float) -> Wealth:
    """Bet on every look, in the order of looking.

    Parameters
    ----------
    most, least
        float64 [t], 1 where the look found a wrong label. They differ where nobody could decide: such an item is wrong
        in `most`, which the upper bound reads, and right in `least`, which the lower one reads.
    expected
        A guess of the share of wrong labels.
    """
    grid = candidates(population.n)
    above = _wealth(grid / population.n, _fair(population, most), expected, upward=True)
    low_answers = _fair(population, least)
    below = _wealth(grid / population.n, low_answers, expected, upward=False)
    both = (_fair(population, most).value + low_answers.value) / 2
    estimate = float(both.mean() * population.n) if len(both) else float("nan")
    return Wealth(grid, above, below, estimate)


def refuted(population: Population, most: Floats, expected: float, m: int, alpha: float) -> bool:
    """Whether the looks `most` float64 [t] refute at some moment that `m` labels are wrong, as too many."""
    if m > population.n:
        return True
    best = _wealth(np.array([m / population.n]), _fair(population, most), expected, upward=True)
    return bool(best[0] >= np.log(1 / alpha))


@dataclass(frozen=True)
class Fair:
    """Answers whose mean given the past is the share, and the ends between which each must lie; float64 [t] each."""

    value: Floats
    low: Floats
    high: Floats


def _fair(population: Population, wrong: Floats) -> Fair:
    """Z = ((y - g) W / w + wrong found + g not yet seen) / N, with W the weight and g the credit not yet seen."""
    w, g, n, t = population.weight, population.credit, population.n, len(wrong)
    unseen = np.cumsum(w[::-1])[::-1][:t]
    credit_left = np.cumsum(g[::-1])[::-1][:t]
    base = np.concatenate([[0.0], np.cumsum(wrong)])[:t] + credit_left
    # The ends run over all items not yet seen.
    highest = np.maximum.accumulate(((1 - g) / w)[::-1])[::-1][:t]
    lowest = np.maximum.accumulate((g / w)[::-1])[::-1][:t]
    value = ((wrong - g[:t]) * unseen / w[:t] + base) / n
    return Fair(value, (base - unseen * lowest) / n, (base + unseen * highest) / n)


def _wealth(m: Floats, answers: Fair, expected: float, *, upward: bool) -> Floats:
    """float64 [K], the largest log wealth ever reached against each share of `m`."""
    start = min(0.05, max(0.005, expected))
    log_wealth, best = np.zeros(len(m)), np.zeros(len(m))
    total, squares = FIRST * start, FIRST / 2 * start
    for t, (z, low, high) in enumerate(zip(answers.value, answers.low, answers.high, strict=True)):
        estimate, variance = total / (FIRST + t), squares / (FIRST + t)
        gap = m - estimate if upward else estimate - m
        room = high - m if upward else m - low
        with np.errstate(divide="ignore"):
            limit = np.where(room > 0, (LARGEST_UP if upward else LARGEST_DOWN) / np.where(room > 0, room, 1), 0.0)
        stake = np.minimum(np.maximum(gap / (variance + gap * gap), 0.0), limit)
        log_wealth += np.log1p(stake * (m - z if upward else z - m))
        # A share that no answer could lie beyond is impossible.
        log_wealth[room <= 0] = np.where(room[room <= 0] < -1e-12, np.inf, log_wealth[room <= 0])
        np.maximum(best, log_wealth, out=best)
        total += z
        squares += (z - estimate) ** 2
    return best
