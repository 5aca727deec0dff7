"""TODO auditor.influence.gauss_newton."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from auditor.errors import EngineError
from auditor.influence.base import (
    TOLERANCE,
    TOLERANCE_SINGLE,
    Array,
    InfluenceEngine,
    NetworkProblem,
    Progress,
    Solve,
    check_reference,
    class_weights,
)
from auditor.influence.conjugate_gradient import conjugate_gradient
from auditor.influence.gram import Captured
from auditor.influence.jacobian import CHUNK_POINTS, Network

MAX_ITERATIONS = 300


class GaussNewtonCg(InfluenceEngine):
    """Gauss-Newton influence by conjugate gradient on products with the network's Jacobian; memory does not grow.

    Parameters
    ----------
    network
        The problem and its derivatives.
    damping
        Above 0; the larger, the fewer iterations.
    progress
        Called with the iterations, of at most 300 a block of right-hand sides.
    """

    def __init__(self, network: Network, damping: float, *, progress: Progress | None = None) -> None:
        super().__init__("auto (Gauss-Newton, conjugate gradient)", damping)
        self.network = network
        self.tolerance = TOLERANCE if network.dtype == torch.float64 else TOLERANCE_SINGLE
        self._progress = progress

    def with_damping(self, damping: float) -> GaussNewtonCg:
        """The same engine at another damping."""
        other = GaussNewtonCg(self.network, damping, progress=self._progress)
        other.notes = self.notes
        return other

    def average(self, x: Any, y: Any) -> Array:
        """[N] average influence over reference images `x` [n, ...], `y` [n]."""
        y = as_labels(y)
        check_reference(x, y, self.network.n_classes)
        average: Array = self._answer(self.gradients(x, y, np.full((1, len(y)), 1 / len(y))))[0]
        return average

    def average_factor(self, x: Any, y: Any) -> tuple[NetworkProblem, torch.Tensor]:
        """The problem and the solution [1, P] of an average."""
        y = as_labels(y)
        check_reference(x, y, self.network.n_classes)
        return self.network.problem, self.solve(self.gradients(x, y, np.full((1, len(y)), 1 / len(y))))

    def average_by_class(self, x: Any, y: Any, n_classes: int) -> Array:
        """[C, N]; see `InfluenceEngine.average_by_class`. One solve a class."""
        y = as_labels(y)
        check_reference(x, y, self.network.n_classes)
        return np.concatenate([self._answer(self.gradients(x, y, row[None])) for row in class_weights(y, n_classes)])

    def rows(self, x: Any, y: Any) -> Array:
        """[n, N] rows of the influence matrix. One solve a row."""
        y = as_labels(y)
        check_reference(x, y, self.network.n_classes)
        return np.concatenate([self._answer(self.gradients(x, y, row[None])) for row in np.eye(len(y))])

    def self_influence(self) -> Array:
        """Refused: it would take one solve a training point."""
        raise EngineError(
            f"self-influence through this network would take {self.network.n_points} solves",
            hint="use --train head, where it is exact and cheap",
        )

    def gradients(self, x: Any, y: Array, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` [k, n]."""
        network = self.network
        out = torch.zeros(len(weights), network.n_parameters, dtype=network.dtype, device=network.device)
        for start in range(0, len(y), CHUNK_POINTS):
            part = slice(start, min(start + CHUNK_POINTS, len(y)))
            images = network.place(x[part])
            residuals = network.residuals(images, torch.as_tensor(y[part]))
            for row, shares in enumerate(weights[:, part]):
                if shares.any():
                    scaled = residuals * torch.as_tensor(shares, device=residuals.device)[:, None]
                    out[row] += network.pull(images, scaled)
        return out

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients, by forward mode."""
        out = np.empty((len(z), self.network.n_points))
        for part in self.network.chunks():
            images = self.network.images(part)
            residuals = self.network.residuals(images, self.network.labels[part])
            for row, direction in enumerate(z):
                tangent = self.network.push(images, direction)[1]
                out[row, part] = (tangent.double() * residuals).sum(1).cpu().numpy()
        return out

    def _answer(self, rhs: torch.Tensor) -> Array:
        return self.influences(self.solve(rhs))

    def solve(self, rhs: torch.Tensor) -> torch.Tensor:
        """[k, P] through `(G + damping I)^-1`; the solve is logged."""
        dampings = torch.full((len(rhs),), self.damping, dtype=rhs.dtype, device=rhs.device)
        solution = conjugate_gradient(
            self.network.product,
            rhs,
            dampings,
            tolerance=self.tolerance,
            max_iterations=MAX_ITERATIONS,
            restarts=1,
            progress=self._progress,
            description="influence through the network",
        )
        worst = float(solution.residuals.max())
        self._log.entries.append(Solve(len(rhs), solution.iterations, worst, worst <= self.tolerance, self.damping))
        return solution.z


def as_labels(y: Any) -> Array:
    return np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)


def probabilities_of(captured: Captured) -> torch.Tensor:
    """[n, C] softmax in float64."""
    p = torch.softmax(captured.logits, dim=1)
    if not bool(torch.isfinite(p).all()):
        raise EngineError("the network's outputs are not finite", hint="train with a smaller learning rate")
    return p
