"""How many more looks prove that few enough labels are wrong: the bets, or the next checkpoints, run forward."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.certificate import betting, stratified
from auditor.certificate.bounds import ABSENT, ALONE, RIGHT, WRONG, Population, seen_by_stratum, worst
from auditor.certificate.plan import Plan
from auditor.system.arrays import Array, Ints


def more_looks(plan: Plan, answers: Mapping[str, bool | None], target_count: int) -> tuple[int | None, int | None]:
    """How many more items of the order must be looked at until `at_most` is `target_count` or less.

    Parameters
    ----------
    answers
        As in `bounds`.
    target_count
        The number of wrong labels to stay within, among the plan's items as they were first labelled. To ask about
        what is left now, add the found labels that were corrected.

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
    rate = float(worst(seen).mean()) if len(seen) else 0.0
    calm = np.where(codes == ABSENT, RIGHT, codes)
    least = _looks(population, calm, target_count)
    likely = _looks(population, _going_on(codes, families, rate), target_count)
    # A wrong label that is found and corrected can save looks. Nobody should count on that.
    return least, None if likely is None or least is None else max(least, likely)


def _looks(population: Population, future: Array, target: int) -> int | None:
    """Items still to be looked at until the bound is low enough, if looks will find what `future` int8 [n] says."""
    codes = population.ordered
    absent = codes == ABSENT
    allowed = target + np.concatenate([[0], np.cumsum(absent & (future == WRONG))])
    # What is certain after t looks: the right labels among them, and those known already.
    right = np.concatenate([[0], np.cumsum(absent & (future == RIGHT))]) + int((codes == RIGHT).sum())
    read = _by_bets if population.plan.reading == "betting" else _by_strata
    enough = (len(codes) - right <= allowed) | read(population, future, allowed)
    enough[: population.prefix] = False
    at = np.flatnonzero(enough)
    if not len(at):
        return None
    return int(np.unique(_families(population)[: at[0]][absent[: at[0]]]).size)


def _by_bets(population: Population, future: Array, allowed: Ints) -> Array:
    """bool [n + 1], whether the bound is low enough after each number of looks."""
    tried = betting.candidates(len(future))
    tried = tried[max(0, int(np.searchsorted(tried, allowed[0] + 1, side="right")) - 1) :]
    first = betting.refuted_at(population.track, worst(future), 1 / ALONE, tried, upward=True)
    never = len(future) + 1
    refuted = np.where(first < 0, never, first)
    all_above = np.append(np.maximum.accumulate(refuted[::-1])[::-1], 0)
    place = np.searchsorted(tried, allowed + 1, side="right") - 1
    need = np.where(place < 0, never, all_above[np.where(allowed >= len(future), len(tried), place)])
    return np.asarray(need <= np.arange(len(future) + 1))


def _by_strata(population: Population, future: Array, allowed: Ints) -> Array:
    """bool [n + 1], whether a checkpoint has made the bound low enough after each number of looks."""
    plan = population.plan
    block, stratum = plan.block[population.inside], plan.stratum[population.inside]
    most = np.full(len(future) + 1, len(future))
    for k in range(len(plan.checkpoints)):
        seen = seen_by_stratum(stratum, np.where(block <= k, worst(future), -1), len(plan.strata))
        looks = int((block <= k).sum())
        most[looks:] = np.minimum(most[looks:], stratified.at_most(seen, ALONE / len(plan.checkpoints)))
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
