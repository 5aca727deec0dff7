"""pyDVL's engines against the exact answer on small problems, and the traps they are kept from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import other_device
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from with_pydvl import CgInfluence, DirectInfluence, EkfacInfluence

from auditor import engines
from auditor.errors import EngineError
from auditor.influence import HeadProblem, NetworkProblem, engine
from auditor.influence.pydvl.derivatives import HeadDerivatives

TOLERANCES = {"cg": 1e-6, "direct": 1e-8, "nystroem": 1e-6, "arnoldi": 1e-6, "lissa": 1e-3}
"""Largest error of the average influence relative to its largest value, at damping 0.1."""


def problem(n_points: int = 61, n_classes: int = 3, n_features: int = 6, seed: int = 0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(n_classes, n_features)), rng.normal(size=n_classes)
    x = rng.normal(size=(n_points, n_features)).astype(dtype)
    y = (x @ weight.T + rng.gumbel(size=(n_points, n_classes))).argmax(1)
    return HeadProblem(x, y, weight, bias), rng.normal(size=(7, n_features)), rng.integers(0, n_classes, 7)


def linear(head: HeadProblem) -> nn.Linear:
    model = nn.Linear(head.features.shape[1], head.n_classes, dtype=torch.float64)
    model.load_state_dict({"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)})
    return model.eval()


def test_the_closed_form_is_pydvl_exactly():
    head, x, y = problem()
    loader = DataLoader(TensorDataset(torch.from_numpy(head.features), torch.from_numpy(head.labels)), batch_size=100)
    truth = DirectInfluence(linear(head), nn.functional.cross_entropy, regularization=0.1).fit(loader)
    matrix = truth.influences(
        torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(head.features), torch.from_numpy(head.labels)
    ).numpy()
    found = engine(head, "auto", 0.1)
    np.testing.assert_allclose(found.rows(x, y), matrix, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.average(x, y), matrix.mean(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(TOLERANCES))
@pytest.mark.parametrize("n_classes", [2, 4])
def test_engines_agree_with_the_exact_answer(name, n_classes):
    head, x, y = problem(n_classes=n_classes)
    exact, found = engine(head, "auto", 0.1), engine(head, name, 0.1, seed=3)
    assert found.name == f"{name} (pyDVL)"
    expected = exact.rows(x, y)
    bound = TOLERANCES[name] * np.abs(expected).max()
    np.testing.assert_allclose(found.rows(x, y), expected, atol=bound)
    np.testing.assert_allclose(found.average(x, y), expected.mean(0), atol=bound)
    by_class = found.average_by_class(x, y, n_classes)
    np.testing.assert_allclose(by_class, exact.average_by_class(x, y, n_classes), atol=bound)
    np.testing.assert_allclose(found.self_influence(), exact.self_influence(), atol=2 * bound)
    assert all(s.converged for s in found.solves)
    np.testing.assert_allclose(found.with_damping(2.0).average(x, y), exact.with_damping(2.0).average(x, y), atol=bound)


@pytest.mark.parametrize("name", ["ekfac", "ihm"])
def test_approximations_keep_the_order_and_show_their_residual(name):
    head, x, y = problem(n_points=200)
    expected, found = engine(head, "auto", 0.3).average(x, y), engine(head, name, 0.3)
    average = found.average(x, y)
    assert np.corrcoef(average, expected)[0, 1] > (0.98 if name == "ekfac" else 0.6)
    (solve,) = found.solves
    assert solve.relative_residual > 1e-3 and "approximation" in found.notes[0]
    np.testing.assert_allclose(found.rows(x, y).mean(0), average, atol=1e-9)


def test_inverse_harmonic_mean_is_what_it_says():
    head, x, y = problem(n_points=23)
    found = engine(head, "ihm", 0.3)
    gradients = found.derivatives.gradients(head.features, head.labels, np.eye(23)).numpy()
    rhs = found.derivatives.gradients(x, y, np.eye(len(y))).numpy()
    eye = np.eye(gradients.shape[1])
    inverse = np.mean([np.linalg.inv(np.outer(g, g) + 0.3 * eye) for g in gradients], axis=0)
    np.testing.assert_allclose(found.rows(x, y), rhs @ inverse @ gradients.T, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["cg", "direct", "ihm"])
def test_unequal_batches_count_by_their_size(name, monkeypatch):
    """Traps 1 and 4."""
    from auditor.influence.pydvl import operators

    head, x, y = problem(n_points=50)
    whole = engine(head, name, 0.1).average(x, y)
    original = operators.Batches.__init__
    monkeypatch.setattr(operators.Batches, "__init__", lambda self, d, size: original(self, d, 20))
    batched = engine(head, name, 0.1)
    np.testing.assert_allclose(batched.average(x, y), whole, atol=1e-6 * np.abs(whole).max())


def test_more_reference_points_than_parameters():
    """Trap 2: pyDVL's own rows beyond the number of parameters are zero; ours are not."""
    head, _, _ = problem(n_classes=2, n_features=1)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 1)), rng.integers(0, 2, 9)
    args = [torch.from_numpy(a) for a in (x, y, head.features, head.labels)]
    loader = DataLoader(TensorDataset(args[2], args[3]), batch_size=100)
    upstream = CgInfluence(linear(head), nn.functional.cross_entropy, regularization=0.1).fit(loader)
    assert not upstream.influences(*args)[4:].any()
    np.testing.assert_allclose(engine(head, "cg", 0.1).rows(x, y), engine(head, "auto", 0.1).rows(x, y), atol=1e-6)


