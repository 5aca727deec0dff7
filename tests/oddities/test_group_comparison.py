"""Groups with more wrong labels than the rest: planted ones are found, and chance, classes and doubt are not blamed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from auditor.oddities.group_comparison import Groups, Judged, compare


def _planted(
    seed: int, rates: dict[str, float], n: int = 2000, classes: int = 4
) -> tuple[dict[str, list[str]], Judged]:
    """Items of named groups, of which a part in each group has a label that looks wrong."""
    rng = np.random.default_rng(seed)
    names = np.array(sorted(rates))[rng.integers(0, len(rates), n)]
    wrong = rng.random(n) < np.array([rates[name] for name in names])
    p = np.where(wrong, rng.uniform(0.6, 1.0, n), rng.uniform(0.0, 0.4, n))
    return {"camera": names.tolist()}, Judged(p, rng.integers(0, 4, n))


def _named(found: Groups, name: str, column: str = "camera") -> float:
    return next(group.times for group in found.groups if (group.column, group.name) == (column, name))


def test_a_group_with_three_times_the_errors_is_found() -> None:
    columns, items = _planted(1, {"a": 0.05, "b": 0.05, "c": 0.15})
    found = compare(columns, items)
    assert [group.name for group in found.worse] == ["c"]
    assert found.groups[0].low < 3 < found.groups[0].high


def test_without_a_difference_nearly_no_data_set_blames_a_group() -> None:
    blamed = 0
    for seed in range(200):
        columns, items = _planted(seed, dict.fromkeys("abcdefgh", 0.05), n=600)
        blamed += bool(compare(columns, items).worse)
    assert binomtest(blamed, 200, 0.05, alternative="greater").pvalue > 0.01


def test_a_class_with_many_errors_is_not_blamed_on_the_group_that_holds_it() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 4000)
    group = np.where(rng.random(4000) < np.where(labels == 1, 0.8, 0.2), "mostly ones", "mostly zeros")
    p = (rng.random(4000) < np.where(labels == 1, 0.2, 0.02)).astype(float)
    assert not compare({"site": group.tolist()}, Judged(p, labels)).worse
    assert compare({"site": group.tolist()}, Judged(p, np.zeros(4000, np.int64))).worse


def test_items_that_are_hard_to_judge_are_not_blamed_on_their_group() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(4000) < 0.3
    group = np.where(hard, "blurred", "sharp")
    other = rng.random(4000) < 0.25
    doubt = np.where(hard ^ other, rng.uniform(0.5, 1, 4000), rng.uniform(0, 0.5, 4000))
    p = (rng.random(4000) < np.where(doubt > 0.5, 0.15, 0.02)).astype(float)
    labels = np.zeros(4000, np.int64)
    assert compare({"camera": group.tolist()}, Judged(p, labels)).worse
    assert not compare({"camera": group.tolist()}, Judged(p, labels, doubt)).worse


def test_copies_in_one_group_count_once() -> None:
    labels, group = np.zeros(600, np.int64), ["a"] * 300 + ["b"] * 300
    p = np.array([1.0] * 74 + [0.0] * 226 + [1.0] * 15 + [0.0] * 285)
    families = np.concatenate([np.zeros(60, np.int64), np.arange(1, 541)])
    alone = compare({"camera": group}, Judged(p, labels))
    assert [one.name for one in alone.worse] == ["a"]
    found = compare({"camera": group}, Judged(p, labels, families=families))
    assert not found.worse
    assert next(one.n for one in found.groups if one.name == "a") == 241


def test_a_column_that_stands_for_the_classes_cannot_be_compared() -> None:
    labels = np.repeat([0, 1], 100)
    found = compare({"class name": ["x"] * 100 + ["y"] * 100}, Judged(np.zeros(200), labels))
    assert not found.groups
    assert (found.columns[0].n_alone, found.columns[0].n_small) == (2, 0)
    assert found.seen_from == np.inf


def test_small_groups_are_counted_and_not_compared() -> None:
    columns = {"annotator": ["busy"] * 95 + ["rare"] * 5 + ["other"] * 100}
    found = compare(columns, Judged(np.r_[np.ones(20), np.zeros(180)], np.zeros(200, np.int64)))
    assert {group.name for group in found.groups} == {"busy", "other"}
    assert (found.columns[0].n_groups, found.columns[0].n_small) == (3, 1)


def test_more_columns_need_clearer_evidence() -> None:
    columns, items = _planted(5, {"a": 0.05, "b": 0.09})
    rng = np.random.default_rng(0)
    more = {f"column {at}": rng.integers(0, 20, len(items.p)).astype(str).tolist() for at in range(30)}
    one, many = compare(columns, items), compare({**columns, **more}, items)
    low = {group.name: group.low for group in many.groups if group.column == "camera"}
    assert all(low[group.name] < group.low for group in one.groups)
    assert _named(many, "b") == _named(one, "b")


def test_what_could_have_been_found_is_what_would_be_found() -> None:
    columns, items = _planted(6, {"a": 0.05, "b": 0.05})
    group = next(one for one in compare(columns, items).groups if one.name == "a")
    assert group.seen_from > max(1.0, group.times)
    mine = np.array(columns["camera"]) == "a"
    right = np.flatnonzero(mine & (items.p < 0.5))
    needed = int(np.ceil(group.observed * group.seen_from / group.times)) - round(group.observed)
    for extra, worse in ((needed + 8, True), (needed - 8, False)):
        p = items.p.copy()
        p[right[:extra]] = 1.0
        again = compare(columns, Judged(p, np.zeros(len(p), np.int64)))
        assert next(one for one in again.groups if one.name == "a").worse is worse


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.floats(0, 1)), min_size=30, max_size=120))
def test_order_and_names_of_groups_do_not_count(rows: list[tuple[str, int, float]]) -> None:
    names, labels, p = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    found = compare({"x": names}, Judged(np.array(p), np.array(labels)))
    turned = compare(
        {"x": [{"a": "<b>", "b": "=1+1", "c": "../c"}[name] for name in names[::-1]]},
        Judged(np.array(p[::-1]), np.array(labels[::-1])),
    )
    plain = sorted((g.n, g.observed, round(g.times, 9), round(g.low, 9)) for g in found.groups)
    assert plain == sorted((g.n, g.observed, round(g.times, 9), round(g.low, 9)) for g in turned.groups)
    assert all(group.low <= group.times <= group.high for group in found.groups)


def test_no_label_that_looks_wrong_says_nothing() -> None:
    found = compare({"x": ["a", "b"] * 50}, Judged(np.zeros(100), np.zeros(100, np.int64)))
    assert not found.groups
    assert found.seen_from == pytest.approx(np.inf)
