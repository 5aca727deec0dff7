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

PLANNED_PART = 0.8
"""The part of its error that a one-sided bound at planned looks spends. Places follow the looks, so with all of it the
bound fails in up to 5.6% of the draws in simulation where 5% is nominal. The ends of the interval hold their level."""

HIT_PART, CHANCE_PART = 0.2, 0.1
"""Where known-wrong labels measured what reviewers miss: the part of an upper bound's error that goes to `hit_rate`,
and the part that goes to chance, since more may be missed than on average. The rest is left to the looks, so that the
whole claim keeps its level."""

FEWEST_OF_A_CLASS = 50
"""Looks at a class below which nothing is said of it."""

Answers = Mapping[str, bool | None]
"""Item id -> True where the label is wrong, False where it is right, None where nobody could decide. An id that is
absent was not looked at. One answer holds for all copies with that id."""

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
    def of(plan: Plan, answers: Answers, ids: Collection[str] | None = None) -> Population:
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

    def misses(self, hits: tuple[int, int] | None) -> Misses | None:
        """What reviewers miss, where it was measured."""
        if hits is None:
            return None
        return Misses(hits, len(self.inside), int(self.plan.copies[self.inside].max(initial=0)) + 1)

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


def bounds(plan: Plan, answers: Answers, *, hits: tuple[int, int] | None = None) -> Bounds:
    """What the looks prove of the plan's population.

    Parameters
    ----------
    answers
        What people found. Ids outside the population are passed over.
    hits
        How many labels that were made wrong the reviewers called wrong, and how many they were shown. Upper bounds then
        count what reviewers miss, and a "right" is no longer certain. None where that was not measured.
    """
    return _bounds(Population.of(plan, answers), hits)


def by_class(
    plan: Plan, answers: Answers, ids: Collection[str], *, hits: tuple[int, int] | None = None
) -> Bounds | None:
    """The same for the items of the plan with some ids, such as those of one class; None below 50 looks at them.

    Which items are asked for must not depend on answers.
    """
    found = _bounds(Population.of(plan, answers, frozenset(ids)), hits)
    return found if found.used >= FEWEST_OF_A_CLASS else None


def hit_rate(found: int, shown: int, level: float) -> float:
    """The lower limit of the share of wrong labels that reviewers see (exact binomial; Clopper and Pearson, 1934).

    Parameters
    ----------
    found, shown
        Known-wrong labels that were called wrong, and all that were shown.
    level
        The limit is too high with this probability at most.
    """
    from scipy.special import betaincinv

    if not 0 <= found <= shown:
        raise ValueError("found must lie between 0 and shown")
    return float(betaincinv(found, shown - found + 1, level)) if found else 0.0


@dataclass(frozen=True)
class Misses:
    """How an upper bound of what reviewers would call wrong becomes one of what is wrong.

    Each wrong label is seen with the hit rate or more, all copies of an item at once. The number that is seen is
    binomial then, and as small as observed with the level's part for chance at most.

    Attributes
    ----------
    hits
        As in `bounds`.
    n, family
        The population, and the largest number of copies that one answer speaks for.
    """

    hits: tuple[int, int]
    n: int
    family: int

    def most(self, seen: int, level: float) -> int:
        """At most so many of the `n` labels are wrong if reviewers would call at most `seen` of them wrong."""
        from scipy.special import bdtr

        rate = hit_rate(*self.hits, HIT_PART * level)
        low = least = -(-seen // self.family)
        high = -(-self.n // self.family)
        while low < high:
            middle = (low + high + 1) // 2
            if bdtr(float(least), middle, rate) > CHANCE_PART * level:
                low = middle
            else:
                high = middle - 1
        return max(seen, min(self.n, low * self.family + self.family - 1))

    def inverse(self, most: int, level: float) -> int:
        """The largest number seen for which `most` is not exceeded; -1 if there is none."""
        low, high = -1, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.most(middle, level) <= most else (low, middle - 1)
        return low


def looks_level(level: float, misses: Misses | None) -> float:
    """What is left of an upper bound's error for the looks."""
    return level if misses is None else (1 - HIT_PART - CHANCE_PART) * level


@dataclass(frozen=True)
class _Reading:
    """What a reading proves: the looks that count, the estimate, and the four ends."""

    used: Ints
    value: float
    low: int
    high: int
    at_least: int
    at_most: int


def _bounds(population: Population, hits: tuple[int, int] | None) -> Bounds:
    misses = population.misses(hits)
    read = _by_bets if population.plan.reading == "betting" else _by_strata
    found = read(population, looks_level(SIDE, misses), looks_level(ALONE, misses))
    codes = population.ordered
    n, right, wrong = len(codes), int((codes == RIGHT).sum()), int((codes == WRONG).sum())
    low, at_least = max(wrong, found.low), max(wrong, found.at_least)
    if misses is None:  # what was seen to be right is certain, whatever the statistics say
        high, at_most = min(found.high, n - right), min(found.at_most, n - right)
        low, at_least = min(low, n - right), min(at_least, n - right)
    else:
        high, at_most = misses.most(found.high, SIDE), misses.most(found.at_most, ALONE)
    # The ends can cross, which happens at most as often as one of them fails. The upper ones are believed less.
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


def _by_bets(population: Population, side: float, alone: float) -> _Reading:
    """`side` and `alone` are the levels of the upper ends."""
    track, n = population.track, len(population.inside)
    used = np.arange(population.prefix)
    codes = population.ordered[used]
    tried = betting.candidates(n)
    ends = []
    for upward, wrong, levels in ((True, worst(codes), (side, alone)), (False, best(codes), (SIDE, ALONE))):
        limits = 1 / np.array(levels)
        peak = betting.peaks(track, wrong, tried, limits, upward=upward)
        ends += [betting.edge(tried, peak >= np.log(limit), n, upward=upward) for limit in limits]
    high, at_most, low, at_least = ends
    value = (low + high) / 2
    if len(used):
        value = n * float(np.mean([betting.fair_answers(track, read(codes)).z.mean() for read in (worst, best)]))
    return _Reading(used, value, low, high, at_least, at_most)


def _by_strata(population: Population, side: float, alone: float) -> _Reading:
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
        high = min(high, stratified.at_most(more, side / part))
        at_most = min(at_most, stratified.at_most(more, PLANNED_PART * alone / part))
        low = max(low, stratified.at_least(less, SIDE / part))
        at_least = max(at_least, stratified.at_least(less, PLANNED_PART * ALONE / part))
        value = (stratified.estimate(more) + stratified.estimate(less)) / 2
    return _Reading(np.flatnonzero(block < reached), value, low, high, at_least, at_most)


def seen_by_stratum(stratum: Ints, wrong: Floats, strata: int) -> stratified.Seen:
    """Looks and finds by stratum; `wrong` is -1 where nobody looked."""
    looked = wrong >= 0
    sizes, looks = (np.bincount(stratum[mask], minlength=strata) for mask in (np.ones_like(looked), looked))
    found = np.bincount(stratum[wrong == 1], minlength=strata)
    return stratified.Seen(sizes, looks, found)
