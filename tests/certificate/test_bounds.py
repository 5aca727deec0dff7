"""Bounds: against exact oracles, invariants, and brute-force coverage."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, hypergeom

from auditor.certificate import Plan, betting, bounds, by_class, hit_rate, make_plan, more_looks, stratified


def _plan(n: int, *, salt: str = "s", spread: float = 0.5, even: bool = False, scores: Any = None, **more: Any) -> Plan:
    rng = np.random.default_rng(1)
    scores = np.zeros(n) if even else rng.random(n) if scores is None else scores
    return make_plan([f"{i:016x}" for i in range(n)], scores, salt=salt, spread=spread, expected=0.05, **more)


def _naive_wealth(plan: Plan, wrong: list[int], m: int, *, upward: bool) -> float:
    """The largest log wealth ever against "m labels are wrong", step by step as certificate.md has it."""
    order = plan.order()
    credit = {item: s.credit for s in plan.strata for item in s.items}
    n, start = plan.n, min(0.05, max(0.005, plan.expected))
    log, best, past = 0.0, 0.0, []
    for t, y in enumerate(wrong):
        left = order[t:]
        weight, base = sum(d.weight for d in left), sum(wrong[:t]) + sum(credit[d.id] for d in left)
        z = ((y - credit[left[0].id]) * weight / left[0].weight + base) / n
        high = max((1 - credit[d.id]) * weight / d.weight + base for d in left) / n
        low = min(-credit[d.id] * weight / d.weight + base for d in left) / n
        estimate = (5 * start + sum(v for v, _ in past)) / (5 + t)
        variance = (2.5 * start + sum((v - e) ** 2 for v, e in past)) / (5 + t)
        share = m / n
        gap, room = (share - estimate, high - share) if upward else (estimate - share, share - low)
        if room < -1e-12:
            return math.inf
        stake = min(max(gap / (variance + gap**2), 0), (0.95 if upward else 0.9) / room) if room > 0 else 0.0
        log += math.log1p(stake * (share - z if upward else z - share))
        best = max(best, log)
        past.append((z, estimate))
    return best


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 1), max_size=10), st.sampled_from([0.5, 0.9]))
def test_bets_are_those_of_the_page_step_by_step(wrong: list[int], spread: float) -> None:
    plan = _plan(12, spread=spread)
    c = plan.columns
    found = betting.bet(betting.Population(c.weight, c.credit), *[np.array(wrong, float)] * 2, plan.expected)
    for m, above, below in zip(found.grid, found.above, found.below, strict=True):
        for upward, value in ((True, above), (False, below)):
            expected = _naive_wealth(plan, wrong, int(m), upward=upward)
            assert value == pytest.approx(expected, abs=1e-9) or (value > 50 and expected > 50)


@pytest.mark.parametrize("spread", [0.5, 0.9])
def test_an_answer_is_fair_whatever_the_errors_are(spread: float) -> None:
    """Over all orders of a tiny population, weighted by their probability, every bet is worth nothing on average."""
    wrong = [1, 0, 0, 1, 0]
    plan = _plan(5, spread=spread)
    items = {d.id: (d.weight, i) for i, d in enumerate(plan.order())}
    credit = {item: s.credit for s in plan.strata for item in s.items}
    total = 0.0
    for order in itertools.permutations(items):
        chance, left = 1.0, sum(w for w, _ in items.values())
        for item in order:
            chance *= items[item][0] / left
            left -= items[item][0]
        population = betting.Population(np.array([items[i][0] for i in order]), np.array([credit[i] for i in order]))
        answers = np.array([wrong[items[i][1]] for i in order], float)
        z = betting._fair(population, answers)
        assert (z.low - 1e-12 <= z.value).all() and (z.value <= z.high + 1e-12).all()
        total += chance * z.value[2]
    assert total == pytest.approx(sum(wrong) / 5)


def test_one_stratum_is_the_exact_hypergeometric_interval() -> None:
    for size, looks, found in ((200, 40, 3), (200, 40, 0), (50, 50, 7), (300, 100, 30)):
        seen = stratified.Seen(*(np.array([v], np.int64) for v in (size, looks, found)))
        low, high = stratified.interval(seen, 0.025)
        possible = range(found, size - looks + found + 1)
        exact_high = max(m for m in possible if hypergeom.cdf(found, size, m, looks) > 0.025)
        exact_low = min(m for m in possible if hypergeom.sf(found - 1, size, m, looks) > 0.025)
        assert (low, high) == (exact_low, exact_high)


def test_quotas_grow_and_never_exceed_a_stratum() -> None:
    shares, sizes = np.array([0.001, 0.01, 0.5]), np.array([500, 4, 100])
    rows = stratified.quotas(shares, sizes, (60, 200, 604), 0.5)
    assert rows.sum(axis=1).tolist() == [60, 200, 604]
    assert (np.diff(rows, axis=0) >= 0).all() and (rows <= sizes).all() and (rows[0] >= [3, 3, 3]).all()


def _answers(plan: Plan, wrong: Any, n: int) -> dict[str, bool | None]:
    return {d.id: bool(wrong[int(d.id, 16)]) for d in plan.order(n)}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 60), st.sampled_from([0.5, 0.9]))
def test_more_looks_never_widen_and_ends_are_in_order(seed: int, n: int, spread: float) -> None:
    wrong = np.random.default_rng(seed).random(60) < 0.2
    plan = _plan(60, spread=spread)
    before, after = (bounds(plan, _answers(plan, wrong, k)) for k in (n, min(60, n + 7)))
    assert before.low <= after.low <= after.at_least <= after.at_most <= after.high <= before.high
    assert after.low <= after.value <= after.high and before.used == n
    assert after.n == 60 and after.low >= after.wrong


def test_everything_looked_at_is_known() -> None:
    wrong = np.arange(40) % 8 == 0
    for plan in (_plan(40), _plan(40, reading="stratified", checkpoints=(20, 40))):
        found = bounds(plan, _answers(plan, wrong, 40))
        assert (found.low, found.value, found.high) == (5, 5, 5)


def test_nothing_looked_at_says_nothing() -> None:
    for plan in (_plan(40), _plan(40, reading="stratified", checkpoints=(20,))):
        found = bounds(plan, {})
        assert (found.used, found.low, found.high) == (0, 0, 40)


def test_only_the_unbroken_beginning_counts_but_what_is_known_is_known() -> None:
    plan = _plan(50)
    order = plan.order()
    answers: dict[str, bool | None] = {d.id: False for d in order[:10]} | {d.id: True for d in order[11:16]}
    found = bounds(plan, answers)
    assert (found.used, found.beyond, found.wrong) == (10, 5, 0)
    assert found.low == 5 and found.high <= 40


def test_an_answer_holds_for_all_copies() -> None:
    plan = make_plan(["a"] * 30 + ["b"] * 10, np.zeros(40), salt="s", spread=0.9, expected=0.01)
    assert bounds(plan, {"a": True, "b": False}).value == 30


def test_undecided_items_count_against_either_claim() -> None:
    wrong = np.zeros(400)
    plan = _plan(400, spread=0.9)
    answers = _answers(plan, wrong, 200)
    clear = bounds(plan, answers)
    first = plan.order(1)[0].id
    unsure, error = bounds(plan, {**answers, first: None}), bounds(plan, {**answers, first: True})
    assert unsure.undecided == 1 and unsure.high == error.high and unsure.low == clear.low == 0


def test_an_unmeasured_miss_rate_changes_nothing_and_a_measured_one_widens() -> None:
    plan = _plan(400, spread=0.9)
    answers = _answers(plan, np.zeros(400), 200)
    plain, measured = bounds(plan, answers), bounds(plan, answers, hits=(58, 60))
    assert plain.high < measured.high and plain.at_most < measured.at_most
    assert bounds(plan, answers, hits=(0, 5)).high == 400
    assert hit_rate(58, 60, 0.05) == pytest.approx(beta.ppf(0.05, 58, 3))


def test_a_class_needs_fifty_looks() -> None:
    wrong = np.arange(300) % 10 == 0
    plan = _plan(300)
    ids = {f"{i:016x}" for i in range(150)}
    assert by_class(plan, _answers(plan, wrong, 60), ids) is None
    found = by_class(plan, _answers(plan, wrong, 200), ids)
    assert found is not None and found.n == 150 and found.low <= 15 <= found.high


def test_more_looks_are_those_that_then_suffice() -> None:
    plan = _plan(2000, even=True, spread=0.9)
    clean, _ = more_looks(plan, {}, 20)
    assert clean is not None and 250 < clean < 400
    answers = _answers(plan, np.zeros(2000), clean)
    assert bounds(plan, answers).at_most <= 20
    assert bounds(plan, _answers(plan, np.zeros(2000), clean - 1)).at_most > 20
    assert more_looks(plan, answers, 20) == (0, 0)
    assert more_looks(plan, {}, -1) == (None, None)


def _missed(plan_of: Any, scores: Any, wrong: Any, looks: tuple[int, ...], draws: int) -> tuple[float, float]:
    """How often an end of the interval lay on the wrong side of the truth at any of the moments."""
    above = below = 0
    for draw in range(draws):
        plan = plan_of(scores, str(draw))
        found = [bounds(plan, _answers(plan, wrong, n)) for n in looks]
        above += any(b.high < wrong.sum() for b in found)
        below += any(b.low > wrong.sum() for b in found)
    return above / draws, below / draws


@pytest.mark.parametrize("scores_say", ["truth", "nothing", "the opposite"])
@pytest.mark.parametrize("reading", ["betting", "stratified"])
def test_intervals_hold_whatever_the_scores_say(scores_say: str, reading: str) -> None:
    rng = np.random.default_rng(3)
    wrong = np.zeros(600, bool)
    wrong[rng.permutation(600)[:48]] = True
    noise = rng.random(600)
    scores = {"truth": 0.5 * noise + 0.4 * wrong, "nothing": noise, "the opposite": 0.5 * noise + 0.4 * ~wrong}
    looks = (20, 50, 100, 150) if reading == "betting" else (100, 150)

    def plan_of(scores: Any, salt: str) -> Plan:
        checkpoints = looks if reading == "stratified" else ()
        return _plan(600, salt=salt, scores=scores, reading=reading, checkpoints=checkpoints)

    above, below = _missed(plan_of, scores[scores_say], wrong, looks, 60)
    # 60 draws of a side that fails in 2.5%: more than 7 misses have a probability below 0.001.
    assert max(above, below) * 60 <= 7


@pytest.mark.slow
@pytest.mark.parametrize("wrong_share", [0.0, 0.005, 0.09])
@pytest.mark.parametrize("spread", [0.5, 0.9])
def test_coverage_at_every_moment_over_many_draws(wrong_share: float, spread: float) -> None:
    rng = np.random.default_rng(4)
    wrong = np.zeros(3000, bool)
    wrong[rng.permutation(3000)[: round(3000 * wrong_share)]] = True
    scores = 1 / (1 + np.exp(-(1.5 * rng.normal(size=3000) + np.where(wrong, 1.0, -2.5))))
    above, below = _missed(
        lambda scores, salt: _plan(3000, salt=salt, spread=spread, scores=scores),
        scores,
        wrong,
        (30, 100, 200, 300),
        300,
    )
    assert above <= 0.05 and below <= 0.05
