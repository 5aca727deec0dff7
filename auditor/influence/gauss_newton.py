"""Influence through a whole network by conjugate gradient on Gauss-Newton products; memory does not grow with N."""

from __future__ import annotations

import numpy as np
import torch

from auditor.engines import Listener
from auditor.errors import EngineError
from auditor.influence.base import (
    Array,
    Inputs,
    Labels,
    NetworkProblem,
    Solve,
    SummingEngine,
    mean_weights,
    tolerance_for,
)
from auditor.influence.conjugate_gradient import Stopping, Systems, conjugate_gradient
from auditor.influence.jacobian import CHUNK_POINTS, Network

MAX_ITERATIONS = 300


class GaussNewtonCg(SummingEngine):
    """Gauss-Newton influence by conjugate gradient on products with the network's Jacobian.

    Averages by class take one solve for each class, rows one for each row.

    Parameters
    ----------
    network
        The problem and its derivatives.
    damping
        Above 0. The larger it is, the fewer iterations are needed.
    listener
        Told the iterations, of at most 300 for a block of right-hand sides.

    Raises
    ------
    EngineError
        When the damping is not above 0.
    """

    def __init__(self, network: Network, damping: float, *, listener: Listener | None = None) -> None:
        super().__init__("auto (Gauss-Newton, conjugate gradient)", damping)
        self.network = network
        self.n_classes = network.n_classes
        self.tolerance = tolerance_for(network.dtype)
        self._listener = listener

    def with_damping(self, damping: float) -> GaussNewtonCg:
        """The same engine at another damping."""
        other = self._copy_at(damping)
        other.notes = self.notes
        return other

    def average_factor(self, x: Inputs, y: Inputs, weights: Array | None = None) -> tuple[NetworkProblem, torch.Tensor]:
        """The problem and the solution [1, P] of an average."""
        labels = self._checked(x, y)
        return self.network.problem, self.solve(self.gradients(x, labels, mean_weights(labels, weights)))

    def self_influence(self) -> Array:
        """Refused: it would take one solve for each training point.

        Raises
        ------
        EngineError
            Always.
        """
        raise EngineError(
            f"self-influence through this network would take {self.network.n_points} solves",
            hint="use --train head, where it is exact and cheap",
        )

    def gradients(self, x: Inputs, y: Labels, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` is [k, n]."""
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

    def solve(self, rhs: torch.Tensor) -> torch.Tensor:
        """[k, P] through `(G + damping I)^-1`; the solve is logged."""
        dampings = torch.full((len(rhs),), self.damping, dtype=rhs.dtype, device=rhs.device)
        solution = conjugate_gradient(
            Systems(self.network.product, rhs, dampings),
            Stopping(self.tolerance, MAX_ITERATIONS, restarts=1),
            listener=self._listener,
            description="influence through the network",
        )
        worst = float(solution.residuals.max())
        self._log.append(Solve(len(rhs), solution.iterations, worst, worst <= self.tolerance, self.damping))
        return solution.z

    def _sums(self, x: Inputs, y: Labels, weights: Array) -> Array:
        return np.concatenate([self.influences(self.solve(self.gradients(x, y, row[None]))) for row in weights])
