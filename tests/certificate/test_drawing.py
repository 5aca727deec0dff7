"""Which items are drawn: permanent random numbers, strata, weights, the order of looking, and the frozen plan."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.certificate import (
    GATE_SPREAD,
    SHARE_SPREAD,
    Plan,
    item_id,
    make_plan,
    salt_of,
)

Row = tuple[str, float]


def _ids(n: int) -> list[str]:
    return [item_id(f"{i:064x}", "cat") for i in range(n)]


def _plan(n: int = 60, reading: Any = "betting", spread: float = GATE_SPREAD) -> Plan:
    return make_plan(
        _ids(n), np.linspace(0, 1, n) ** 3, salt=salt_of("data"), reading=reading, spread=spread, checkpoints=(20, 40)
    )


def test_an_items_name_depends_on_content_and_label() -> None:
    assert len({item_id("ab", "c"), item_id("a", "bc"), item_id("ab", ""), item_id("ab", "d")}) == 4
    assert item_id("ab", "c") == hashlib.sha256(b"ab\0c").hexdigest()[:16]
    assert len(item_id("ab", "\ud800")) == 16, "half a character in a label is no reason to stop"


def test_a_data_set_has_one_salt() -> None:
    assert salt_of("one") == salt_of("one") != salt_of("another")


def test_numbers_come_from_salt_id_and_copy() -> None:
    plan = make_plan(["a" * 16, "a" * 16], np.zeros(2), salt="s", spread=1)
    u = [
        (int.from_bytes(hashlib.sha256(f"s\0{'a' * 16}\0{c}".encode()).digest()[:8], "big") + 0.5) / 2**64
        for c in (0, 1)
    ]
    clocks = [-math.log(number) for number in u]
    assert [drawn.copy for drawn in plan.order()] == sorted((0, 1), key=clocks.__getitem__)


def test_every_item_is_in_the_order_once_and_weights_sum_to_one() -> None:
    for reading in ("betting", "stratified"):
        plan = _plan(reading=reading)
        order = plan.order()
        assert Counter(drawn.id for drawn in order) == Counter(_ids(60))
        assert math.isclose(sum(drawn.weight for drawn in order), 1)
        assert plan.order(7) == order[:7]


def test_probability_is_the_chance_to_come_next() -> None:
    order = _plan().order()
    left = 1.0
    for drawn in order:
        assert math.isclose(drawn.probability, drawn.weight / left, rel_tol=1e-6)
        left -= drawn.weight
    assert math.isclose(order[-1].probability, 1)


def test_items_are_drawn_as_often_as_their_weights_say() -> None:
    scores = np.array([0.0] * 5 + [1.0] * 5)
    first = Counter(
        make_plan(_ids(10), scores, salt=str(salt), spread=SHARE_SPREAD).order(1)[0].id for salt in range(2000)
    )
    plan = make_plan(_ids(10), scores, salt="", spread=SHARE_SPREAD)
    for drawn in plan.order():
        error = math.sqrt(2000 * drawn.weight * (1 - drawn.weight))
        assert abs(first[drawn.id] - 2000 * drawn.weight) < 4.5 * error


def test_suspicious_items_weigh_more_and_none_weighs_nothing() -> None:
    for spread in (GATE_SPREAD, SHARE_SPREAD):
        weights = [stratum.weight for stratum in _plan(400, spread=spread).strata]
        assert weights == sorted(weights)
        assert weights[0] >= spread / 400


def test_only_the_plan_for_a_share_takes_credits() -> None:
    assert all(stratum.credit == 0 for stratum in _plan().strata)
    assert any(stratum.credit > 0 for stratum in _plan(spread=SHARE_SPREAD).strata)
    assert all(stratum.credit == 0 for stratum in _plan(reading="stratified", spread=SHARE_SPREAD).strata)


@given(
    st.lists(st.tuples(st.sampled_from(_ids(6)), st.sampled_from([0.0, 0.2, 0.2, 0.9])), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_input_means_nothing(rows: list[Row], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    one, other = (
        make_plan([name for name, _ in part], np.array([s for _, s in part]), salt="s", spread=0.9)
        for part in (rows, shuffled)
    )
    assert one == other
    assert one.order() == other.order()


def test_a_plan_survives_its_document() -> None:
    for reading in ("betting", "stratified"):
        plan = _plan(reading=reading)
        text = json.dumps(plan.document())
        again = Plan.from_document(json.loads(text))
        assert again == plan
        assert again.order() == plan.order()
        assert json.dumps(again.document()) == text


def test_items_that_come_later_leave_the_others_in_their_order() -> None:
    for reading in ("betting", "stratified"):
        plan = _plan(200, reading)
        new = [item_id("new", str(i)) for i in range(40)]
        grown = plan.with_new(new)
        assert grown.n == 240
        assert grown == plan.with_new(reversed(new))
        assert [d.id for d in grown.order() if d.id not in new] == [d.id for d in plan.order()]
        assert grown.strata[-1].weight == pytest.approx(1 / 200)
        assert Plan.from_document(grown.document()).order() == grown.order()
    assert plan.with_new([]) == plan


def test_copies_that_come_later_get_numbers_of_their_own() -> None:
    plan = _plan(10)
    grown = plan.with_new([_ids(1)[0]] * 2)
    assert sorted(d.copy for d in grown.order() if d.id == _ids(1)[0]) == [0, 1, 2]


def test_checkpoints_are_nested_and_kept_when_items_come_later() -> None:
    scores = np.random.default_rng(0).beta(0.3, 3, 1000)
    plan = make_plan(_ids(1000), scores, salt="s", reading="stratified", spread=SHARE_SPREAD, checkpoints=(100, 300))
    quotas = plan.quotas
    assert quotas.sum(axis=1).tolist() == [100, 300]
    assert (np.diff(quotas, axis=0) >= 0).all()
    assert (quotas[0] >= 3).all()
    first = Counter(drawn.stratum for drawn in plan.order(100))
    assert [first[h] for h in range(20)] == quotas[0].tolist()
    grown = plan.with_new([item_id("new", str(i)) for i in range(100)])
    assert (grown.quotas[:, :20] == quotas).all()
    assert grown.quotas[:, 20].tolist() == [10, 30]


def test_a_checkpoint_behind_the_last_item_asks_for_all() -> None:
    plan = make_plan(_ids(30), np.zeros(30), salt="s", reading="stratified", spread=0.5, checkpoints=(10, 100))
    assert plan.quotas.sum(axis=1).tolist() == [10, 30]


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="needs items"):
        make_plan([], np.empty(0), salt="s", spread=0.9)
    with pytest.raises(ValueError, match="a checkpoint"):
        make_plan(_ids(2), np.zeros(2), salt="s", spread=0.9, reading="stratified")
    with pytest.raises(ValueError, match="scores must be 2"):
        make_plan(_ids(2), np.zeros(3), salt="s", spread=0.9)
    with pytest.raises(ValueError, match="spread"):
        make_plan(_ids(2), np.zeros(2), salt="s", spread=0.0)


def test_scores_that_say_nothing_are_drawn_evenly() -> None:
    plan = make_plan(_ids(3), np.full(3, np.nan), salt="s", spread=0.9)
    assert [stratum.weight for stratum in plan.strata] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reading", "tea leaves"),
        ("checkpoints", [100]),
        ("strata", []),
        ("strata", [{"weight": 0.0, "share": 0.1, "credit": 0.0, "items": ["a" * 16]}]),
        ("strata", [{"weight": math.inf, "share": 0.1, "credit": 0.0, "items": ["a" * 16]}]),
        ("strata", [{"weight": math.nan, "share": 0.1, "credit": 0.0, "items": ["a" * 16]}]),
        ("strata", [{"weight": 0.1, "share": 0.1, "credit": 1.0, "items": ["a" * 16]}]),
    ],
)
def test_a_plan_that_no_sample_can_have_is_refused(key: str, value: Any) -> None:
    document: Any = copy.deepcopy(_plan().document())
    document[key] = value
    with pytest.raises(ValueError, match="plan"):
        Plan.from_document(document)
