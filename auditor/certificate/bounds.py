"""From a plan and what people found to bounds of the number of wrong labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import beta

from auditor.certificate import betting, stratified
from auditor.certificate.draw import Floats
from auditor.certificate.plan import Plan

CONFIDENCE = 0.95
"""Of every statement: the interval as a whole, and each one-sided bound for itself."""

SIDE = (1 - CONFIDENCE) / 2
"""What each side of the interval may fail with."""

FEWEST_OF_A_CLASS = 50
"""Looks at a class before anything is said of it."""

FARTHEST = 5000
"""More looks than this are no plan for anybody: none are named."""

HIT_PART = 0.2
"""The part of a claim's error that goes to the hit rate, where known-wrong labels measured it."""

Answers = Mapping[str, bool | None]
"""Item id -> True where the label is wrong, False where it is right, None where nobody could decide."""


@dataclass(frozen=True)
class Bounds:
    """How many labels of a population are wrong.

    Attributes
    ----------
    n
        Items of the population.
    used, beyond
        Looks that count, which are the unbroken beginning of the order of looking; and looks at later items.
    wrong, undecided
        Of the looks that count.
    value
        The estimated number of wrong labels.
    low, high
        Ends of the 95% interval.
    at_least, at_most
        One-sided bounds, 95% each.
    """

    n: int
    used: int
    beyond: int
    wrong: int
    undecided: int
    value: float
    low: int
    high: int
    at_least: int
    at_most: int


@dataclass(frozen=True)
class _Looked:
    """The population in the order of looking, and the answers of its unbroken beginning, float64 [t] each."""

    population: betting.Population
    most: Floats
    least: Floats
    known_wrong: int
    known_right: int
    beyond: int


def bounds(plan: Plan, answers: Answers, *, hits: tuple[int, int] | None = None) -> Bounds:
    """Bound the number of wrong labels in the plan's population.

    Parameters
    ----------
    answers
        What people found. Ids outside the population are passed over. An answer holds for all copies of its id.
    hits
        How many labels that were made wrong the reviewers found, and how many they were shown; None where that was
        not measured. Upper ends then count the wrong labels that reviewers miss.
    """
    if plan.reading == "stratified":
        return _of_strata(plan, answers, hits)
    return _of_bets(_looked(plan, answers), plan.expected, hits)


def by_class(
    plan: Plan, answers: Answers, ids: Collection[str], *, hits: tuple[int, int] | None = None
) -> Bounds | None:
    """The same for the items with some ids, such as a class; None below `FEWEST_OF_A_CLASS` looks.

    A stratified reading says nothing: in its order, the items of one class are no weighted sample.
    """
    if plan.reading == "stratified":
        return None
    looked = _looked(plan, answers, frozenset(ids))
    if len(looked.most) < FEWEST_OF_A_CLASS:
        return None
    return _of_bets(looked, plan.expected, hits)


def more_looks(plan: Plan, answers: Answers, target: int, *, extra: int = 0) -> tuple[int | None, int | None]:
    """How many more looks bring the one-sided upper bound of what is left down to a number of labels.

    Parameters
    ----------
    target
        So many wrong labels may be left.
    extra
        Wrong labels that are counted beside the bound, such as changed items; negative for corrected ones.

    Returns
    -------
    If no further look finds a wrong label, and if wrong labels go on at the rate found so far and are corrected. None
    where no number of looks would do, and for a stratified reading, whose looks are planned.
    """
    if plan.reading == "stratified":
        return None, None
    looked = _looked(plan, answers)
    rate = float(looked.most.mean()) if len(looked.most) else plan.expected
    return _until(plan, looked, target - extra, 0.0), _until(plan, looked, target - extra, rate)


def hit_rate(found: int, shown: int, level: float) -> float:
    """The lower limit of the share of wrong labels that reviewers see, too high with probability `level` (exact
    binomial; Clopper and Pearson, 1934). 0 where nothing was found."""
    return float(beta.ppf(level, found, shown - found + 1)) if found else 0.0


def _looked(plan: Plan, answers: Answers, only: frozenset[str] | None = None) -> _Looked:
    c = plan.columns
    keep = np.arange(plan.n) if only is None else np.flatnonzero([item in only for item in c.ids])
    said = [answers.get(c.ids[i], "nobody") for i in keep]
    first = next((t for t, answer in enumerate(said) if answer == "nobody"), len(said))
    weight = c.weight[keep]
    return _Looked(
        betting.Population(weight / weight.sum() if len(weight) else weight, c.credit[keep]),
        np.array([answer is not False for answer in said[:first]], float),
        np.array([answer is True for answer in said[:first]], float),
        sum(answer is True for answer in said),
        sum(answer is False for answer in said),
        sum(answer != "nobody" for answer in said[first:]),
    )


