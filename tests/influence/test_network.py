"""Influence through whole networks against explicit Jacobians and the Gauss-Newton matrix in float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from auditor.errors import EngineError
from auditor.influence import HeadProblem, NetworkProblem, engine
from auditor.influence import network as network_module
from auditor.influence.gauss_newton import GaussNewtonCg
from auditor.influence.gram import gram
from auditor.influence.jacobian import Network
from auditor.influence.layers import capture, trained_layers
from auditor.influence.network import GramEngine
from auditor.model import vision


class Small(nn.Module):
    """A residual network in miniature: strided convolution, BatchNorm, in-place ReLU and sum, linear head."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(4, 6, 1, stride=2)
        self.bn2 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        out += self.skip(x)
        return self.fc(self.relu(out).mean((2, 3)))


def small(n_classes: int = 3, n: int = 9, seed: int = 0, dtype: torch.dtype = torch.float64):
    torch.manual_seed(seed)
    model = Small(n_classes)
    model.train()
    model(3 * torch.randn(50, 2, 5, 5))
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    model = model.eval().to(dtype)
    images, labels = torch.randn(n, 2, 5, 5, dtype=dtype), torch.randint(0, n_classes, (n,))
    return (
        NetworkProblem(model, images, labels),
        torch.randn(4, 2, 5, 5, dtype=dtype),
        torch.randint(0, n_classes, (4,)),
    )


def brute_force(problem: NetworkProblem, x, y, damping: float):
    """([n, N] influences, [N] self-influence) with an explicit Gauss-Newton matrix, in float64."""
    model = copy.deepcopy(problem.model).double()
    parameters = {k: p.detach() for k, p in model.named_parameters() if p.requires_grad}

    def logits(theta, image):
        return torch.func.functional_call(model, theta, (image[None],))[0]

    def jacobians(images):
        found = torch.func.vmap(torch.func.jacrev(logits), in_dims=(None, 0))(parameters, images.double())
        return torch.cat([found[k].flatten(2) for k in parameters], 2)

    def gradients(images, labels):
        p = torch.softmax(model(images.double()).detach(), 1)
        return torch.einsum("nc,ncp->np", p - nn.functional.one_hot(labels, p.shape[1]), jacobians(images))

    j = jacobians(problem.images)
    p = torch.softmax(model(problem.images.double()).detach(), 1)
    curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    matrix = torch.einsum("nap,nab,nbq->pq", j, curvature, j) / len(p)
    inverse = torch.linalg.inv(matrix + damping * torch.eye(len(matrix), dtype=torch.float64))
    train = gradients(problem.images, problem.labels)
    return (gradients(x, y) @ inverse @ train.T).numpy(), torch.einsum("np,pq,nq->n", train, inverse, train).numpy()


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("kind", [GramEngine, GaussNewtonCg])
def test_agrees_with_an_explicit_gauss_newton_matrix(n_classes, kind, monkeypatch):
    monkeypatch.setattr("auditor.influence.jacobian.CHUNK_POINTS", 4)
    monkeypatch.setattr("auditor.influence.network.CHUNK_POINTS", 3)
    problem, x, y = small(n_classes)
    found = kind(Network(problem), 0.02)
    matrix, self_influence = brute_force(problem, x, y, 0.02)
    scale = np.abs(matrix).max()
    np.testing.assert_allclose(found.rows(x, y), matrix, atol=1e-6 * scale)
    np.testing.assert_allclose(found.average(x, y), matrix.mean(0), atol=1e-6 * scale)
    by_class = found.average_by_class(x, y, n_classes)
    np.testing.assert_allclose(np.bincount(y, minlength=n_classes) / 4 @ by_class, matrix.mean(0), atol=1e-6 * scale)
    assert all(s.converged for s in found.solves)
    other = found.with_damping(3.0)
    np.testing.assert_allclose(other.rows(x, y), brute_force(problem, x, y, 3.0)[0], atol=1e-7 * scale)
    if kind is GramEngine:
        np.testing.assert_allclose(found.self_influence(), self_influence, rtol=1e-6)
    else:
        with pytest.raises(EngineError, match="9 solves"):
            found.self_influence()


@pytest.mark.parametrize("layers", [("fc",), ("conv2", "bn2", "fc"), ("conv1",), ("bn1",)])
def test_part_of_the_parameters(layers):
    problem, x, y = small(3)
    for name, p in problem.model.named_parameters():
        p.requires_grad = name.split(".")[0] in layers
    found = engine(problem, "auto", 0.1)
    assert isinstance(found, GramEngine)
    np.testing.assert_allclose(found.rows(x, y), brute_force(problem, x, y, 0.1)[0], rtol=1e-6, atol=1e-9)


def test_images_from_a_loader_in_single_precision():
    double, x, y = small(3)
    problem = NetworkProblem(double.model.float(), lambda part: double.images[part].float(), double.labels)
    expected = brute_force(double, x, y, 0.05)[0].mean(0)
    for found in (engine(problem, "auto", 0.05), GaussNewtonCg(Network(problem), 0.05)):
        np.testing.assert_allclose(found.average(x.float(), y), expected, atol=2e-3 * np.abs(expected).max())


