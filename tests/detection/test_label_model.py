"""The likelihood of the given labels: it recovers what made them, and its parts are what a plain loop says they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.detection.label_model import fit_label_model
from auditor.detection.likelihood import CLASSWISE, CONFUSION, KINDS, UNIFORM, _kinds

NO_TRUSTED = np.empty(0, np.int64)


def world(n: int, classes: int, seed: int, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors [n, C] and true classes that follow them."""
    rng = np.random.default_rng(seed)
    z = sharp * rng.normal(size=(n, classes))
    q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return q, (rng.random((n, 1)) > q.cumsum(1)[:, :-1]).sum(1)


def made_wrong(q: np.ndarray, y: np.ndarray, kind: str, rate: float, seed: int) -> np.ndarray:
    rng, n_classes = np.random.default_rng(seed), q.shape[1]
    out = y.copy()
    for i in np.flatnonzero(rng.random(len(y)) < rate):
        if kind == UNIFORM:
            p = np.ones(n_classes)
        elif kind == CONFUSION:
            p = q[i].copy()
        else:
            p = (q.T @ q)[y[i]]
        p[y[i]] = 0
        out[i] = rng.choice(n_classes, p=p / p.sum())
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("trusted", [0, 800])
def test_the_share_of_wrong_labels_is_recovered_whatever_their_kind(kind, rate, trusted):
    q, y = world(4000, 6, seed=1, sharp=3.0)
    labels = made_wrong(q, y, kind, rate, seed=2)
    other, known = world(trusted, 6, seed=3, sharp=3.0)
    losses = -np.log(np.concatenate([q, other]))
    found = fit_label_model(losses, labels, known, seed=0)
    assert found.share == pytest.approx((labels != y).mean(), abs=0.03)
    right, wrong = found.right[np.arange(4000), labels], found.wrong[np.arange(4000), labels]
    assert (wrong / (wrong + right)).mean() == pytest.approx(found.share, abs=0.02)
    assert sum(found.kinds.values()) == pytest.approx(1)


def test_two_classes_have_one_kind_of_error():
    q, y = world(3000, 2, seed=1)
    labels = made_wrong(q, y, UNIFORM, 0.2, seed=2)
    found = fit_label_model(-np.log(q), labels, NO_TRUSTED, seed=0)
    assert found.share == pytest.approx(0.2, abs=0.04)
    assert found.kinds == {UNIFORM: 1.0, CONFUSION: 0.0, CLASSWISE: 0.0}


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_model_that_is_always_right_and_sure_finds_no_wrong_label(classes):
    y = np.arange(600) % classes
    losses = np.full((600, classes), 20.0)
    losses[np.arange(600), y] = 1e-9
    found = fit_label_model(losses, y, NO_TRUSTED, seed=0)
    assert found.share < 1e-3
    assert np.isfinite(found.log_odds()).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(1, 30), st.integers(0, 10**6))
def test_kinds_are_distributions_over_wrong_labels_as_a_loop_adds_them_up(classes, n, seed):
    q, _ = world(n, classes, seed)
    found = _kinds(torch.as_tensor(q), set(KINDS), n, None)
    labels = torch.as_tensor(np.random.default_rng(seed).integers(0, classes, n))
    picked = _kinds(torch.as_tensor(q), set(KINDS), n, labels)
    alike = q.T @ q
    np.fill_diagonal(alike, 0)
    alike /= alike.sum(1, keepdims=True)
    naive = {kind: np.zeros_like(q) for kind in KINDS}
    for i in range(n):
        for true in range(classes):
            for given_ in set(range(classes)) - {true}:
                naive[UNIFORM][i, given_] += q[i, true] / (classes - 1)
                naive[CONFUSION][i, given_] += q[i, true] * q[i, given_] / (1 - q[i, true])
                naive[CLASSWISE][i, given_] += q[i, true] * alike[true, given_]
    for kind in KINDS:
        np.testing.assert_allclose(found[kind], naive[kind], atol=1e-6)
        np.testing.assert_allclose(picked[kind][:, 0], naive[kind][np.arange(n), labels], atol=1e-6)
        np.testing.assert_allclose(naive[kind].sum(1), 1)


def test_probabilities_follow_the_share_asked_for():
    q, y = world(2000, 4, seed=1)
    labels = made_wrong(q, y, UNIFORM, 0.2, seed=2)
    found = fit_label_model(-np.log(q), labels, NO_TRUSTED, seed=0)
    at = [found.at_share(share)[np.arange(2000), labels] for share in (0.02, found.share, 0.4)]
    assert (at[0] < at[1]).all() and (at[1] < at[2]).all()
    right, wrong = found.right[np.arange(2000), labels], found.wrong[np.arange(2000), labels]
    np.testing.assert_allclose(at[1], wrong / (wrong + right), rtol=1e-6)


def test_more_entries_than_are_fitted_on_give_the_same_answer():
    q, y = world(9000, 100, seed=1, sharp=4.0)
    labels = made_wrong(q, y, UNIFORM, 0.1, seed=2)
    found = fit_label_model(-np.log(q), labels, NO_TRUSTED, seed=0)
    assert found.share == pytest.approx(0.1, abs=0.02)
    assert len(found.right) == 9000