def _of_bets(looked: _Looked, expected: float, hits: tuple[int, int] | None) -> Bounds:
    n = looked.population.n
    wealth = betting.bet(looked.population, looked.most, looked.least, expected)
    side, one = _levels(hits)
    found = _Ends(
        wealth.at_least(SIDE), wealth.at_most(side), wealth.at_least(1 - CONFIDENCE), wealth.at_most(one)
    ).within(looked.known_wrong, n - looked.known_right)
    value = found.low if np.isnan(wealth.estimate) else wealth.estimate
    return _assembled(looked, found.with_misses(looked.known_wrong, n, hits), value)


@dataclass(frozen=True)
class _Ends:
    """Numbers of wrong labels."""

    low: int
    high: int
    at_least: int
    at_most: int

    def within(self, least: int, most: int) -> _Ends:
        """The same inside what is known for certain."""
        return _Ends(*(int(np.clip(end, least, max(least, most))) for end in _tuple(self)))

    def with_misses(self, known: int, n: int, hits: tuple[int, int] | None) -> _Ends:
        """Upper ends that count what reviewers miss: of the wrong labels, they see the hit rate at least."""
        if hits is None:
            return self
        high, most = (
            n if not rate else min(n, int(np.ceil(end / rate)))
            for end, rate in (
                (self.high, hit_rate(*hits, HIT_PART * SIDE)),
                (self.at_most, hit_rate(*hits, HIT_PART * (1 - CONFIDENCE))),
            )
        )
        return replace(self, high=max(self.high, high), at_most=max(self.at_most, most))


def _tuple(ends: _Ends) -> tuple[int, int, int, int]:
    return ends.low, ends.high, ends.at_least, ends.at_most


def _levels(hits: tuple[int, int] | None) -> tuple[float, float]:
    """Levels of the upper end of the interval and of the one-sided upper bound. A hit rate takes its part of them."""
    left = 1.0 if hits is None else 1 - HIT_PART
    return left * SIDE, left * (1 - CONFIDENCE)


def _assembled(looked: _Looked, ends: _Ends, value: float) -> Bounds:
    return Bounds(
        looked.population.n,
        len(looked.most),
        looked.beyond,
        int(looked.least.sum()),
        int(looked.most.sum() - looked.least.sum()),
        float(np.clip(value, ends.low, ends.high)),
        *_tuple(ends),
    )


def _of_strata(plan: Plan, answers: Answers, hits: tuple[int, int] | None) -> Bounds:
    """The last statement at a checkpoint that was reached. Levels are shared among all planned checkpoints."""
    looked = _looked(plan, answers)
    n, side, one = plan.n, *(level / len(plan.checkpoints) for level in _levels(hits))
    low_side, low_one = SIDE / len(plan.checkpoints), (1 - CONFIDENCE) / len(plan.checkpoints)
    ends, value = _Ends(0, n, 0, n), 0.0
    for row in stratified.quotas(plan.shares, plan.sizes, plan.checkpoints, plan.spread):
        t = int(row.sum())
        if t > len(looked.most):
            break
        here = plan.columns.stratum[:t]
        most, least = (
            stratified.Seen(plan.sizes, row, np.bincount(here, weights=found[:t], minlength=len(row)).astype(np.int64))
            for found in (looked.most, looked.least)
        )
        new = _Ends(
            stratified.interval(least, low_side)[0],
            stratified.interval(most, side)[1],
            stratified.interval(least, low_one)[0],
            stratified.interval(most, one)[1],
        )
        ends = _Ends(
            max(ends.low, new.low),
            min(ends.high, new.high),
            max(ends.at_least, new.at_least),
            min(ends.at_most, new.at_most),
        )
        value = (most.estimate + least.estimate) / 2
    ends = ends.within(looked.known_wrong, n - looked.known_right)
    return _assembled(looked, ends.with_misses(looked.known_wrong, n, hits), value)


def _until(plan: Plan, looked: _Looked, target: int, rate: float) -> int | None:
    """Looks until the upper bound less what was found is at most `target`, if wrong labels come at a rate.

    The answers are laid out as evenly as the rate allows. What is found is corrected, so only the rest is left.
    """
    room = min(looked.population.n - len(looked.most), FARTHEST)

    def enough(more: int) -> bool:
        ahead = np.floor(rate * np.arange(1, more + 1)) - np.floor(rate * np.arange(more))
        most = np.concatenate([looked.most, ahead])
        refuted = target + int(ahead.sum()) + 1
        return betting.refuted(looked.population, most, plan.expected, refuted, 1 - CONFIDENCE)

    if target < 0 or not enough(room):
        return None
    low, high = -1, room
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
