"""Two groups in a class: planted ones are found, a single group is nearly never called two, whatever its shape."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from auditor.oddities.modes import FEWEST, Modes, _ratio_high, modes

D = 12


def _two_of(n: int, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three classes: the first one holds two groups of `n` items, `gap` standard deviations apart."""
    rng = np.random.default_rng(seed)
    second = np.arange(2 * n) >= n
    first = rng.normal(size=(2 * n, D))
    first[:, 3] += gap * second
    others = rng.normal(size=(4 * n, D)) + np.repeat(rng.normal(size=(2, D)) * 4, 2 * n, axis=0)
    labels = np.repeat([0, 1, 2], 2 * n)
    return np.concatenate([first, others]).astype(np.float32), labels, second


def _look(x: np.ndarray, labels: np.ndarray, seed: int = 0) -> list[Modes]:
    n = len(labels)
    return modes(x, labels, np.ones(n, bool), np.arange(n), seed, 0.05)


def test_two_groups_are_found_in_the_class_that_holds_them() -> None:
    x, labels, second = _two_of(100, 8.0, 0)
    found = _look(x, labels)
    assert [one.label for one in found if one.high < 1] == [0]
    first = found[0]
    assert first.valley < 0.2 and first.smaller == pytest.approx(0.5, abs=0.05) and first.n == 200
    right = (first.place >= 0) == second[first.rows]
    assert max(right.mean(), 1 - right.mean()) > 0.99


@pytest.mark.parametrize("shape", ["normal", "uniform", "skewed"])
def test_one_group_is_nearly_never_called_two(shape: str) -> None:
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size = (240, 6)
        x = {"normal": rng.normal(size=size), "uniform": rng.uniform(size=size), "skewed": rng.exponential(size=size)}
        found = _look(x[shape].astype(np.float32), np.repeat([0, 1], 120), seed)
        wrong += any(one.high < 1 for one in found)
    assert binomtest(wrong, 40, 0.05, alternative="greater").pvalue > 0.01


def test_the_upper_end_is_that_of_an_exact_binomial_interval() -> None:
    high = _ratio_high(3, 20, 0.01)
    part = high / (1 + high)
    assert binom.cdf(3, 23, part) == pytest.approx(0.01)


def test_few_items_copies_and_wrong_labels_are_no_class() -> None:
    x, labels, _ = _two_of(100, 8.0, 1)
    n = len(labels)
    few = np.concatenate([np.flatnonzero(labels == 0)[: FEWEST - 1], np.flatnonzero(labels)])
    assert [one.label for one in _look(x[few], labels[few])] == [1, 2]
    families = np.where(labels == 0, 0, np.arange(n))
    assert [one.label for one in modes(x, labels, np.ones(n, bool), families, 0, 0.05)] == [1, 2]
    assert [one.label for one in modes(x, labels, labels != 0, np.arange(n), 0, 0.05)] == [1, 2]
    assert modes(x, labels, np.zeros(n, bool), np.arange(n), 0, 0.05) == []


def test_equal_inputs_give_equal_answers_and_equal_features_give_no_groups() -> None:
    x, labels, _ = _two_of(60, 8.0, 2)
    one, other = _look(x, labels), _look(x, labels)
    assert [(a.valley, a.high) for a in one] == [(b.valley, b.high) for b in other]
    assert not any(a.high < 1 for a in _look(np.ones_like(x), labels))


def test_more_features_than_items_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 300)).astype(np.float32)
    x[:50, :100] += 4
    found = _look(x, np.repeat([0, 1], 100))
    assert [one.label for one in found if one.high < 1] == [0]
