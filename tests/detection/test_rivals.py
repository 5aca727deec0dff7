"""How well classes are told apart: the area under the curve, counted pair by pair, and copies once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditor.detection.rivals import NEAREST, rivals


def _losses(n: int, n_classes: int, seed: int, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    scores = rng.normal(size=(n, n_classes))
    scores[np.arange(n), labels] += sharp
    return np.log(np.exp(scores).sum(axis=1, keepdims=True)) - scores, labels


def test_the_figure_is_the_area_under_the_curve_of_the_log_odds() -> None:
    losses, labels = _losses(300, 4, 0)
    found = rivals(losses, labels, np.arange(300))
    assert found.pairs.tolist() == [[a, b] for a in range(4) for b in range(a + 1, 4)]
    for (one, other), told, (n, m) in zip(found.pairs, found.told, found.sizes, strict=True):
        rows = np.isin(labels, (one, other))
        odds = (losses[:, other] - losses[:, one])[rows]
        assert told == pytest.approx(roc_auc_score(labels[rows] == one, odds))
        assert (n, m) == ((labels == one).sum(), (labels == other).sum())


def test_equal_scores_are_chance() -> None:
    labels = np.repeat([0, 1], 30)
    assert rivals(np.full((60, 2), np.log(2)), labels, np.arange(60)).told.tolist() == [0.5]


def test_copies_under_one_label_count_once() -> None:
    losses, labels = _losses(200, 3, 1)
    once = rivals(losses, labels, np.arange(200))
    rows = np.concatenate([np.arange(200), np.zeros(50, np.int64)])
    again = rivals(losses[rows], labels[rows], rows)
    np.testing.assert_array_equal(once.told, again.told)
    np.testing.assert_array_equal(once.sizes, again.sizes)


def test_with_many_classes_only_the_nearest_are_compared() -> None:
    losses, labels = _losses(3000, 30, 2)
    losses[labels == 4, 9] -= 6.0
    found = rivals(losses, labels, np.arange(3000))
    assert [4, 9] in found.pairs.tolist() and len(found.pairs) <= 30 * NEAREST


def test_a_class_without_items_has_no_rivals() -> None:
    losses, labels = _losses(60, 4, 3)
    labels[labels == 2] = 1
    assert 2 not in rivals(losses, labels, np.arange(60)).pairs
    nothing = rivals(losses[:0], labels[:0], np.arange(0))
    assert nothing.pairs.shape == (0, 2) and nothing.sizes.shape == (0, 2)
