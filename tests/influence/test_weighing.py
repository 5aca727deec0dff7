"""A weighted reference against pyDVL's own matrix, on heads and on a whole network, and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import needs_pydvl
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.errors import EngineError
from auditor.influence import HeadProblem, InfluenceEngine, NetworkProblem, engine
from auditor.influence.closed_form import ClosedForm
from auditor.influence.weighing import ROBUST, as_shares, pull, pulls, robust_weights

DAMPING = 0.05


def trained(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def network() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """A network with all its layers trained, and training and reference points with wrong labels among them."""
    torch.manual_seed(0)
    y = torch.arange(36) % 3
    x = torch.randn(36, 5).double() + 2 * nn.functional.one_hot(y, 5)
    given = torch.where(torch.rand(36) < 0.2, (y + 1) % 3, y)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    return trained(model, x[:24], given[:24]), (x[:24], given[:24]), (x[24:], given[24:])


def weights_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return robust_weights(model(x).softmax(1).numpy(), y.numpy())


class GaussNewton(torch.nn.Module):
    """A network that is linear in its parameters, and equals another one where that one stands.

    pyDVL's exact matrix takes the Hessian. Our engine on a whole network takes its Gauss-Newton part. Of this network
    both are the same.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.names = [name for name, _ in model.named_parameters()]
        self.at = [p.detach().clone() for p in model.parameters()]
        self.free = nn.ParameterList([nn.Parameter(p.clone()) for p in self.at])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def logits(*values: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(self.model, dict(zip(self.names, values, strict=True)), (x,))

        steps = tuple(now - at for now, at in zip(self.free, self.at, strict=True))
        value, change = torch.func.jvp(logits, tuple(self.at), steps)
        return value + change


@needs_pydvl
def test_a_weighted_reference_is_pydvls_own_matrix_on_the_whole_network(network):
    from pydvl.influence.torch import DirectInfluence

    model, train, reference = network
    linear = GaussNewton(model).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    upstream = DirectInfluence(linear, nn.functional.cross_entropy, DAMPING)
    matrix = upstream.fit(DataLoader(TensorDataset(*train), 24)).influences(*reference, *train).detach().numpy()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    weights = weights_of(model, *reference)
    expected = weights @ matrix / weights.sum()
    found = engine(NetworkProblem(model, *train), "auto", DAMPING)
    np.testing.assert_allclose(
        found.weighted_average(*reference, weights), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert np.abs(expected - matrix.mean(0)).max() > 1e-2 * np.abs(expected).max(), "weights say something here"
    through_pydvl = engine(NetworkProblem(model, *train), "cg", DAMPING)
    answer = through_pydvl.weighted_average(*reference, weights)
    problem, z = through_pydvl.average_factor(*reference, weights)
    assert np.corrcoef(answer, expected)[0, 1] > 0.9, "its Hessian holds more than the Gauss-Newton part"
    assert problem.n_points == 24 and z.shape[0] == 1


@pytest.fixture(scope="module")
def head() -> tuple[HeadProblem, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 6)), rng.normal(size=3)
    x = rng.normal(size=(61, 6))
    y = (x @ weight.T + rng.gumbel(size=(61, 3))).argmax(1)
    return HeadProblem(x, y, weight, bias), rng.normal(size=(70, 6)), rng.integers(0, 3, 70), rng.random(70)


@needs_pydvl
@pytest.mark.parametrize("name", ["auto", "cg", "direct", "nystroem", "arnoldi"])
def test_weights_weigh_the_rows_of_every_engine(head, name):
    problem, x, y, weights = head
    found = engine(problem, name, 0.1)
    expected = weights @ engine(problem, "direct", 0.1).rows(x, y) / weights.sum()
    np.testing.assert_allclose(found.weighted_average(x, y, weights), expected, atol=1e-6 * np.abs(expected).max())
    assert len(found.solves) == 1, "one solve, however many reference points"
    by_rows = InfluenceEngine.weighted_average(found, x, y, weights)
    np.testing.assert_allclose(by_rows, expected, atol=1e-6 * np.abs(expected).max())


def test_equal_weights_are_the_plain_average(head):
    problem, x, y, _ = head
    found = engine(problem, "auto", 0.1)
    np.testing.assert_array_equal(found.weighted_average(x, y, np.full(70, 0.25)), found.average(x, y))


@needs_pydvl
def test_a_cluster_weighs_too(head):
    from auditor.influence.pydvl.cluster import cluster, dask_average

    problem, x, y, weights = head
    found = engine(problem, "auto", 0.1)
    with cluster("local:1") as client:
        spread = dask_average(found, x, y, client, weights=weights)
    np.testing.assert_allclose(spread, found.weighted_average(x, y, weights), atol=1e-9)


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=9))
def test_shares_sum_to_one_and_keep_the_order(values):
    shares = as_shares(np.array(values), len(values))
    assert shares.shape == (1, len(values)) and np.isclose(shares.sum(), 1)
    assert (np.diff(shares[0, np.argsort(values, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1], [1.0, np.nan], [np.inf, 1.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(EngineError, match="reference point"):
        as_shares(np.array(weights), 2)


def test_pull_is_the_size_of_the_gradient_at_the_logits():
    logits, labels = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.arange(7) % 4
    nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    expected = logits.grad.norm(dim=1).numpy()
    np.testing.assert_allclose(pull(logits.detach().softmax(1).numpy(), labels.numpy()), expected)
    assert pull(np.eye(2), np.array([0, 1])).min() > 0, "a label that pulls at nothing can be divided by"


def test_pulls_are_the_same_for_every_label_that_an_item_could_carry():
    p = np.concatenate([np.random.default_rng(0).dirichlet(np.ones(4), 6), np.eye(4)])
    found = pulls(p)
    for c in range(4):
        np.testing.assert_allclose(found[:, c], pull(p, np.full(len(p), c)), rtol=1e-12)
    assert found.min() > 0


def test_weights_make_cross_entropy_the_generalised_cross_entropy():
    logits, labels = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.arange(7) % 4
    given = logits.softmax(1)[torch.arange(7), labels]
    robust = torch.autograd.grad(((1 - given**ROBUST) / ROBUST).sum(), logits, retain_graph=True)[0]
    plain = torch.autograd.grad(nn.functional.cross_entropy(logits, labels, reduction="sum"), logits)[0]
    weights = robust_weights(logits.detach().softmax(1).numpy(), labels.numpy())
    np.testing.assert_allclose(robust.numpy(), weights[:, None] * plain.numpy(), atol=1e-12)


def what_if(problem: HeadProblem, points: np.ndarray, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Our [n, C] influence of `points` under every label."""
    found = ClosedForm(problem, DAMPING)
    return np.asarray(found.head.what_if(found.directions(x, y, as_shares(weights, len(y))), points)[0])


def test_influence_under_every_label_is_what_plain_derivatives_give(head):
    problem, x, y, weights = head
    flat = torch.tensor(np.concatenate([np.ravel(problem.weight), problem.bias]), dtype=torch.float64)
    taught = torch.tensor(problem.features), torch.tensor(problem.labels)

    def loss(parameters: torch.Tensor, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = points @ parameters[:18].view(3, 6).T + parameters[18:]
        return nn.functional.cross_entropy(logits, labels)

    def gradient(points: np.ndarray, label: int) -> torch.Tensor:
        return torch.func.grad(loss)(flat, torch.tensor(points)[None], torch.tensor([label]))

    hessian = torch.func.hessian(loss)(flat, *taught) + DAMPING * torch.eye(21)
    shares = torch.tensor(weights / weights.sum())
    mean = sum(share * gradient(one, int(label)) for share, one, label in zip(shares, x, y, strict=True))
    points = np.random.default_rng(5).normal(size=(4, 6))
    naive = [[float(mean @ torch.linalg.solve(hessian, gradient(one, c))) for c in range(3)] for one in points]
    np.testing.assert_allclose(what_if(problem, points, x, y, weights), naive, atol=1e-7)


@needs_pydvl
def test_influence_under_every_label_is_pydvls_own_matrix_times_the_weights(network):
    from pydvl.influence.torch import DirectInfluence

    model, (x, given), (held, labels) = network
    body = nn.Sequential(*model[:-1]).requires_grad_(False)
    upstream = DirectInfluence(model, nn.functional.cross_entropy, DAMPING).fit(DataLoader(TensorDataset(x, given), 24))
    weights, points = weights_of(model, held, labels), torch.randn(5, 5).double()
    under = [upstream.influences(held, labels, points, torch.full((5,), c)).numpy() for c in range(3)]
    body.requires_grad_(True)
    expected = np.stack([weights @ matrix / weights.sum() for matrix in under], axis=1)
    with torch.no_grad():
        features, seen, target = (body(part).numpy() for part in (x, points, held))
    problem = HeadProblem(features, given.numpy(), model[-1].weight.detach().numpy(), model[-1].bias.detach().numpy())
    np.testing.assert_allclose(what_if(problem, seen, target, labels.numpy(), weights), expected, atol=1e-7)


def test_a_training_point_has_the_same_influence_under_its_own_label(head):
    problem, x, y, weights = head
    found = what_if(problem, np.asarray(problem.features), x, y, weights)
    own = found[np.arange(61), problem.labels]
    np.testing.assert_allclose(own, engine(problem, "auto", DAMPING).weighted_average(x, y, weights), atol=1e-7)
