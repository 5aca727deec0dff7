"""What looks prove: at least and at most so many labels of the plan's population are wrong.

An item that nobody could decide counts as wrong in upper bounds and as right in lower ones. What looks found is
certain: no bound contradicts a known answer, wherever in the order it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.certificate import betting, stratified
from auditor.certificate.plan import Plan
from auditor.system.arrays import Array, Floats, Ints

CONFIDENCE = 0.95
"""Of the two-sided interval, and of each one-sided bound alone."""

SIDE, ALONE = (1 - CONFIDENCE) / 2, 1 - CONFIDENCE
"""The error of each end of the interval, and of each one-sided bound."""

HIT_ERROR = SIDE / 4
"""The error of `hit_rate`, and once more the same for chance among the wrong labels that were missed. Both are taken
off the level of upper bounds, so that the whole claim keeps 95%."""

FEWEST_LOOKS = 50
"""Looks of a class below which nothing is said of it."""

ABSENT, RIGHT, WRONG, UNDECIDED = -1, 0, 1, 2


@dataclass(frozen=True)
class Bounds:
    """Numbers of wrong labels in a plan's population, by the labels as they were when it was planned.

    Attributes
    ----------
    n
        N, the population.
    used, beyond
        Items whose answers count, and items whose answers do not count yet, because an earlier one is missing.
    wrong, undecided
        Of the ones that count: labels found wrong, and items that nobody could decide.
    value
        The estimate.
    low, high
        A two-sided interval, 95%.
    at_least, at_most
        One-sided, 95% each; each is a statement of its own.
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
class Population:
    """A plan's items, or some of them, with their answers.

    Attributes
    ----------
    codes
        int8 [n], by position in the plan: `ABSENT`, `RIGHT`, `WRONG` or `UNDECIDED`.
    inside
        int64 [n], positions of the items in the plan, in the order of looking.
    """

    plan: Plan
    codes: Array
    inside: Ints

    @staticmethod
    def of(plan: Plan, answers: Mapping[str, bool | None], ids: Collection[str] | None = None) -> Population:
        """The whole plan, or its items with an id in `ids`. Answers to other ids do not matter."""
        known = {None: UNDECIDED, True: WRONG, False: RIGHT}
        codes = np.array([known[answers[name]] if name in answers else ABSENT for name in plan.ids], np.int8)
        inside = plan.looking
        if ids is not None:
            member = np.array([name in ids for name in plan.ids], bool)
            inside = inside[member[inside]]
        return Population(plan, codes, inside)

    @property
    def ordered(self) -> Array:
        """int8 [n], the answers in the order of looking."""
        return self.codes[self.inside]

    @property
    def prefix(self) -> int:
        """The length of the longest unbroken beginning of the order whose items all have answers."""
        missing = np.flatnonzero(self.ordered == ABSENT)
        return int(missing[0]) if len(missing) else len(self.inside)

    @property
    def track(self) -> betting.Track:
        """Weights and credits in the order of looking."""
        return betting.Track(self.plan.weights[self.inside], self.plan.credits[self.inside], self.plan.expected)


def worst(codes: Array) -> Floats:
    """float64, 1 for a wrong label, undecided ones included: what an upper bound reads."""
    return np.asarray((codes == WRONG) | (codes == UNDECIDED), dtype=np.float64)


def best(codes: Array) -> Floats:
    """float64, 1 for a wrong label, undecided ones excluded: what a lower bound reads."""
    return np.asarray(codes == WRONG, dtype=np.float64)


def bounds(plan: Plan, answers: Mapping[str, bool | None], *, hit_rate: float = 1.0) -> Bounds:
    """What the looks prove of the plan's population.

    Parameters
    ----------
    answers
        By id: True for a wrong label, False for a right one, None where nobody could decide. An id that is absent was
        not looked at. One answer holds for all copies with that id.
    hit_rate
        The lower limit of the share of wrong labels that reviewers notice (`hit_rate`), in (0, 1]. 1 believes every
        "right". Below 1 upper bounds grow, and a "right" is no longer certain.

    Raises
    ------
    ValueError
        `hit_rate` is out of range.
    """
    if not 0 < hit_rate <= 1:
        raise ValueError("hit_rate must lie in (0, 1]")
    return _bounds(Population.of(plan, answers), hit_rate)


def by_class(plan: Plan, answers: Mapping[str, bool | None], ids_of_class: Collection[str]) -> Bounds | None:
    """What the looks prove of some items of the plan, such as those of one class; None below 50 looks at them.

    Which items are asked for must not depend on answers.
    """
    population = Population.of(plan, answers, frozenset(ids_of_class))
    found = _bounds(population, 1.0)
    return found if found.used >= FEWEST_LOOKS else None


def hit_rate(found: int, n: int, level: float = 1 - HIT_ERROR) -> float:
    """The lower limit, at `level`, of the share of wrong labels that reviewers notice (Clopper and Pearson, exact).

    Parameters
    ----------
    found, n
        Known-wrong labels that were called wrong, of those that were shown. Without any the answer is 0.
    level
        The default is the one that `bounds` reckons with.
    """
    from scipy.special import betaincinv

    if not 0 <= found <= n:
        raise ValueError("found must lie between 0 and n")
    return float(betaincinv(found, n - found + 1, 1 - level)) if found else 0.0


