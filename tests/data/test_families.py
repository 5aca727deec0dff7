"""Families: copies are found whatever was done to them, and items that are only alike are not."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.data.families import families


def clouds(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(9).normal(size=(3, d))
    return (rng.normal(size=(n, d)) + centres[np.arange(n) % 3]).astype(np.float32)


@pytest.mark.parametrize("d", [5, 12, 100])
def test_items_that_are_only_alike_are_no_family(d: int) -> None:
    assert (families(clouds(600, d)) != np.arange(600)).mean() < 0.01, "one in twenty of what is found is chance"


def test_equal_features_equal_bytes_and_equal_groups_are_families() -> None:
    x = clouds(100, 8)
    x[7] = x[3]
    hashes = [str(i) for i in range(100)]
    hashes[50] = hashes[20]
    groups = [""] * 100
    groups[90] = groups[91] = groups[3] = "patient 1"
    expected = np.arange(100)
    expected[[7, 90, 91]], expected[50] = 3, 20
    np.testing.assert_array_equal(families(x, hashes, groups), expected)


@pytest.mark.parametrize("copies", [2, 3])
def test_altered_copies_are_found(copies: int) -> None:
    x = clouds(300, 40)
    noise = np.random.default_rng(1).normal(size=(copies, *x.shape)).astype(np.float32)
    many = (x[None] + 0.25 * noise).reshape(-1, 40)
    found = families(many).reshape(copies, 300)
    assert (found[0] == found[1]).mean() > 0.9
    assert len(np.unique(found)) > 250, "pictures are not joined"


@pytest.mark.parametrize(
    "x",
    [np.ones((200, 4)), np.eye(3)[np.arange(300) % 3], np.zeros((5, 2)), np.empty((0, 3)), np.arange(90.0)[:, None]],
    ids=["all equal", "one of three", "few", "none", "a line"],
)
def test_features_that_tell_nothing_apart_make_no_families(x: np.ndarray) -> None:
    np.testing.assert_array_equal(families(x.astype(np.float32)), np.arange(len(x)))
