"""Drawing: permanent numbers, copies, weights, and the order of the clocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.certificate import Plan, item_id, make_plan, salt_of
from auditor.certificate.draw import numbers


def _plan(n: int = 60, seed: int = 0, salt: str = "s", spread: float = 0.5, **more: object) -> Plan:
    rng = np.random.default_rng(seed)
    return make_plan(
        [f"{i:016x}" for i in range(n)],
        rng.random(n),
        salt=salt,
        spread=spread,
        expected=0.05,
        **more,  # type: ignore[arg-type]
    )


def test_an_id_tells_contents_and_labels_apart() -> None:
    assert len({item_id("a", "cat"), item_id("b", "cat"), item_id("a", "dog"), item_id("a", "")}) == 4
    assert len(item_id("a", "cat")) == 16
    assert salt_of("x") == salt_of("x") != salt_of("y")


def test_copies_get_numbers_of_their_own_and_others_keep_theirs() -> None:
    one, two = numbers("s", ["a", "b"]), numbers("s", ["a", "a", "b"])
    assert two[0] == one[0] and two[2] == one[1] and two[1] != two[0]
    assert ((two > 0) & (two < 1)).all()
    assert (numbers("t", ["a", "b"]) != one).all()


def test_weights_sum_to_one_and_rise_with_suspicion() -> None:
    plan = _plan()
    weights = [s.weight for s in plan.strata]
    assert sum(s.weight * len(s.items) for s in plan.strata) == pytest.approx(1)
    assert weights == sorted(weights) and weights[0] >= 0.5 / plan.n


def test_probabilities_are_those_of_drawing_without_replacement() -> None:
    order = _plan().order()
    left = 1.0
    for drawn in order:
        assert drawn.probability == pytest.approx(drawn.weight / left)
        left -= drawn.weight


def test_items_come_first_as_often_as_their_weight_says() -> None:
    n, draws = 12, 4000
    first = np.zeros(n)
    for seed in range(draws):
        first[int(_plan(n, salt=str(seed)).order(1)[0].id, 16)] += 1
    plan = _plan(n)
    expected = {d.id: d.weight for d in plan.order()}
    for i in range(n):
        p = expected[f"{i:016x}"]
        assert abs(first[i] / draws - p) < 4.5 * np.sqrt(p * (1 - p) / draws)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(25)), st.sampled_from(["betting", "stratified"]))
def test_the_order_of_the_input_does_not_matter(permutation: list[int], reading: str) -> None:
    ids, scores = [f"{i % 20:016x}" for i in range(25)], np.array([(i % 20) / 20 for i in range(25)])
    kept = {"salt": "s", "spread": 0.5, "expected": 0.1, "reading": reading, "checkpoints": (5, 15)}
    one = make_plan(ids, scores, **kept)  # type: ignore[arg-type]
    other = make_plan([ids[i] for i in permutation], scores[permutation], **kept)  # type: ignore[arg-type]
    assert one == other and one.order() == other.order()
    assert Plan.from_document(one.document()) == one


def test_new_items_leave_the_old_ones_in_their_order() -> None:
    plan = _plan()
    grown = plan.with_new([f"{i:016x}" for i in range(100, 110)])
    assert grown.n == 70
    old = [d.id for d in grown.order() if int(d.id, 16) < 100]
    assert old == [d.id for d in plan.order()]
    assert plan.with_new([]) is plan


def test_scores_that_say_nothing_are_drawn_evenly() -> None:
    plan = make_plan(["a", "b", "c"], np.full(3, np.nan), salt="s", spread=0.9, expected=0.0)
    assert {round(s.weight, 12) for s in plan.strata} == {round(1 / 3, 12)}


def test_a_plan_without_items_is_refused() -> None:
    with pytest.raises(ValueError, match="needs items"):
        make_plan([], np.empty(0), salt="s", spread=0.9, expected=0.0)
    with pytest.raises(ValueError, match="checkpoint"):
        make_plan(["a"], np.zeros(1), salt="s", spread=0.9, expected=0.0, reading="stratified")
    document = _plan().document()
    document["strata"][0]["weight"] = 0.0
    with pytest.raises(ValueError, match="weight"):
        Plan.from_document(document)
