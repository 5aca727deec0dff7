"""Heads against naive oracles: leaving out one point really refits without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.compute import linear
from auditor.detection import kernel_head
from auditor.detection.kernel_head import KernelHead, one_hot, temperature
from auditor.model import softmax_head
from auditor.model.scaling import Scaling, unit_rows
from auditor.model.softmax_head import SoftmaxHead


def points(n: int = 40, d: int = 6, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def ridge_without(basis: np.ndarray, spectrum: np.ndarray, y: np.ndarray, ridge: float, i: int) -> np.ndarray:
    """Prediction for point i by ridge regression on phi = basis sqrt(spectrum) about the mean, fitted without i."""
    phi, mean = (basis * np.sqrt(spectrum)).astype(np.float64), y.mean(0)
    keep = np.arange(len(y)) != i
    gram = phi[keep].T @ phi[keep] + ridge * np.eye(len(spectrum))
    return phi[i] @ np.linalg.solve(gram, phi[keep].T @ (y[keep] - mean)) + mean


@pytest.mark.parametrize("width", [None, 1.0])
@pytest.mark.parametrize("ridge", [0.1, 3.0])
def test_left_out_predictions_are_those_of_a_refit_without_the_point(width, ridge):
    head = KernelHead(points(), landmarks=100, seed=0, width=width)
    y = one_hot(np.random.default_rng(1).integers(0, 3, 40), 3)
    fit = head.fit(y, ridges=(ridge,))
    basis, spectrum = head.basis.numpy(), head.spectrum.numpy()
    for i in (0, 17, 39):
        np.testing.assert_allclose(fit.left_out[i], ridge_without(basis, spectrum, y, ridge, i), atol=2e-3)


@pytest.mark.parametrize("width", [None, 1.0])
def test_a_head_fitted_on_a_part_has_seen_no_other_label_and_leaves_each_of_its_own_out(width):
    head = KernelHead(points(), landmarks=100, seed=0, width=width)
    labels = np.random.default_rng(1).integers(0, 3, 40)
    y, train, ridge = one_hot(labels, 3), np.arange(40) % 3 != 0, 0.3
    found = head.fit_on(y, train, ridge)
    phi = (head.basis.numpy() * np.sqrt(head.spectrum.numpy())).astype(np.float64)
    mean = y[train].mean(0)
    for i in (0, 1, 17, 39):
        keep = train & (np.arange(40) != i)
        gram = phi[keep].T @ phi[keep] + ridge * np.eye(phi.shape[1])
        naive = phi[i] @ np.linalg.solve(gram, phi[keep].T @ (y[keep] - mean)) + mean
        np.testing.assert_allclose(found[i], naive, atol=2e-3)
    y[~train] = 7
    np.testing.assert_array_equal(head.fit_on(y, train, ridge), found)


def test_leverage_tells_what_another_label_would_have_done_to_the_fit():
    head = KernelHead(points(), landmarks=100, seed=0)
    labels = np.random.default_rng(1).integers(0, 3, 40)
    other = labels.copy()
    other[5] = (labels[5] + 1) % 3
    before, after = head.fit(one_hot(labels, 3), (1.0,)), head.fit(one_hot(other, 3), (1.0,))
    moved = (one_hot(other, 3) - one_hot(labels, 3)).mean(0)  # the overall mean's share of the label
    lead = 1 - head.leverage(1.0).numpy()[5]
    assert np.abs(after.left_out[5] - before.left_out[5]).max() <= np.abs(moved).max() / lead * 1.01


def test_beyond_the_landmarks_the_kernel_is_approximated_closely():
    x = points(300, 4)
    y = one_hot((x[:, 0] > 0).astype(int), 2)
    exact = KernelHead(x, landmarks=300, seed=0).fit(y, (1.0,)).left_out
    rough = KernelHead(x, landmarks=150, seed=0).fit(y, (1.0,)).left_out
    assert np.abs(exact - rough).mean() < 0.02


def test_constant_features_carry_nothing_and_break_nothing():
    x = np.full((20, 3), 7.0, np.float32)
    scaled = Scaling.of(x)(x)
    assert (scaled == 0).all()
    fit = KernelHead(unit_rows(scaled), landmarks=50, seed=0).fit(one_hot(np.arange(20) % 2, 2))
    assert np.isfinite(fit.left_out).all()


def test_temperature_recovers_a_known_scale():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20000, 3))
    p = np.exp(4 * values)
    labels = (rng.random((20000, 1)) > np.cumsum(p / p.sum(1, keepdims=True), axis=1)).sum(1)
    found = temperature(values, labels)
    assert found.scale == pytest.approx(4, rel=0.05)
    assert np.exp(found.log_probabilities(values)).sum(1) == pytest.approx(1)


def test_softmax_head_reaches_the_stationary_point():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    y = rng.integers(0, 3, 60)
    head = SoftmaxHead.train(x, y, 3, 0.1)
    p = np.exp(head.logits(x))
    p /= p.sum(1, keepdims=True)
    gradient = (p - one_hot(y, 3)).T @ x / 60 + 0.1 * head.weight
    assert np.abs(gradient).max() < 1e-4


@pytest.mark.parametrize("cached", [1, 40, 2**20])
def test_the_softmax_heads_loss_and_gradient_are_autograds_however_the_points_are_parted(cached, monkeypatch):
    monkeypatch.setattr(softmax_head, "_CACHED", cached)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(61, 5)).astype(np.float32))
    y = torch.tensor(rng.integers(0, 4, 61))
    weight, bias = (torch.tensor(rng.normal(size=s).astype(np.float32), requires_grad=True) for s in ((4, 5), (4,)))
    expected = torch.nn.functional.cross_entropy(x @ weight.T + bias, y)
    expected = expected + 0.5 * 0.3 * (weight.square().sum() + 1e-3 * bias.square().sum())
    expected.backward()
    with torch.no_grad():
        loss, by_weight, by_bias = softmax_head.softmax_loss(x, y, weight, bias, 0.3)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-6)
    np.testing.assert_allclose(by_weight, weight.grad, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(by_bias, bias.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("block", [1, 3, 192])
def test_a_symmetric_product_by_blocks_is_that_product(block, monkeypatch):
    monkeypatch.setattr(kernel_head, "_BLOCK", block)
    x = torch.tensor(np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32))
    found = kernel_head._gram(x.split(16), x)
    np.testing.assert_allclose(found, x.T @ x, rtol=1e-5, atol=1e-5)


def test_some_rows_are_standardised_without_being_copied_out() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(2, 3, size=(5000, 4)).astype(np.float32)
    rows = np.flatnonzero(rng.random(5000) < 0.6)
    scaling = Scaling.of(x, rows)
    np.testing.assert_allclose(scaling.mean, x[rows].mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, x[rows].std(axis=0, dtype=np.float64), rtol=1e-7)
    np.testing.assert_array_equal(scaling(x, rows), Scaling.of(x[rows])(x[rows]))


def test_few_points_of_many_features_give_the_same_head_by_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear head on 40 points of 1,200 features. Their inner products tell all there is."""
    rng = np.random.default_rng(0)
    x, y = unit_rows(rng.normal(size=(40, 1200)).astype(np.float32)), np.arange(40) % 3
    targets, train = one_hot(y, 3), np.arange(40) % 4 > 0
    found = []
    for wide in (linear.WIDE, 10**6):
        monkeypatch.setattr(linear, "WIDE", wide)
        head = KernelHead(x, landmarks=0, seed=0, width=None)
        assert len(head.spectrum) == 39
        found.append((head.fit(targets).left_out, head.fit_on(targets, train, 0.1), head.spectrum.numpy()))
    for one, other in zip(*found, strict=True):
        assert np.allclose(one, other, rtol=1e-3, atol=1e-4)
