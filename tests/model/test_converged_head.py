"""The head at the minimum of its loss, and how its weight decay is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.model import converged_head
from auditor.model.converged_head import FOLDS, WEIGHT_DECAYS, choose_weight_decay, mean_loss
from auditor.model.softmax_head import SoftmaxHead


def _points(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = 1.2 * np.eye(3)[y] + rng.normal(size=(n, 3))
    x = np.hstack([x, rng.normal(size=(n, 5))]).astype(np.float32)
    wrong = rng.random(n) < noise
    return x, np.where(wrong, (y + 1) % 3, y)


def _left_out_loss(x: np.ndarray, y: np.ndarray, decay: float, seed: int) -> float:
    """Loss of left-out labels by definition, each head from zeros."""
    fold = np.random.default_rng([seed, 0xDECA]).permutation(len(y)) % FOLDS
    total = 0.0
    for at in range(FOLDS):
        p = SoftmaxHead.train(x[fold != at], y[fold != at], 3, decay).probabilities(x[fold == at])
        total -= float(np.log(p[np.arange(len(p)), y[fold == at]]).sum())
    return total


@pytest.mark.parametrize(("n", "noise"), [(60, 0.0), (90, 0.3), (400, 0.1)])
def test_the_weight_decay_is_the_one_with_the_smallest_left_out_loss(n: int, noise: float) -> None:
    x, y = _points(n, noise)
    found = choose_weight_decay(x, y, 3, 0)
    losses = {decay: _left_out_loss(x, y, decay, 0) for decay in WEIGHT_DECAYS}
    assert losses[found] <= min(losses.values()) * 1.002
    assert choose_weight_decay(x, y, 3, 0) == found


def test_one_fold_decides_where_there_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _points(90, 0.1)
    monkeypatch.setattr(converged_head, "ALL_FOLDS", 10)
    assert choose_weight_decay(x, y, 3, 0) in WEIGHT_DECAYS


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points_and_missing_classes_get_one_too(n: int) -> None:
    x, y = _points(n, 0.0)
    assert choose_weight_decay(x, y, 3, 0) in WEIGHT_DECAYS


def test_the_mean_loss_is_its_definition_for_large_logits() -> None:
    x, y = _points(30, 0.0)
    head = SoftmaxHead(200 * np.eye(3, 8, dtype=np.float32), np.zeros(3, np.float32))
    z = head.logits(x)
    expected = np.mean([np.logaddexp.reduce(row) - row[label] for row, label in zip(z, y, strict=True)])
    assert mean_loss(head, x, y) == pytest.approx(expected)