def test_inner_products_by_either_route_and_in_tiles(monkeypatch):
    problem, _, _ = small(4, n=7)
    network = Network(problem)
    layers = trained_layers(network.model)
    assert [layer.kind for layer in layers] == ["conv", "norm", "conv", "conv", "norm", "linear"]
    seen = capture(network, layers, network.images(slice(0, 7)))
    parameters = network.parameters

    def logits(theta, image):
        return torch.func.functional_call(network.model, theta, (image[None],))[0]

    jacobian = torch.func.vmap(torch.func.jacrev(logits), in_dims=(None, 0))(parameters, problem.images)
    basis = torch.linalg.qr(torch.cat([torch.ones(4, 1), torch.eye(4)[:, :3]], 1).double())[0][:, 1:]
    flat = torch.einsum("ncp,cd->ndp", torch.cat([jacobian[k].flatten(2) for k in parameters], 2), basis).flatten(0, 1)
    truth = flat @ flat.T
    found = gram(layers, seen, seen)
    # Both bases span the same directions: the sums over directions agree.
    torch.testing.assert_close(
        found.view(7, 3, 7, 3).diagonal(dim1=1, dim2=3).sum(2), truth.view(7, 3, 7, 3).diagonal(dim1=1, dim2=3).sum(2)
    )
    monkeypatch.setattr("auditor.influence.gram._TILE_POINTS", 3)
    monkeypatch.setattr("auditor.influence.gram._BLOCK_NUMBERS", 50)
    torch.testing.assert_close(gram(layers, seen, seen), found)


def test_a_head_alone_is_the_closed_form():
    problem, x, y = small(3)
    for name, p in problem.model.named_parameters():
        p.requires_grad = name.startswith("fc")
    body = copy.deepcopy(problem.model)
    body.fc = nn.Identity()
    with torch.no_grad():
        features, reference = body(problem.images).numpy(), body(x).numpy()
    fc = problem.model.fc
    head = HeadProblem(features, problem.labels.numpy(), fc.weight.detach().numpy(), fc.bias.detach().numpy())
    expected = engine(head, "auto", 0.1).rows(reference, y.numpy())
    np.testing.assert_allclose(engine(problem, "auto", 0.1).rows(x, y), expected, atol=1e-8)


def test_layers_without_inner_products_fall_back_with_a_note(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3)).double().eval()
    problem = NetworkProblem(model, torch.randn(6, 2, 2, 2).double(), torch.tensor([0, 1, 2, 0, 1, 2]))
    x, y = torch.randn(3, 2, 2, 2).double(), torch.tensor([0, 1, 2])
    told = []
    found = engine(problem, "auto", 0.1, listener=lambda text, done, total: told.append((done, total)))
    assert isinstance(found, GaussNewtonCg) and "LayerNorm" in found.notes[0]
    np.testing.assert_allclose(found.average(x, y), brute_force(problem, x, y, 0.1)[0].mean(0), rtol=1e-5, atol=1e-9)
    assert told and all(0 < done <= total for done, total in told)
    monkeypatch.setattr(network_module, "GRAM_LIMIT", 3)
    assert "over 3" in engine(small(3)[0], "auto", 0.1).notes[0]


def test_a_shared_layer_is_noticed():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.tanh(self.a(torch.tanh(self.a(x)))))

    torch.manual_seed(0)
    problem = NetworkProblem(Twice().double().eval(), torch.randn(5, 4).double(), torch.tensor([0, 1, 0, 1, 1]))
    x, y = torch.randn(2, 4).double(), torch.tensor([0, 1])
    found = engine(problem, "auto", 0.1)
    assert "more than once" in found.notes[0]
    np.testing.assert_allclose(found.rows(x, y), brute_force(problem, x, y, 0.1)[0], rtol=1e-5, atol=1e-9)


def test_saturated_points_stay_finite():
    problem, x, y = small(2)
    with torch.no_grad():
        problem.model.fc.weight *= 300
    found = engine(problem, "auto", 0.1)
    truth, self_influence = brute_force(problem, x, y, 0.1)
    np.testing.assert_allclose(found.rows(x, y), truth, atol=1e-5 * np.abs(truth).max())
    np.testing.assert_allclose(found.self_influence(), self_influence, rtol=1e-4, atol=1e-5)


def test_resnet18_with_a_small_stem():
    torch.manual_seed(0)
    model = vision.models().resnet18(weights=None, num_classes=2)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    problem = NetworkProblem(model.eval(), torch.randn(5, 3, 8, 8), torch.tensor([0, 1, 0, 1, 1]))
    x, y = torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
    exact = engine(problem, "auto", 10.0)
    assert isinstance(exact, GramEngine)
    by_cg = GaussNewtonCg(exact.network, 10.0)
    expected = by_cg.average(x, y)
    assert by_cg.solves[0].converged
    np.testing.assert_allclose(exact.average(x, y), expected, atol=1e-3 * np.abs(expected).max())


def test_problems_that_make_no_sense_are_refused():
    problem, _, _ = small()
    with pytest.raises(EngineError, match="training mode"):
        NetworkProblem(copy.deepcopy(problem.model).train(), problem.images, problem.labels)
    frozen = copy.deepcopy(problem.model)
    for p in frozen.parameters():
        p.requires_grad = False
    with pytest.raises(EngineError, match="no parameter"):
        NetworkProblem(frozen, problem.images, problem.labels)
    with pytest.raises(EngineError, match="3 outputs"):
        Network(NetworkProblem(problem.model, problem.images, problem.labels + 1))
