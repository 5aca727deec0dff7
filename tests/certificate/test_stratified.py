"""The bounds at planned checkpoints, beside exact ones and by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.certificate.bounds import PLANNED_PART
from auditor.certificate.stratified import Seen, at_least, at_most, estimate, refuted

LEVEL, TINY = 0.05, 1e-12


def _ways(total: int, marked: int, looks: int, found: int) -> float:
    """The hypergeometric probability, by counting."""
    return math.comb(marked, found) * math.comb(total - marked, looks - found) / math.comb(total, looks)


def _one(n: int, looks: int, found: int) -> Seen:
    return Seen(np.array([n]), np.array([looks]), np.array([found]))


@given(st.integers(1, 40), st.data())
def test_one_stratum_is_the_exact_hypergeometric_interval(n: int, data: st.DataObject) -> None:
    looks = data.draw(st.integers(1, n))
    found = data.draw(st.integers(0, looks))
    possible = range(found, n - looks + found + 1)
    high = max(m for m in possible if sum(_ways(n, m, looks, x) for x in range(found + 1)) > LEVEL - TINY)
    low = min(m for m in possible if sum(_ways(n, m, looks, x) for x in range(found, min(m, looks) + 1)) > LEVEL - TINY)
    assert at_most(_one(n, looks, found), LEVEL) == high
    assert at_least(_one(n, looks, found), LEVEL) == low


def test_two_strata_are_as_wide_as_the_tail_at_the_most_likely_places() -> None:
    """By brute force: every total whose tail, at its most likely places, exceeds the level lies inside."""
    sizes, looks = (8, 12), (4, 4)
    for found in itertools.product(range(5), repeat=2):
        seen = Seen(np.array(sizes), np.array(looks), np.array(found))
        observed = sum(n * x / k for n, x, k in zip(sizes, found, looks, strict=True))
        inside = set()
        rooms = [range(x, n - k + x + 1) for n, x, k in zip(sizes, found, looks, strict=True)]
        for total in range(sum(found), sum(sizes) + 1):
            places = [p for p in itertools.product(*rooms) if sum(p) == total]
            if not places:
                continue
            likely = max(places, key=lambda p: math.prod(_ways(sizes[h], p[h], 4, found[h]) for h in (0, 1)))
            below = above = 0.0
            for x in itertools.product(range(5), repeat=2):
                chance = math.prod(_ways(sizes[h], likely[h], 4, x[h]) for h in (0, 1))
                t = sum(n * a / k for n, a, k in zip(sizes, x, looks, strict=True))
                below += chance * (t <= observed + 1e-9)
                above += chance * (t >= observed - 1e-9)
            if min(below, above) > LEVEL + 1e-9:
                inside.add(total)
        assert at_least(seen, LEVEL) <= min(inside)
        assert at_most(seen, LEVEL) >= max(inside)


def test_nothing_found_gives_the_rule_of_three() -> None:
    seen = Seen(np.full(20, 500), np.full(20, 15), np.zeros(20, int))
    assert at_least(seen, LEVEL) == 0
    assert 90 <= at_most(seen, LEVEL) <= 100, "3 of 300"


def test_a_stratum_that_nobody_looked_into_may_hold_anything() -> None:
    seen = Seen(np.array([50, 30]), np.array([50, 0]), np.array([3, 0]))
    assert at_least(seen, LEVEL) == 3
    assert at_most(seen, LEVEL) == 33
    assert at_most(Seen(np.array([9]), np.array([0]), np.array([0])), LEVEL) == 9


def test_when_everything_was_looked_at_the_count_is_known() -> None:
    seen = Seen(np.array([5, 7]), np.array([5, 7]), np.array([1, 2]))
    assert at_least(seen, LEVEL) == at_most(seen, LEVEL) == estimate(seen) == 3


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4))
def test_a_stricter_level_is_wider_and_the_estimate_lies_inside(rows: list[tuple[int, int, int]]) -> None:
    looks = [min(size, a) for size, a, _ in rows]
    seen = Seen(
        np.array([size for size, _, _ in rows]),
        np.array(looks),
        np.array([min(k, x) for k, (_, _, x) in zip(looks, rows, strict=True)]),
    )
    assert at_least(seen, 0.01) <= at_least(seen, 0.2) <= at_most(seen, 0.2) <= at_most(seen, 0.01) <= seen.total
    if sum(looks):
        assert at_least(seen, 0.2) - 1 <= estimate(seen) <= at_most(seen, 0.2) + 1
    low, high = at_least(seen, 0.2), at_most(seen, 0.2)
    for total in {low - 1, low, high, high + 1} & set(range(seen.total + 1)):
        assert refuted(seen, 0.2, total, upward=True) == (high < total)
        assert refuted(seen, 0.2, total, upward=False) == (low > total)


def _missed(rates: list[float], draws: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    sizes, looks = np.full(len(rates), 300), np.full(len(rates), 15)
    marked = np.array([round(300 * rate) for rate in rates])
    missed = np.zeros(2)
    for found in rng.hypergeometric(marked, sizes - marked, looks, (draws, len(rates))):
        seen = Seen(sizes, looks, found)
        missed += [refuted(seen, 0.025, int(marked.sum()), upward=upward) for upward in (True, False)]
    return float(missed[0] / draws), float(missed[1] / draws)


RATES = {
    "rare": [0.0] * 8 + [0.01, 0.04],
    "rising": [0.0, 0.0, 0.01, 0.01, 0.02, 0.02, 0.05, 0.1, 0.2, 0.5],
    "even": [0.09] * 10,
    "one bad stratum": [0.5] + [0.0] * 9,
}


@pytest.mark.parametrize("kind", RATES)
def test_the_level_holds_where_errors_lie_in_different_places(kind: str) -> None:
    high, low = _missed(RATES[kind], 200, 1)
    # 2.5% of 200 are 5; 13 or more come by chance less than once in 500 times.
    assert high <= 12 / 200
    assert low <= 12 / 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", RATES)
def test_the_level_holds_over_many_samples(kind: str) -> None:
    high, low = _missed(RATES[kind], 2000, 2)
    assert high <= 0.036
    assert low <= 0.036


@pytest.mark.slow
def test_the_level_holds_where_chance_gathers_wrong_labels_in_few_strata() -> None:
    """Five looks in each of ten strata that carry most of the weight: likeliest places alone missed 6.5%.

    A one-sided bound spends a part of its level, and holds the whole.
    """
    sizes, looks, marked = np.full(20, 500), np.repeat([5, 20], 10), np.full(20, 60)
    rng = np.random.default_rng(3)
    found = rng.hypergeometric(marked, sizes - marked, looks, (4000, 20))
    for upward in (True, False):
        missed = [refuted(Seen(sizes, looks, one), PLANNED_PART * LEVEL, 1200, upward=upward) for one in found]
        assert np.mean(missed) <= LEVEL


def test_neighbouring_strata_share_a_rate() -> None:
    """Where chance found both wrong labels in one stratum, others like it may hold as many."""
    seen = Seen(np.full(8, 500), np.full(8, 5), np.array([2, 0, 0, 0, 0, 0, 0, 0]))
    spread = Seen(np.full(8, 500), np.full(8, 5), np.array([1, 1, 0, 0, 0, 0, 0, 0]))
    assert at_most(seen, LEVEL) > 0.97 * at_most(spread, LEVEL)
