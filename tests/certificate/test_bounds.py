"""What looks prove, through the room's public face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.certificate import Bounds, Plan, bounds, by_class, hit_rate, make_plan, more_looks

READINGS: tuple[Any, ...] = ("betting", "stratified")


def _ids(n: int) -> list[str]:
    return [f"{i:016x}" for i in range(n)]


def _plan(n: int = 300, reading: Any = "betting", spread: float = 0.9, checkpoints: tuple[int, ...] = (40, 80)) -> Plan:
    scores = np.random.default_rng(n).beta(0.5, 5, n)
    return make_plan(_ids(n), scores, salt="s", reading=reading, spread=spread, checkpoints=checkpoints)


def _looked(plan: Plan, looks: int, wrong: set[int] | None = None) -> dict[str, bool | None]:
    """Answers to the first looks; `wrong` are places in the order."""
    return {drawn.id: place in (wrong or set()) for place, drawn in enumerate(plan.order(looks))}


def _in_order(found: Bounds) -> bool:
    inside = found.low <= found.value <= found.high
    return inside and 0 <= found.low <= found.at_least <= found.at_most <= found.high <= found.n


@pytest.mark.parametrize("reading", READINGS)
def test_without_a_look_nothing_is_known(reading: Any) -> None:
    found = bounds(_plan(reading=reading), {})
    assert (found.low, found.high, found.at_least, found.at_most) == (0, 300, 0, 300)
    assert (found.n, found.used, found.beyond) == (300, 0, 0)


@pytest.mark.parametrize("reading", READINGS)
def test_when_all_was_looked_at_all_is_known(reading: Any) -> None:
    plan = _plan(reading=reading)
    found = bounds(plan, _looked(plan, 300, {3, 50, 299}))
    assert (found.low, found.high, found.at_least, found.at_most, found.value) == (3, 3, 3, 3, 3.0)
    assert found.used + found.beyond == 300


@pytest.mark.parametrize("reading", READINGS)
@example(wrong={0, 1, 2}, undecided=set(), spread=0.5)
@given(
    wrong=st.sets(st.integers(0, 119), max_size=30),
    undecided=st.sets(st.integers(0, 119), max_size=5),
    spread=st.sampled_from([0.5, 0.9]),
)
def test_bounds_only_tighten_and_stand_in_order(
    reading: Any, wrong: set[int], undecided: set[int], spread: float
) -> None:
    plan = _plan(120, reading, spread)
    before = None
    for looks in (0, 10, 40, 75, 80, 120):
        answers = _looked(plan, looks, wrong)
        answers |= {drawn.id: None for place, drawn in enumerate(plan.order(looks)) if place in undecided}
        now = bounds(plan, answers)
        assert _in_order(now)
        known = list(answers.values())
        assert now.low >= known.count(True)
        most = 120 - known.count(False)
        assert now.high <= most
        if before:  # a lower end that failed gives way to what was seen
            assert now.low >= min(before.low, most)
            assert now.at_least >= min(before.at_least, most)
            assert now.at_most <= before.at_most or now.at_most == now.at_least
            assert now.high <= before.high or now.high in (now.at_most, now.low)
        before = now


@pytest.mark.parametrize("reading", READINGS)
def test_undecided_counts_against_every_claim(reading: Any) -> None:
    plan = _plan(reading=reading)
    answers = _looked(plan, 80, {1, 30})
    third = plan.order(3)[2].id
    as_wrong, as_right, open_ = (bounds(plan, {**answers, third: answer}) for answer in (True, False, None))
    assert (open_.high, open_.at_most) == (as_wrong.high, as_wrong.at_most)
    assert (open_.low, open_.at_least) == (as_right.low, as_right.at_least)
    assert open_.undecided == 1


def test_only_an_unbroken_beginning_counts_for_bets() -> None:
    plan = _plan()
    order = plan.order(60)
    answers = _looked(plan, 60)
    del answers[order[20].id]
    found = bounds(plan, answers)
    assert (found.used, found.beyond) == (20, 39)
    whole = bounds(plan, _looked(plan, 20))
    assert (found.low, found.at_most) == (whole.low, min(whole.at_most, 300 - 59))
    answers[order[20].id] = False
    assert bounds(plan, answers) == bounds(plan, _looked(plan, 60))


def test_what_was_found_beyond_is_certain_all_the_same() -> None:
    plan = _plan()
    order = plan.order()
    answers = {drawn.id: True for drawn in order[100:130]} | {drawn.id: False for drawn in order[130:]}
    found = bounds(plan, answers)
    assert (found.used, found.beyond) == (0, 200)
    assert (found.low, found.high) == (30, 130)


def test_checkpoints_speak_only_when_reached_and_stand_until_the_next() -> None:
    plan = _plan(reading="stratified")
    silent, first, between = (bounds(plan, _looked(plan, looks)) for looks in (39, 40, 79))
    assert (silent.used, silent.beyond, silent.high) == (0, 39, 300 - 39)
    assert (first.used, first.beyond) == (40, 0)
    assert (between.used, between.beyond) == (40, 39)
    assert first.at_most == between.at_most
    second = bounds(plan, _looked(plan, 80))
    assert second.used == 80
    assert second.at_most < first.at_most


def test_one_answer_holds_for_all_copies() -> None:
    ids = [name for name in _ids(100) for _ in range(3)]
    plan = make_plan(ids, np.repeat(np.linspace(0, 0.5, 100), 3), salt="s", spread=0.9)
    looked = list(dict.fromkeys(drawn.id for drawn in plan.order(60)))
    found = bounds(plan, dict.fromkeys(looked, True))
    assert found.n == 300
    assert found.used + found.beyond == 3 * len(looked) <= found.low
    assert found.used >= 60
    apart = [drawn.id for drawn in plan.order(30)]
    assert len(set(apart)) > 20, "copies are not drawn together"


def test_answers_to_other_items_do_not_matter() -> None:
    plan = _plan()
    answers = _looked(plan, 50, {4})
    assert bounds(plan, {**answers, "f" * 16: True}) == bounds(plan, answers)


def test_missed_labels_raise_upper_bounds_alone() -> None:
    plan = _plan(2000)
    answers = _looked(plan, 200, {5, 90})
    perfect, human = bounds(plan, answers), bounds(plan, answers, hits=(27, 30))
    assert (human.low, human.at_least) == (perfect.low, perfect.at_least)
    assert human.at_most > perfect.at_most / 0.9
    assert human.high > perfect.high / 0.9
    census = bounds(plan, _looked(plan, 2000, {5, 90}), hits=(27, 30))
    assert census.low == 2
    assert 3 <= census.high < 30, "two were noticed; a few may have been missed"
    blind = bounds(plan, answers, hits=(0, 5))
    assert blind.high == blind.at_most == 2000


def test_the_hit_rate_is_clopper_and_pearsons_lower_limit() -> None:
    assert hit_rate(0, 30, 0.05) == hit_rate(0, 0, 0.05) == 0
    assert hit_rate(30, 30, 0.05) == pytest.approx(0.05 ** (1 / 30))
    assert hit_rate(1, 2, 0.05) == pytest.approx(1 - np.sqrt(0.95))
    assert hit_rate(27, 30, 0.01) < hit_rate(27, 30, 0.1) < 0.9
    with pytest.raises(ValueError, match="found"):
        hit_rate(3, 2, 0.05)


def test_a_claim_with_a_measured_hit_rate_holds() -> None:
    rng = np.random.default_rng(0)
    n, k, missed = 600, 40, 0
    for salt in range(100):
        scores = rng.beta(0.5, 5, n)
        plan = make_plan(_ids(n), scores, salt=str(salt), spread=0.9)
        wrong = set(rng.permutation(_ids(n))[:k].tolist())
        noticed = {name for name in wrong if rng.random() < 0.8}
        hits = int(rng.binomial(30, 0.8)), 30
        found = bounds(plan, {drawn.id: drawn.id in noticed for drawn in plan.order(300)}, hits=hits)
        missed += found.at_most < k
    assert missed <= 5


@pytest.mark.parametrize("reading", READINGS)
def test_a_class_is_a_population_of_its_own(reading: Any) -> None:
    plan = _plan(1000, reading, checkpoints=(100, 300))
    cats = set(_ids(1000)[::2])
    answers = _looked(plan, 300, {2, 9, 200})
    found = by_class(plan, answers, cats)
    assert found is not None
    inside = [name for name in answers if name in cats]
    assert found.n == 500
    assert found.used + found.beyond == len(inside)
    assert found.low >= sum(answers[name] is True for name in inside)
    assert found.high < 100
    assert by_class(plan, answers, set(_ids(1000)[:100])) is None


def test_a_class_counts_its_own_unbroken_beginning() -> None:
    plan = _plan(400)
    cats = set(_ids(400)[::2])
    answers = {name: answer for name, answer in _looked(plan, 200).items() if name in cats}
    found = by_class(plan, answers, cats)
    assert found is not None
    assert found.used == len(answers)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("looks", [0, 30, 100])
def test_the_looks_that_are_promised_suffice_and_one_less_does_not(reading: Any, looks: int) -> None:
    plan = _plan(reading=reading)
    answers = _looked(plan, looks, {4, 17})
    more, likely = more_looks(plan, answers, 15)
    assert more is not None
    assert likely is not None
    now, before = (_looked(plan, looks + count, {4, 17} & set(range(looks))) for count in (more, more - 1))
    assert bounds(plan, now).at_most <= 15
    assert more == 0 or bounds(plan, before).at_most > 15
    assert likely >= more


def test_copies_are_looked_at_once() -> None:
    ids = [name for name in _ids(100) for _ in range(2)]
    plan = make_plan(ids, np.zeros(200), salt="s", spread=0.9)
    more, _ = more_looks(plan, {}, 20)
    assert more is not None
    order = list(dict.fromkeys(drawn.id for drawn in plan.order()))
    assert bounds(plan, dict.fromkeys(order[:more], False)).at_most <= 20
    assert bounds(plan, dict.fromkeys(order[: more - 1], False)).at_most > 20


def test_what_reviewers_miss_takes_more_looks() -> None:
    plan = _plan()
    answers = _looked(plan, 30)
    plain, human = (more_looks(plan, answers, 30, hits=hits)[0] for hits in (None, (29, 30)))
    assert plain is not None
    assert human is not None
    assert human > plain
    now, before = (_looked(plan, 30 + count) for count in (human, human - 1))
    assert bounds(plan, now, hits=(29, 30)).at_most <= 30 < bounds(plan, before, hits=(29, 30)).at_most
    assert more_looks(plan, answers, 30, hits=(0, 30)) == (None, None)


def test_what_is_counted_beside_the_bound_moves_the_target() -> None:
    plan = _plan()
    assert more_looks(plan, {}, 20, extra=5) == more_looks(plan, {}, 15)
    assert more_looks(plan, {}, 20, extra=-5) == more_looks(plan, {}, 25)


@pytest.mark.parametrize("reading", READINGS)
def test_some_targets_cannot_be_reached(reading: Any) -> None:
    plan = _plan(reading=reading)
    assert more_looks(plan, _looked(plan, 50, {1, 2, 3}), 2) == (None, None)
    assert more_looks(plan, {}, -1) == (None, None)
    undecided: dict[str, bool | None] = {drawn.id: None for drawn in plan.order(5)}
    assert more_looks(plan, undecided, 4)[0] is None
    assert more_looks(plan, {}, 300) == (0, 0)
    everything = more_looks(plan, {}, 0)[0]
    assert everything is not None
    assert 280 < everything <= 300
