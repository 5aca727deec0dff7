"""Bounds that hold at any moment and for any kind of errors: betting against every share that could be true.

A gambler bets against each possible number M of wrong labels. While M is the truth the bets are fair, whatever kind of
errors they are, so the wealth ever passes 1 / alpha with probability alpha at most (Ville's inequality). M is refuted
for good once its wealth has passed. What is not refuted bounds the truth (Waudby-Smith and Ramdas, JRSS-B 2024; with
weights: Shekhar, Xu, Lipton, Liang and Ramdas 2023). Scores only choose the bets. They make a bound narrower, never
wrong.

The fair answer of look t is Z = (y W / w + S) / N: y is 1 for a wrong label, w the item's weight, W the weight of all
items not seen before, S the wrong labels seen before. Its mean given the past is M / N. A control variate takes a
credit off each answer and adds the credits of all unseen items instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from auditor.certificate.plan import unseen
from auditor.system.arrays import Array, Floats, Ints

EACH = 800
"""Numbers up to this are tried one by one; larger ones in steps of 1 / `FINE` of themselves, rounded outward."""

FINE = 400

PRIOR = 5
"""Looks that the guessed share stands for when the first bets are made."""

MOST_UP, MOST_DOWN = 0.975, 0.9
"""The part of the wealth that a bet risks at most."""

FIRST_BLOCK, LONGEST_BLOCK = 32, 1024
"""Looks that are read at once. Refuted numbers drop out between blocks."""


@dataclass(frozen=True)
class Track:
    """The population in drawing order.

    Attributes
    ----------
    weights, credits
        float64 [N]. Weights need not sum to 1.
    expected
        The guess that tunes the first bets.
    """

    weights: Floats
    credits: Floats
    expected: float

    @property
    def n(self) -> int:
        """N."""
        return len(self.weights)


def candidates(n: int) -> Ints:
    """int64, the numbers of wrong labels that are tried, rising, 0 and `n` among them."""
    found = list(range(min(n, EACH) + 1))
    while found[-1] < n:
        found.append(min(n, found[-1] + found[-1] // FINE))
    return np.array(found, np.int64)


@dataclass(frozen=True)
class Answers:
    """Fair answers: float64 [T], in drawing order.

    Attributes
    ----------
    z
        Z, whose mean given the past is the share.
    low, high
        Between these each Z must lie, whatever the look finds.
    mean, variance
        Of the answers before, with the guess. They choose the bets.
    """

    z: Floats
    low: Floats
    high: Floats
    mean: Floats
    variance: Floats


def fair_answers(track: Track, wrong: Floats) -> Answers:
    """What each of T looks says of the share.

    Parameters
    ----------
    wrong
        float64 [T], 1 where the look found a wrong label. An item that nobody could decide counts as the bound needs.
    """
    n, t = track.n, len(wrong)
    weight = track.weights / track.weights.sum()
    left = unseen(weight)[:t]
    credit = unseen(track.credits)[:t]
    base = np.cumsum(wrong) - wrong + credit
    most = np.maximum.accumulate(((1 - track.credits) / weight)[::-1])[::-1][:t]
    least = np.maximum.accumulate((track.credits / weight)[::-1])[::-1][:t]
    z = ((wrong - track.credits[:t]) * left / weight[:t] + base) / n
    start = min(0.05, max(0.005, track.expected))
    before = PRIOR + np.arange(t)
    mean = (PRIOR * start + np.cumsum(z) - z) / before
    square = (z - mean) ** 2
    variance = (PRIOR * start / 2 + np.cumsum(square) - square) / before
    return Answers(z, (base - left * least) / n, (base + left * most) / n, mean, variance)


def refuted_at(track: Track, wrong: Floats, limit: float, tried: Ints, *, upward: bool) -> Ints:
    """int64 [G], after how many looks each number of wrong labels in `tried` is refuted; -1 for never.

    `upward` refutes numbers that are too large, else numbers that are too small. `limit` is the wealth that refutes.
    """
    first = np.full(len(tried), -1, np.int64)
    for active, wealth, start in _wealths(track, wrong, tried, np.array([limit]), upward=upward):
        over = wealth >= np.log(limit)
        hit = over.any(axis=1)
        first[active[hit]] = start + over[hit].argmax(axis=1) + 1
    return first


def peaks(track: Track, wrong: Floats, tried: Ints, limits: Floats, *, upward: bool) -> Floats:
    """float64 [G], log of the largest wealth that the bets against each number in `tried` ever had."""
    peak = np.zeros(len(tried))
    for active, wealth, _ in _wealths(track, wrong, tried, limits, upward=upward):
        peak[active] = np.maximum(peak[active], wealth.max(axis=1))
    return peak


def edge(tried: Ints, refuted: Array, n: int, *, upward: bool) -> int:
    """The largest number that may be true, or the smallest. It is rounded outward to the next number that was tried."""
    open_ = np.flatnonzero(~refuted)
    if upward:
        last = int(open_[-1]) if len(open_) else -1
        return int(tried[last + 1]) - 1 if last + 1 < len(tried) else n
    first = int(open_[0]) if len(open_) else len(tried)
    return int(tried[first - 1]) + 1 if first else 0


def _wealths(
    track: Track, wrong: Floats, tried: Ints, limits: Floats, *, upward: bool
) -> Iterator[tuple[Ints, Floats, int]]:
    """Blocks of looks: numbers not refuted yet, log wealth [active, looks] of each, and the looks before the block."""
    answers = fair_answers(track, wrong)
    seen_wrong, seen_right = np.cumsum(wrong), np.cumsum(1 - wrong)
    share = tried / max(1, track.n)
    past = np.zeros(len(tried))
    active = np.arange(len(tried))
    start, length = 0, FIRST_BLOCK
    while start < len(wrong) and len(active):
        part = slice(start, min(len(wrong), start + length))
        gains = _gains(share[active, None], answers, part, upward=upward)
        wealth = past[active, None] + np.cumsum(gains, axis=1)
        sure = tried[active, None] > track.n - seen_right[part] if upward else tried[active, None] < seen_wrong[part]
        wealth = np.where(sure, np.inf, wealth)
        past[active] = wealth[:, -1]
        yield active, wealth, start
        active = active[wealth.max(axis=1) < np.log(limits.max())]
        start, length = part.stop, min(2 * length, LONGEST_BLOCK)


def _gains(share: Floats, answers: Answers, part: slice, *, upward: bool) -> Floats:
    """float64 [G, T], how the log wealth changes at each look."""
    side = 1.0 if upward else -1.0
    gap = side * (share - answers.mean[part])
    room = answers.high[part] - share if upward else share - answers.low[part]
    most = np.where(room > 0, (MOST_UP if upward else MOST_DOWN) / np.where(room > 0, room, 1.0), 1e6)
    bet = np.clip(gap / (answers.variance[part] + gap**2), 0.0, most)
    return np.asarray(np.log1p(np.maximum(bet * side * (share - answers.z[part]), -1 + 1e-12)))
