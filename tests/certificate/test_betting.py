"""The bounds that hold at any moment, beside exact and naive ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.certificate import bounds, make_plan
from auditor.certificate.betting import MOST_DOWN, MOST_UP, Track, candidates, edge, fair_answers, peaks, refuted_at
from auditor.system.arrays import Floats

ITEMS = st.lists(st.tuples(st.floats(0.05, 1), st.floats(0, 0.4), st.sampled_from([0.0, 1.0])), min_size=1, max_size=12)


def _naive(track: Track, wrong: Floats, m: int, *, upward: bool) -> float:
    """The largest wealth against m wrong labels, step by step and in words of the reference."""
    n, wealth, largest = track.n, 1.0, 1.0
    share = m / n
    zs: list[float] = []
    means: list[float] = []
    start = min(0.05, max(0.005, track.expected))
    for t, y in enumerate(wrong):
        weights, credits = track.weights[t:], track.credits[t:]
        left = weights.sum()
        base = wrong[:t].sum() + credits.sum()
        z = ((y - credits[0]) * left / weights[0] + base) / n
        high = (left * ((1 - credits) / weights).max() + base) / n
        low = (base - left * (credits / weights).max()) / n
        mean = (5 * start + sum(zs)) / (5 + t)
        variance = (2.5 * start + sum((a - b) ** 2 for a, b in zip(zs, means, strict=True))) / (5 + t)
        if upward:
            bet = max(0.0, (share - mean) / (variance + (share - mean) ** 2))
            bet = min(bet, MOST_UP / (high - share)) if high > share else min(bet, 1e6)
            wealth *= max(1 + bet * (share - z), 1e-12)
            impossible = m > n - (t + 1) + wrong[: t + 1].sum()
        else:
            bet = max(0.0, (mean - share) / (variance + (mean - share) ** 2))
            bet = min(bet, MOST_DOWN / (share - low)) if share > low else min(bet, 1e6)
            wealth *= max(1 + bet * (z - share), 1e-12)
            impossible = m < wrong[: t + 1].sum()
        largest = math.inf if impossible else max(largest, wealth)
        zs.append(z)
        means.append(mean)
    return largest


def _track(rows: Sequence[tuple[float, float, float]]) -> tuple[Track, Floats]:
    weights, credits, wrong = np.array(rows).T
    return Track(weights, credits, 0.03), wrong


@given(ITEMS, st.integers(0, 12), st.booleans())
def test_wealth_is_what_a_gambler_has_step_by_step(
    rows: list[tuple[float, float, float]], looks: int, upward: bool
) -> None:
    track, wrong = _track(rows)
    tried = candidates(track.n)
    found = peaks(track, wrong[:looks], tried, np.array([math.inf]), upward=upward)
    for m in tried:
        expected = _naive(track, wrong[:looks], int(m), upward=upward)
        assert found[m] == pytest.approx(math.log(expected) if expected < math.inf else math.inf, abs=1e-6)


@given(ITEMS, st.booleans())
def test_refuted_numbers_are_those_whose_wealth_passed(rows: list[tuple[float, float, float]], upward: bool) -> None:
    track, wrong = _track(rows)
    tried = candidates(track.n)
    first = refuted_at(track, wrong, 3, tried, upward=upward)
    for looks in range(1, track.n + 1):
        peak = peaks(track, wrong[:looks], tried, np.array([math.inf]), upward=upward)
        assert ((peak >= math.log(3)) == ((first > 0) & (first <= looks))).all()


def _orders(weights: Floats) -> list[tuple[tuple[int, ...], float]]:
    """Every order of drawing, with its probability."""
    found = []
    for order in itertools.permutations(range(len(weights))):
        left, chance = weights.sum(), 1.0
        for i in order:
            chance *= weights[i] / left
            left -= weights[i]
        found.append((order, chance))
    return found


WEIGHTS, CREDITS = np.array([0.1, 0.1, 0.2, 0.25, 0.35]), np.array([0, 0.1, 0.1, 0.2, 0.4])


@pytest.mark.parametrize("credits", [np.zeros(5), CREDITS], ids=["plain", "with credits"])
def test_the_mean_of_every_answer_is_the_share(credits: Floats) -> None:
    for truth in itertools.product((0.0, 1.0), repeat=5):
        mean, total = np.zeros(5), np.array(truth)
        for order, chance in _orders(WEIGHTS):
            chosen = np.array(order)
            answers = fair_answers(Track(WEIGHTS[chosen], credits[chosen], 0.05), total[chosen])
            assert (answers.z >= answers.low - 1e-9).all()
            assert (answers.z <= answers.high + 1e-9).all()
            mean += chance * answers.z
        assert mean == pytest.approx(np.full(5, total.mean()))


@pytest.mark.parametrize("credits", [np.zeros(5), CREDITS], ids=["plain", "with credits"])
def test_the_truth_is_refuted_no_more_often_than_the_level_says(credits: Floats) -> None:
    """Over every order of a tiny population, for every kind of errors, at levels that few looks can reach."""
    for truth in itertools.product((0.0, 1.0), repeat=5):
        total = np.array(truth)
        fails = np.zeros((2, 2))
        for order, chance in _orders(WEIGHTS):
            chosen = np.array(order)
            track = Track(WEIGHTS[chosen], credits[chosen], 0.2)
            tried = np.array([int(total.sum())])
            for side, upward in enumerate((True, False)):
                peak = peaks(track, total[chosen], tried, np.array([math.inf]), upward=upward)[0]
                fails[side] += chance * (peak >= np.log([1 / 0.5, 1 / 0.2]))
        assert (fails <= np.array([0.5, 0.2]) + 1e-9).all()


def test_large_numbers_are_tried_in_steps_and_rounded_outward() -> None:
    tried = candidates(1_000_000)
    assert len(tried) < 5000
    assert tried[0] == 0
    assert tried[-1] == 1_000_000
    assert (np.diff(tried) >= 1).all()
    assert (np.diff(tried) <= np.maximum(1, tried[:-1] / 400)).all()
    middle = len(tried) // 2
    refuted = np.arange(len(tried)) > middle
    assert edge(tried, refuted, 1_000_000, upward=True) == tried[middle + 1] - 1
    assert edge(tried, ~refuted, 1_000_000, upward=False) == tried[middle] + 1


def test_coarse_steps_cost_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    wrong = (rng.random(300) < 0.3).astype(float)
    track = Track(np.ones(20_000), np.zeros(20_000), 0.05)
    limit = np.array([20.0])
    for upward in (True, False):
        ends = [
            edge(tried, peaks(track, wrong, tried, limit, upward=upward) >= np.log(20), 20_000, upward=upward)
            for tried in (candidates(20_000), np.arange(20_001))
        ]
        outward = ends[0] - ends[1] if upward else ends[1] - ends[0]
        assert 0 <= outward <= ends[1] / 200


def _ever_missed(share: float, kind: str, spread: float, looks: int, draws: int) -> tuple[float, float]:
    """How often the two ends of the interval are ever on the wrong side of the truth, over `draws` samples."""
    n, missed = 400, np.zeros(2)
    rng = np.random.default_rng([round(1000 * share), draws])
    for salt in range(draws):
        scores = rng.beta(0.5, 4, n)
        k = round(share * n)
        rank = np.argsort(-scores if kind == "helpful" else scores)
        wrong = np.zeros(n, bool)
        wrong[rank[:k] if kind != "useless" else rng.permutation(n)[:k]] = True
        ids = [f"{i:016x}" for i in range(n)]
        plan = make_plan(ids, scores, salt=str(salt), spread=spread)
        truth = dict(zip(ids, wrong.tolist(), strict=True))
        # Bounds only ever tighten, so the last ones show whether any was wrong.
        last = bounds(plan, {drawn.id: truth[drawn.id] for drawn in plan.order(looks)})
        missed += [last.high < k, last.low > k]
    return float(missed[0] / draws), float(missed[1] / draws)


@pytest.mark.parametrize("kind", ["helpful", "useless", "adversarial"])
@pytest.mark.parametrize(("share", "spread"), [(0.01, 0.9), (0.1, 0.5)])
def test_the_interval_is_hardly_ever_wrong_at_any_moment(share: float, spread: float, kind: str) -> None:
    high, low = _ever_missed(share, kind, spread, 150, 120)
    # 2.5% of 120 are 3; 9 or more come by chance once in 300 times.
    assert high <= 8 / 120
    assert low <= 8 / 120


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["helpful", "useless", "adversarial"])
@pytest.mark.parametrize(("share", "spread"), [(0.0025, 0.9), (0.02, 0.9), (0.1, 0.5), (0.4, 0.5)])
def test_the_level_holds_over_many_samples(share: float, spread: float, kind: str) -> None:
    high, low = _ever_missed(share, kind, spread, 300, 2000)
    assert high <= 0.036
    assert low <= 0.036
