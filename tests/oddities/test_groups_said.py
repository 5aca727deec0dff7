"""What the kind `groups` says: the worst group, what could have been seen, and what it cannot tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from auditor.oddities.contract import Audited
from auditor.oddities.groups import find
from auditor.sources.beside import Grouping
from auditor.system.arrays import Floats

N = 800


def _audited(columns: dict[str, list[str]], p: Floats, passed_over: dict[str, str] | None = None) -> Audited:
    data = SimpleNamespace(labels=np.arange(N) // 2 % 2)
    detection = SimpleNamespace(p_mislabelled=p, doubt=np.where(np.arange(N) < 5, np.nan, 0.1))
    grouping = Grouping(columns, passed_over or {})
    return Audited(cast(Any, data), np.arange(N), None, cast(Any, detection), 0, grouping)


def _suspects(names: list[str], rates: dict[str, float]) -> Floats:
    chance = np.random.default_rng(0).random(N)
    return np.array([0.9 if at < rates[name] else 0.05 for at, name in zip(chance, names, strict=True)])


def test_the_worst_group_is_named_with_its_figures() -> None:
    names = ["person <b>", "=1+1", "../../etc", "other"] * (N // 4)
    rates = dict.fromkeys(names, 0.05) | {"=1+1": 0.3}
    oddity = find(_audited({"annotator": names}, _suspects(names, rates)))
    assert oddity.told and oddity.value == 1
    assert oddity.summary.startswith("Of ") and "'annotator' = '=1+1'" in oddity.summary
    first = dict(zip(oddity.heads, oddity.rows[0], strict=True))
    assert (first["column"], first["group"]) == ("annotator", "=1+1")
    assert cast(float, first["look wrong"]) > cast(float, first["usual"]) and " to " in cast(str, first["interval"])


def test_without_a_difference_it_says_what_could_have_been_seen() -> None:
    names = ["a", "b"] * (N // 4) + ["a", "b"] * (N // 4)
    oddity = find(_audited({"camera": names}, _suspects(names, {"a": 0.08, "b": 0.08})))
    assert oddity.told and oddity.value == 0
    assert oddity.summary.startswith("No group of 'camera' has more wrong labels than chance explains.")
    assert "times as many wrong labels on" in oddity.summary


def test_settled_images_are_left_out() -> None:
    names = ["a", "b"] * (N // 2)
    oddity = find(_audited({"camera": names}, _suspects(names, {"a": 0.08, "b": 0.08})))
    assert sum(cast(float, row[2]) for row in oddity.rows) == N - 5


def test_no_groups_and_groups_that_cannot_be_compared_tell_nothing() -> None:
    none = find(_audited({}, np.zeros(N), {"id": "its values are many"}))
    assert not none.told and "names no groups" in none.summary and "'id' (its values are many)" in none.notes[0]
    classes = find(_audited({"class name": ["x", "x", "y", "y"] * (N // 4)}, np.full(N, 0.9)))
    assert not classes.told and classes.summary.startswith("Cannot tell: no group of 'class name'")
