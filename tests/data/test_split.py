"""Splits: what the source says stays; the rest is stratified, deterministic, and every class trains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.data.split import SMALLEST_CLASS, assign, check_classes
from auditor.errors import SourceError

COUNTS = st.lists(st.integers(SMALLEST_CLASS, 80), min_size=2, max_size=5)


def _labels(counts: list[int]) -> tuple[np.ndarray, list[str]]:
    return np.repeat(np.arange(len(counts)), counts), [f"class {i}" for i in range(len(counts))]


@given(COUNTS, st.integers(0, 2**32))
def test_without_any_split_each_class_is_split_80_10_10(counts: list[int], seed: int) -> None:
    labels, classes = _labels(counts)
    given_splits = np.full(len(labels), "", dtype=object)
    splits, origin = assign(labels, given_splits, classes, seed)
    assert origin == "seeded"
    for index, n in enumerate(counts):
        own = splits[labels == index]
        for part in ("val", "test"):
            assert (own == part).sum() == max(1, round(0.1 * n))
        assert (own == "train").sum() == n - 2 * max(1, round(0.1 * n)) >= 1
    again, _ = assign(labels, given_splits, classes, seed)
    assert (splits == again).all()
    assert (given_splits == "").all(), "the argument must not be changed"


def test_seeds_differ() -> None:
    labels, classes = _labels([50, 50])
    free = np.full(100, "", dtype=object)
    assert (assign(labels, free, classes, 0)[0] != assign(labels, free, classes, 1)[0]).any()


@given(COUNTS, st.data())
def test_given_splits_are_kept(counts: list[int], data: st.DataObject) -> None:
    labels, classes = _labels(counts)
    chosen = data.draw(
        st.lists(st.sampled_from(["train", "val", "test", ""]), min_size=len(labels), max_size=len(labels))
    )
    before = np.array(chosen, dtype=object)
    try:
        splits, origin = assign(labels, before, classes, 0)
    except SourceError as error:
        assert "class" in error.message and error.hint
        return
    assert set(splits) <= {"train", "val", "test"} and "test" in splits
    for index in range(len(counts)):
        assert (splits[labels == index] == "train").any(), "every class must train"
    if "test" in chosen:
        fixed = before != ""
        assert (splits[fixed] == before[fixed]).all()
    if "" not in chosen and "test" in chosen:
        assert origin == "source"


def test_a_validation_split_becomes_the_test_split_where_there_is_none() -> None:
    labels, classes = _labels([10, 10])
    before = np.array((["train"] * 8 + ["val"] * 2) * 2, dtype=object)
    splits, origin = assign(labels, before, classes, 0)
    assert (splits[before == "val"] == "test").all() and (splits[before == "train"] == "train").all()
    assert origin == "partly seeded"


def test_a_training_split_alone_gives_up_a_tenth_of_each_class() -> None:
    labels, classes = _labels([40, 20])
    splits, _ = assign(labels, np.full(60, "train", dtype=object), classes, 0)
    assert [int((splits[labels == i] == "test").sum()) for i in (0, 1)] == [4, 2]
    assert "val" not in splits


@pytest.mark.parametrize("n", [1, 2])
def test_a_class_too_small_to_split_is_named(n: int) -> None:
    labels, classes = _labels([20, n])
    with pytest.raises(SourceError) as caught:
        assign(labels, np.full(len(labels), "", dtype=object), classes, 0)
    assert "'class 1'" in caught.value.message and str(SMALLEST_CLASS) in caught.value.hint


def test_a_class_without_training_image_is_named() -> None:
    labels, classes = _labels([5, 5])
    before = np.array(["train"] * 4 + ["test"] * 6, dtype=object)
    with pytest.raises(SourceError, match="'class 1' has no training image"):
        assign(labels, before, classes, 0)


@given(st.integers(2, 4), st.integers(30, 120), st.integers(1, 6), st.integers(0, 2**32))
def test_groups_stay_on_one_side_and_each_class_is_in_each_split(
    n_classes: int, n_groups: int, largest: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    names = [f"picture {g}" for g in range(n_groups) for _ in range(rng.integers(1, largest + 1))]
    names += [""] * int(rng.integers(0, 20))
    labels = np.concatenate([np.arange(n_classes).repeat(3), rng.integers(n_classes, size=len(names))])
    names = [*[""] * (3 * n_classes), *names]
    classes = [f"class {i}" for i in range(n_classes)]
    splits, _ = assign(labels, np.full(len(labels), "", dtype=object), classes, seed, names)
    for name in set(names) - {""}:
        assert len({part for part, own in zip(splits, names, strict=True) if own == name}) == 1
    for index in range(n_classes):
        own = splits[labels == index]
        for part in ("val", "test"):
            assert 1 <= (own == part).sum() <= max(1, round(0.1 * len(own)), len(own) // 4)
        assert (own == "train").any()
    for part in ("val", "test"):
        n = (splits == part).sum()
        assert n <= sum(max(1, round(0.1 * m), m // 4) for m in np.bincount(labels))
    again, _ = assign(
        labels, np.full(len(labels), "", dtype=object), classes, seed, [f"other {name}" * bool(name) for name in names]
    )
    assert (again == splits).all(), "how groups are called must not count"


def test_groups_that_are_too_large_for_a_split_are_divided() -> None:
    """Two cameras, or a picture that holds all boxes of a class: each class still gets its tenths."""
    labels, classes = _labels([40, 40, 6])
    cameras = ["one", "two"] * 40 + ["three"] * 6
    splits, _ = assign(labels, np.full(86, "", dtype=object), classes, 0, cameras)
    assert [int((splits[labels == i] == "test").sum()) for i in range(3)] == [4, 4, 1]
    alone = [str(row) for row in range(86)]
    first, _ = assign(labels, np.full(86, "", dtype=object), classes, 0)
    for names in (alone, [""] * 86):
        assert (assign(labels, np.full(86, "", dtype=object), classes, 0, names)[0] == first).all()


def test_check_classes_keeps_the_wanted_rows_in_order() -> None:
    frame = pd.DataFrame({"path": list("abcd"), "label": ["x", "y", "z", "x"]})
    assert check_classes(frame, (), "d").equals(frame)
    assert check_classes(frame, ("z", "x"), "d")["path"].tolist() == ["a", "c", "d"]


def test_check_classes_names_what_is_not_there() -> None:
    frame = pd.DataFrame({"path": list("abc"), "label": ["x", "y", "z"]})
    with pytest.raises(SourceError) as caught:
        check_classes(frame, ("x", "w"), "data")
    assert "data has no class 'w'" in caught.value.message and "x, y, z" in caught.value.hint


def test_one_class_is_not_enough() -> None:
    with pytest.raises(SourceError, match="only one class, 'x'"):
        check_classes(pd.DataFrame({"path": ["a"], "label": ["x"]}), (), "data")