def test_upstream_ekfac_fit_vanishes_where_curvature_is_largest_and_ours_does_not():
    rng = np.random.default_rng(0)
    head = HeadProblem(rng.normal(size=(40, 3)), rng.integers(0, 2, 40), np.zeros((2, 3)), np.zeros(2))
    model = linear(head).float()
    features, labels = torch.from_numpy(head.features).float(), torch.from_numpy(head.labels)
    fitted = EkfacInfluence(model, update_diagonal=True, hessian_regularization=0.1)
    fitted.fit(DataLoader(TensorDataset(features, labels), batch_size=40))
    ((_, _, _, diagonal),) = [values for _, values in fitted.ekfac_representation]
    assert diagonal.abs().max() < 1e-6
    assert HeadDerivatives(head).head is not None
    factors = engine(head, "ekfac", 0.1).solver._factors
    assert max(float(d.max()) for d in factors.diags) > 0.1


def test_seeds_decide_what_is_random():
    head, x, y = problem(n_points=40, n_features=20)
    for name in ("nystroem", "arnoldi", "lissa"):
        state = torch.random.get_rng_state()
        first, second = (engine(head, name, 0.1, seed=5).average(x, y) for _ in range(2))
        assert np.array_equal(first, second)
        assert torch.equal(state, torch.random.get_rng_state())


def test_low_rank_short_of_the_full_rank_shows_in_the_residual(monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.low_rank.RANK", 2)
    head, x, y = problem(n_points=100, n_features=20)
    for name in ("nystroem", "arnoldi"):
        found = engine(head, name, 1e-3)
        found.average(x, y)
        assert not found.solves[0].converged and found.solves[0].relative_residual > 0.01


def test_lissa_on_random_batches(monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.operators.LISSA_BATCH", 32)
    head, x, y = problem(n_points=200)
    found = engine(head, "lissa", 0.5)
    expected = engine(head, "auto", 0.5).average(x, y)
    assert np.corrcoef(found.average(x, y), expected)[0, 1] > 0.98


def test_cg_that_cannot_converge_says_so(monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.cg.HEAD_ITERATIONS", 2)
    head, x, y = problem(n_features=20)
    found = engine(head, "cg", 1e-6)
    found.average(x, y)
    assert not found.solves[0].converged and found.solves[0].iterations <= 4


def test_dense_engine_without_memory_names_another(monkeypatch):
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device: 1000)
    with pytest.raises(EngineError, match="dense Hessian") as caught:
        engine(problem()[0], "direct", 0.1)
    assert "nystroem" in caught.value.hint


def test_unknown_engines_are_refused():
    with pytest.raises(EngineError, match="no engine 'newton'") as caught:
        engine(problem()[0], "newton", 0.1)
    assert all(name in caught.value.hint for name in engines.names())


def network(n: int = 12) -> tuple[NetworkProblem, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)).double().eval()
    images, labels = torch.randn(n, 1, 3, 3).double(), torch.arange(n) % 3
    return NetworkProblem(model, images, labels), torch.randn(4, 1, 3, 3).double(), torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("name", ["cg", "direct", "nystroem", "arnoldi", "lissa"])
def test_engines_on_a_network(name):
    found, x, y = network()
    exact, told = engine(found, "auto", 0.2), []
    other = engine(found, name, 0.2, listener=lambda text, done, total: told.append((done, total)))
    expected = exact.average_by_class(x, y, 3)
    bound = max(1e-5, TOLERANCES[name]) * np.abs(expected).max()
    np.testing.assert_allclose(other.average_by_class(x, y, 3), expected, atol=bound)
    np.testing.assert_allclose(other.average(x, y), exact.average(x, y), atol=1e-3 * np.abs(expected).max())
    assert told and all(0 < done <= total for done, total in told), "a solve that takes long says how far it is"
    assert any(done < total for done, total in told), "and what is still to come"
    np.testing.assert_array_equal(other.rows(x, y), exact.rows(x, y))
    assert any("by engine auto" in note for note in other.notes)
    assert all(s.converged for s in other.solves)
    with pytest.raises(EngineError, match="12 solves"):
        other.self_influence()


def test_ihm_on_a_network_and_ekfac_refused():
    found, x, y = network()
    ihm = engine(found, "ihm", 0.2)
    assert np.isfinite(ihm.average(x, y)).all() and ihm.solves[0].relative_residual > 0
    with pytest.raises(EngineError, match="linear layers only"):
        engine(found, "ekfac", 0.2)


def test_another_device_gives_the_same():
    device = other_device()
    head, x, y = problem()
    for name in ("auto", "cg", "direct"):
        here, there = (engine(head, name, 0.1, device=d) for d in ("cpu", device))
        for ask in (lambda e: e.average(x, y), lambda e: e.rows(x[:3], y[:3]), lambda e: e.average_by_class(x, y, 3)):
            expected = ask(here)
            np.testing.assert_allclose(ask(there), expected, atol=1e-6 * np.abs(expected).max())
    found, images, labels = network()
    for name in ("auto", "cg", "direct"):
        expected, got = (engine(found, name, 0.1, device=d).average(images, labels) for d in ("cpu", device))
        np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["nystroem", "arnoldi", "lissa", "ekfac", "ihm"])
def test_engines_that_approximate_answer_on_another_device(name):
    device = other_device()
    head, x, y = problem()
    expected, got = (engine(head, name, 0.5, device=d).average(x, y) for d in ("cpu", device))
    assert np.corrcoef(expected, got)[0, 1] > 0.99
