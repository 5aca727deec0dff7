r"""`auto` for a whole network: exact Gauss-Newton influence from inner products, or by conjugate gradient.

Let :math:`B_i` be the softmax curvature in C - 1 directions, and :math:`A` the [N (C-1), P] stack of
:math:`B_i^{1/2}J_i`. The Gauss-Newton matrix is then :math:`A^TA/N`. A training gradient is :math:`g_i = A^Tw_i` with
:math:`w_i = B_i^{-1/2}r_i`. So

.. math:: g^T(A^TA/N + \lambda)^{-1}g_i = (Ag)^T(AA^T/N + \lambda)^{-1}w_i.

One eigendecomposition of an N (C-1) square matrix of inner products therefore answers every reference point, every
damping and self-influence, whatever the number of parameters. Where N (C-1) is too large for that, conjugate gradient
on Gauss-Newton products takes over.
"""

from __future__ import annotations

import torch

from auditor.compute.hardware import available_bytes
from auditor.compute.linear import HINT, NotFiniteError, eigen, finite
from auditor.engines import EngineOptions, Listener
from auditor.errors import EngineError
from auditor.influence.base import (
    TOLERANCE,
    Array,
    InfluenceEngine,
    Inputs,
    Labels,
    NetworkProblem,
    Solve,
    SummingEngine,
    relative_norms,
)
from auditor.influence.class_basis import class_basis
from auditor.influence.gauss_newton import GaussNewtonCg
from auditor.influence.gram import combine, gram, project
from auditor.influence.jacobian import CHUNK_POINTS, Network
from auditor.influence.layers import Captured, Layer, capture, join, trained_layers

GRAM_LIMIT = 4000
"""Largest N (C-1) whose inner products are computed. Beyond it conjugate gradient is used."""

_FLOOR = 1e-12
"""Smallest eigenvalue of a softmax curvature in its inverse root. It keeps saturated points finite."""

_CHECK_POINTS = 16
"""Training points whose inner products are checked against automatic differentiation."""

_CHECK_TOLERANCE = 1e-3
"""Largest relative difference that this check lets pass."""


