"""A weighted reference against pyDVL's own matrix, on heads and on a whole network, and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydvl.influence.torch import DirectInfluence
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.errors import EngineError
from auditor.influence import HeadProblem, InfluenceEngine, NetworkProblem, engine
from auditor.influence.pydvl.cluster import cluster, dask_average
from auditor.influence.weighing import as_shares, given_probability, pull

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
        return given_probability(model(x).softmax(1).numpy(), y.numpy())


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


def test_a_weighted_reference_is_pydvls_own_matrix_on_the_whole_network(network):
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


def test_a_cluster_weighs_too(head):
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
