"""The likeliest classes: what sorting all of them by hand gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.detection.likeliest import MOST, likeliest, nothing


@given(st.integers(2, 6), st.integers(0, 99))
def test_they_are_the_first_of_all_classes(n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, p = rng.integers(n_classes, size=9), rng.random(9)
    truth = rng.random((9, n_classes))
    truth[np.arange(9), labels] = 0
    truth /= truth.sum(axis=1, keepdims=True)
    found = likeliest(truth, labels, p)
    for row in range(9):
        chances = {c: 1 - p[row] if c == labels[row] else p[row] * truth[row, c] for c in range(n_classes)}
        order = sorted(chances, key=lambda c: -chances[c])[:MOST]
        assert list(found.labels[row]) == order
        assert list(found.probabilities[row]) == pytest.approx([chances[c] for c in order])


def test_items_that_are_certain_have_none() -> None:
    found = likeliest(np.array([[0.0, 1.0]]), np.array([0]), np.array([0.3])).spread(np.array([1]), 3)
    assert found.labels.tolist() == [[-1, -1], [0, 1], [-1, -1]]
    assert found.probabilities.tolist() == [[0, 0], [0.7, 0.3], [0, 0]]
    assert nothing(2).labels.tolist() == [[-1], [-1]]
