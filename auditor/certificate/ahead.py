"""How many more looks prove that few enough labels are wrong: the bets, or the next checkpoints, run forward."""

from __future__ import annotations

import numpy as np

from auditor.certificate import betting, stratified
from auditor.certificate.bounds import (
    ABSENT,
    ALONE,
    PLANNED_PART,
    RIGHT,
    WRONG,
    Answers,
    Population,
    looks_level,
    seen_by_stratum,
    worst,
)
from auditor.certificate.plan import Plan
from auditor.system.arrays import Array, Ints


def more_looks(
    plan: Plan, answers: Answers, target: int, *, extra: int = 0, hits: tuple[int, int] | None = None
) -> tuple[int | None, int | None]:
    """How many more items of the order must be looked at until the one-sided upper bound of what is left is low enough.

    Parameters
    ----------
    answers, hits
        As in `bounds`.
    target
        So many wrong labels may be left.
    extra
        Wrong labels that are counted beside the bound, such as changed items; negative for corrected ones.

    Returns
    -------
    tuple
        The looks if none of them finds a wrong label; and the looks if wrong labels go on at the rate found so far and
        each is corrected, so that it counts no longer. None where no number of looks is enough. Copies of an item count
        once.
    """
    population = Population.of(plan, answers)
    codes, families = population.ordered, _families(population)
    seen = codes[: population.prefix]
    rate = float(worst(seen).mean()) if len(seen) else plan.expected
    futures = np.where(codes == ABSENT, RIGHT, codes), _going_on(codes, families, rate)
    least, likely = (_looks(population, future, target - extra, hits) for future in futures)
    # A wrong label that is found and corrected can save looks. Nobody should count on that.
    return least, None if likely is None or least is None else max(least, likely)


def _looks(population: Population, future: Array, target: int, hits: tuple[int, int] | None) -> int | None:
    """Items still to be looked at until the bound is low enough, if looks will find what `future` int8 [n] says."""
    codes = population.ordered
    absent = codes == ABSENT
    allowed = target + np.concatenate([[0], np.cumsum(absent & (future == WRONG))])
    misses = population.misses(hits)
    sure = np.zeros(len(allowed), bool)
    if misses is None:
        # What is certain after t looks: the right labels among them, and those known already.
        right = np.concatenate([[0], np.cumsum(absent & (future == RIGHT))]) + int((codes == RIGHT).sum())
        sure = len(codes) - right <= allowed
    else:
        values, place = np.unique(allowed, return_inverse=True)
        allowed = np.array([misses.inverse(int(value), ALONE) for value in values], np.int64)[place]
    read = _by_bets if population.plan.reading == "betting" else _by_strata
    enough = (allowed >= 0) & (sure | read(population, future, allowed, looks_level(ALONE, misses)))
    enough[: population.prefix] = False
    at = np.flatnonzero(enough)
    if not len(at):
        return None
    return int(np.unique(_families(population)[: at[0]][absent[: at[0]]]).size)


def _by_bets(population: Population, future: Array, allowed: Ints, level: float) -> Array:
    """bool [n + 1], whether the bound is low enough after each number of looks."""
    tried = betting.candidates(len(future))
    tried = tried[max(0, int(np.searchsorted(tried, allowed[0] + 1, side="right")) - 1) :]
    first = betting.refuted_at(population.track, worst(future), 1 / level, tried, upward=True)
    never = len(future) + 1
    refuted = np.where(first < 0, never, first)
    all_above = np.append(np.maximum.accumulate(refuted[::-1])[::-1], 0)
    place = np.searchsorted(tried, allowed + 1, side="right") - 1
    need = np.where(place < 0, never, all_above[np.where(allowed >= len(future), len(tried), place)])
    return np.asarray(need <= np.arange(len(future) + 1))


def _by_strata(population: Population, future: Array, allowed: Ints, level: float) -> Array:
    """bool [n + 1], whether a checkpoint has made the bound low enough after each number of looks."""
    plan = population.plan
    block, stratum = plan.block[population.inside], plan.stratum[population.inside]
    most = np.full(len(future) + 1, len(future))
    for k in range(len(plan.checkpoints)):
        seen = seen_by_stratum(stratum, np.where(block <= k, worst(future), -1), len(plan.strata))
        looks = int((block <= k).sum())
        most[looks:] = np.minimum(most[looks:], stratified.at_most(seen, PLANNED_PART * level / len(plan.checkpoints)))
    return np.asarray(most <= allowed)


def _families(population: Population) -> Ints:
    """int64 [n], a number for each id, in the order of looking."""
    numbers: dict[str, int] = {}
    ids = population.plan.ids
    return np.array([numbers.setdefault(ids[i], len(numbers)) for i in population.inside.tolist()], np.int64)


def _going_on(codes: Array, families: Ints, rate: float) -> Array:
    """int8 [n], the codes with answers for all items: wrong labels are spread evenly over the items without one."""
    absent = codes == ABSENT
    _, place = np.unique(families[absent], return_inverse=True)
    future = codes.copy()
    future[absent] = np.where(np.floor((place + 1) * rate) > np.floor(place * rate), WRONG, RIGHT)
    return future