def network_engine(problem: NetworkProblem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """`GramEngine` where N (C-1), memory and the kinds of layers allow it; else `GaussNewtonCg`, with a note why."""
    network = Network(problem, options.device)
    reason = _why_no_gram(network)
    if not reason:
        try:
            return GramEngine(network, damping, listener=options.listener)
        except EngineError as error:
            reason = error.message
    engine = GaussNewtonCg(network, damping, listener=options.listener)
    engine.notes = (f"Conjugate gradient was used for the network because {reason}.",)
    return engine


def _why_no_gram(network: Network) -> str:
    """Why inner products cannot be used, or nothing."""
    size = network.n_points * (network.n_classes - 1)
    if size > GRAM_LIMIT:
        return (
            f"{network.n_points} points in {network.n_classes} classes make {size} logit gradients, over {GRAM_LIMIT}"
        )
    try:
        layers = trained_layers(network.model)
        one = capture(network, layers, network.images(slice(0, 1)))
    except EngineError as error:
        return error.message
    needed = 4 * one.numbers * network.n_points
    if needed > 0.4 * available_bytes(network.device):
        return f"the layers' inputs for {network.n_points} points would take {needed / 2**30:.1f} GiB"
    return ""


class GramEngine(SummingEngine):
    """Exact Gauss-Newton influence through inner products of logit gradients (see the module's formula).

    The network runs in single precision. The inner products are summed, and the system solved, in float64. A solve's
    residual is that of the N (C-1) system. The inner products of the first points are checked against automatic
    differentiation.

    Parameters
    ----------
    network
        The problem and its derivatives.
    damping
        Above 0.
    listener
        Told of every chunk of images and every layer.

    Raises
    ------
    EngineError
        When a layer is of no known kind or used twice, or when the check fails: a layer then does not do what its kind
        says.
    """

    def __init__(self, network: Network, damping: float, *, listener: Listener | None = None) -> None:
        super().__init__("auto (Gauss-Newton, exact by inner products)", damping)
        self.network = network
        self.n_classes = network.n_classes
        self._basis = class_basis(network.n_classes, torch.float64, torch.device("cpu"))
        self._listener = listener
        self._layers: list[Layer] = trained_layers(network.model)
        self._train = self._capture_training()
        kernel = gram(self._layers, self._train, self._train, self._tell)
        self._check(kernel)
        self._factor(kernel)

    def with_damping(self, damping: float) -> GramEngine:
        """The same engine at another damping; the factorisation is shared."""
        return self._copy_at(damping)

    def self_influence(self) -> Array:
        """[N], exact."""
        n, d = self._train.n_points, self._train.n_directions
        projected = (self._vectors.T * self._w).view(-1, n, d).sum(2)
        shrunk = self._values / (self._values + self.damping)
        out: Array = (n * (projected**2 * shrunk[:, None]).sum(0)).numpy()
        return out

    def _capture_training(self) -> Captured:
        parts = []
        for part in self.network.chunks():
            parts.append(capture(self.network, self._layers, self.network.images(part)))
            self._tell(-len(range(part.stop, self.network.n_points, CHUNK_POINTS)))
        return join(parts)

    def _tell(self, layers_done: int) -> None:
        """Tell of the layers done; while chunks of images are still to come, their number below zero."""
        if self._listener:
            chunks = len(range(0, self.network.n_points, CHUNK_POINTS))
            total = chunks + len(self._layers)
            self._listener("influence through the network", chunks + layers_done, total)

    def _factor(self, kernel: torch.Tensor) -> None:
        """Curvature roots, the training gradients' `w`, and the eigenvectors of the system."""
        basis, n = self._basis, self._train.n_points
        p = self._train.probabilities
        r = p - torch.nn.functional.one_hot(self.network.labels.cpu(), self.n_classes)
        curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        values, vectors = eigen(basis.T @ curvature @ basis)
        roots = values.clamp_min(_FLOOR).sqrt()
        self._roots = vectors * roots[:, None, :] @ vectors.transpose(1, 2)
        inverse_roots = vectors / roots[:, None, :] @ vectors.transpose(1, 2)
        self._w = (inverse_roots @ (r @ basis)[:, :, None])[:, :, 0].flatten()
        weighted = self._root(self._root(kernel).T)
        self._system = (weighted + weighted.T) / (2 * n)
        self._values, self._vectors = eigen(self._system)
        self._values.clamp_min_(0)

    def _root(self, rows: torch.Tensor) -> torch.Tensor:
        """Each training point's block of columns of `rows` [k, N d] times its curvature's root."""
        n, d = self._train.n_points, self._train.n_directions
        return torch.einsum("kna,nab->knb", rows.view(-1, n, d), self._roots).reshape(-1, n * d)

    def _sums(self, x: Inputs, y: Labels, weights: Array) -> Array:
        return self._answer(self._cross(x, y, weights))

    def _cross(self, x: Inputs, y: Labels, weights: Array) -> torch.Tensor:
        """[k, N d] `A g` for `k` weighted sums of reference gradients; `weights` is [k, n]."""
        network = self.network
        total = torch.zeros(len(weights), self._system.shape[0], dtype=torch.float64)
        for start in range(0, len(y), CHUNK_POINTS):
            part = slice(start, min(start + CHUNK_POINTS, len(y)))
            images = network.place(x[part])
            seen = capture(network, self._layers, images)
            targets = torch.nn.functional.one_hot(torch.as_tensor(y[part]), network.n_classes)
            reduced = (seen.probabilities - targets) @ self._basis
            spread = torch.as_tensor(weights[:, part])[:, :, None] * reduced
            if len(weights) < len(y):
                total += project(self._layers, self._train, combine(self._layers, seen, spread))
            else:
                total += spread.flatten(1) @ gram(self._layers, seen, self._train)
            if self._listener and len(y) > CHUNK_POINTS:
                self._listener("influence of the reference images", part.stop, len(y))
        return self._root(total)

    def _answer(self, rhs: torch.Tensor) -> Array:
        """[k, N] influence for [k, N d] right-hand sides; the solve is logged."""
        solution = ((rhs @ self._vectors) / (self._values + self.damping)) @ self._vectors.T
        if not finite(solution):
            raise NotFiniteError("influence through the network is not finite", hint=HINT)
        residual = solution @ self._system + self.damping * solution - rhs
        worst = float(relative_norms(residual, rhs).max())
        self._log.append(Solve(len(rhs), None, worst, worst <= TOLERANCE, self.damping))
        n, d = self._train.n_points, self._train.n_directions
        answer: Array = (solution * self._w).view(len(rhs), n, d).sum(2).numpy()
        return answer

    def _check(self, kernel: torch.Tensor) -> None:
        """Compare the first points' inner products with automatic differentiation, along one random direction."""
        network = self.network
        x, basis = network.images(slice(0, min(_CHECK_POINTS, network.n_points))), self._basis
        size = len(x) * basis.shape[1]
        generator = torch.Generator().manual_seed(0)
        weights = torch.randn(len(x), basis.shape[1], generator=generator, dtype=torch.float64)
        direction = network.pull(x, (weights @ basis.T).to(network.device, network.dtype))
        truth = (network.push(x, direction)[1].double().cpu() @ basis).flatten()
        found = kernel[:size, :size] @ weights.flatten()
        error = float(torch.linalg.vector_norm(found - truth) / torch.linalg.vector_norm(truth).clamp_min(1e-300))
        if not error <= _CHECK_TOLERANCE:
            raise EngineError(f"inner products by layer differ from automatic differentiation by {error:.1e}")
