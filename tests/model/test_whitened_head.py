"""A head that descends along its features' directions: the same minimum, in fewer steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import EngineError
from auditor.model import softmax_head, whitened_head
from auditor.model.scaling import Scaling, even_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.whitened_head import DIRECTIONS, Whitening, spaced, train_along


def points(n: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, n)
    mixed = rng.normal(size=(n, width)) * np.arange(1, width + 1) ** -0.8 @ rng.normal(size=(width, width))
    x = (mixed + rng.normal(size=(classes, width))[y]).astype(np.float32)
    return even_rows(Scaling.of(x)(x)), y


def gradient(x: np.ndarray, y: np.ndarray, head: SoftmaxHead, decay: float) -> float:
    """The largest entry of the objective's gradient, in double precision."""
    residual = head.probabilities(x) - np.eye(len(head.bias))[y]
    by_weight = residual.T @ x.astype(np.float64) / len(y) + decay * head.weight
    return float(max(np.abs(by_weight).max(), np.abs(residual.mean(0) + 1e-3 * decay * head.bias).max()))


@settings(max_examples=12, deadline=None)
@given(
    n=st.sampled_from([5, 40, 300]),
    width=st.sampled_from([1, 6, 2 * DIRECTIONS]),
    classes=st.sampled_from([2, 5]),
    decay=st.sampled_from([0.03, 1.0, 100.0]),
)
def test_the_minimum_is_that_of_the_plain_descent(n, width, classes, decay):
    x, y = points(n, width, classes)
    found = train_along(Whitening.of(x[spaced(n)]), (x, y), classes, decay)
    plain = SoftmaxHead.train(x, y, classes, decay, iterations=1000)
    assert gradient(x, y, found, decay) < 3e-4 * max(decay, 1)
    near = 1e-5 + 4e-5 / decay + 1e-3 * np.abs(plain.weight).max()  # both end at a small gradient
    np.testing.assert_allclose(found.weight, plain.weight, atol=near)
    again = train_along(Whitening.of(x[spaced(n)]), (x, y), classes, decay, start=found)
    np.testing.assert_allclose(again.weight, found.weight, atol=near)


def test_it_takes_fewer_products_and_directions_of_other_points_serve_too(monkeypatch):
    rng = np.random.default_rng(0)  # a few strong directions and many weak ones, as features of photographs have
    hidden, mixing = rng.normal(size=(1500, 30)) * np.arange(1, 31) ** -1.0, rng.normal(size=(30, 300))
    noisy = (hidden @ mixing + 0.3 * rng.normal(size=(1500, 300))).astype(np.float32)
    x = even_rows(Scaling.of(noisy)(noisy))
    y = (hidden[:, 5:9] + 0.1 * rng.normal(size=(1500, 4))).argmax(1)
    real, asked = softmax_head.softmax_loss, {"plain": 0, "along": 0}
    for module, name in ((softmax_head, "plain"), (whitened_head, "along")):

        def counted(*given, name=name):
            asked[name] += 1
            return real(*given)

        monkeypatch.setattr(module, "softmax_loss", counted)
    found = train_along(Whitening.of(x[:500]), (x[500:], y[500:]), 4, 0.1)
    plain = SoftmaxHead.train(x[500:], y[500:], 4, 0.1)
    assert asked["along"] < 0.7 * asked["plain"]
    assert gradient(x[500:], y[500:], found, 0.1) < 1e-4 > gradient(x[500:], y[500:], plain, 0.1)


def test_features_that_are_all_zero_give_a_head_of_zeros():
    x, y = np.zeros((20, 6), np.float32), np.arange(20) % 2
    np.testing.assert_array_equal(train_along(Whitening.of(x), (x, y), 2, 1.0).weight, 0)


def test_what_single_precision_cannot_hold_is_left_to_the_plain_head_which_says_so():
    x, y = points(30, 4, 2)
    whitening = Whitening.of(x)
    huge = np.full_like(x, np.nan)
    with pytest.raises(EngineError, match="not finite"):
        train_along(whitening, (huge, y), 2, 1.0)