@dataclass(frozen=True)
class _Reading:
    """What a reading proves: the looks that count, the estimate, and the four ends."""

    used: Ints
    value: float
    low: int
    high: int
    at_least: int
    at_most: int


def _bounds(population: Population, rate: float) -> Bounds:
    read = _by_bets if population.plan.reading == "betting" else _by_strata
    found = read(population, 2 * HIT_ERROR if rate < 1 else 0.0)
    codes = population.ordered
    n, right, wrong = len(codes), int((codes == RIGHT).sum()), int((codes == WRONG).sum())
    if rate < 1:
        most = _largest_family(population)
        high, at_most = (_with_missed(end, rate, most, n) for end in (found.high, found.at_most))
    else:
        high, at_most = (min(end, n - right) for end in (found.high, found.at_most))
    # The ends can cross, which happens at most as often as one of them fails. The upper ones are believed less.
    low, at_least = max(wrong, found.low), max(wrong, found.at_least)
    at_most = max(at_least, at_most)
    high = max(at_most, high)
    counted = codes[found.used]
    return Bounds(
        n=n,
        used=len(counted),
        beyond=int((codes != ABSENT).sum()) - len(counted),
        wrong=int((counted == WRONG).sum()),
        undecided=int((counted == UNDECIDED).sum()),
        value=float(np.clip(found.value, low, high)),
        low=low,
        high=high,
        at_least=at_least,
        at_most=at_most,
    )


def _by_bets(population: Population, missed: float) -> _Reading:
    track, n = population.track, len(population.inside)
    used = np.arange(population.prefix)
    codes = population.ordered[used]
    tried = betting.candidates(n)
    ends = []
    for upward, wrong, less in ((True, worst(codes), missed), (False, best(codes), 0.0)):
        limits = 1 / (np.array([SIDE, ALONE]) - less)
        peak = betting.peaks(track, wrong, tried, limits, upward=upward)
        ends += [betting.edge(tried, peak >= np.log(limit), n, upward=upward) for limit in limits]
    high, at_most, low, at_least = ends
    value = (low + high) / 2
    if len(used):
        value = n * float(np.mean([betting.fair_answers(track, read(codes)).z.mean() for read in (worst, best)]))
    return _Reading(used, value, low, high, at_least, at_most)


def _by_strata(population: Population, missed: float) -> _Reading:
    """The statements of all checkpoints that were reached. Each has its part of the level, so the best ends count."""
    plan, n, codes = population.plan, len(population.inside), population.ordered
    block = plan.block[population.inside]
    stratum = plan.stratum[population.inside]
    absent = block[codes == ABSENT]
    reached = int(min(absent.min(initial=len(plan.checkpoints)), len(plan.checkpoints)))
    part = max(1, len(plan.checkpoints))
    low, high, at_least, at_most, value = 0, n, 0, n, n / 2
    for k in range(reached):
        more, less = (
            seen_by_stratum(stratum, np.where(block <= k, read(codes), -1), len(plan.strata)) for read in (worst, best)
        )
        high = min(high, stratified.at_most(more, (SIDE - missed) / part))
        at_most = min(at_most, stratified.at_most(more, (ALONE - missed) / part))
        low = max(low, stratified.at_least(less, SIDE / part))
        at_least = max(at_least, stratified.at_least(less, ALONE / part))
        value = (stratified.estimate(more) + stratified.estimate(less)) / 2
    return _Reading(np.flatnonzero(block < reached), value, low, high, at_least, at_most)


def seen_by_stratum(stratum: Ints, wrong: Floats, strata: int) -> stratified.Seen:
    """Looks and finds by stratum; `wrong` is -1 where nobody looked."""
    looked = wrong >= 0
    sizes, looks = (np.bincount(stratum[mask], minlength=strata) for mask in (np.ones_like(looked), looked))
    found = np.bincount(stratum[wrong == 1], minlength=strata)
    return stratified.Seen(sizes, looks, found)


def _largest_family(population: Population) -> int:
    """The largest number of copies that one answer speaks for."""
    return int(population.plan.copies[population.inside].max(initial=0)) + 1


def _with_missed(noticed: int, rate: float, family: int, n: int) -> int:
    """At most so many labels are wrong if reviewers would call at most `noticed` of them wrong.

    Each wrong label is noticed with probability `rate` or more, copies all at once. Their number is binomial then; it
    is smaller than its `HIT_ERROR` quantile with that probability at most.
    """
    from scipy.special import bdtr

    low, high = -(-noticed // family), -(-n // family)
    least = low
    while low < high:
        middle = (low + high + 1) // 2
        if bdtr(float(least), middle, rate) > HIT_ERROR:
            low = middle
        else:
            high = middle - 1
    return min(n, low * family + family - 1)
