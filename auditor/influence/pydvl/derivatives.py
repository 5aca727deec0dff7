"""What a problem offers to pyDVL's solvers: a model, and derivatives that this package computes.

Vectors [P] are in the order of the model's parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import nn

from auditor.engines import EngineSize, Listener
from auditor.influence.base import Array, HeadProblem, Inputs, Labels, NetworkProblem, Problem
from auditor.influence.gauss_newton import GaussNewtonCg
from auditor.influence.head import LinearHead, from_flat, to_flat
from auditor.influence.jacobian import Network


class Derivatives(ABC):
    """A problem as pyDVL's solvers see it.

    Attributes
    ----------
    problem
        The problem itself.
    model
        A torch module with the trained parameters.
    device, dtype
        Where and how precisely it computes.
    n_points, n_classes, n_parameters
        N, C and P.
    full_rank
        An upper bound of the curvature's rank.
    """

    problem: Problem
    model: nn.Module
    device: torch.device
    dtype: torch.dtype
    n_points: int
    n_classes: int
    n_parameters: int
    full_rank: int

    @property
    def size(self) -> EngineSize:
        """What memory depends on."""
        return EngineSize(self.n_parameters, self.full_rank, 8 if self.dtype == torch.float64 else 4)

    @abstractmethod
    def product(self, v: torch.Tensor) -> torch.Tensor:
        """[k, P] -> [k, P] times the curvature of the mean loss, without damping."""

    @abstractmethod
    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels of some training points, on the device."""

    @abstractmethod
    def gradients(self, x: Inputs, y: Labels, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` is [k, n]."""

    @abstractmethod
    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients."""

    @abstractmethod
    def expect(self, passes: float) -> None:
        """Hear from a solver how often, at most, it is going to see all points from now on. It serves the progress."""


class HeadDerivatives(Derivatives):
    """A linear head as `nn.Linear` in float64. Its curvature is the Hessian, in closed form."""

    problem: HeadProblem

    def __init__(self, problem: HeadProblem, device: str = "cpu") -> None:
        self.head = LinearHead(problem, device)
        self.problem = problem
        self.device, self.dtype = self.head.device, self.head.dtype
        self.n_points, self.n_classes = self.head.n_points, self.head.n_classes
        self.n_parameters = self.head.n_parameters
        self.full_rank = (self.n_classes - 1) * self.head.n_columns
        # skip_init: an ordinary layer would draw from torch's global generator, which is not ours to advance.
        model: nn.Module = nn.utils.skip_init(
            nn.Linear, self.head.n_columns - 1, self.n_classes, dtype=self.dtype, device=self.device
        )
        model.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        self.model = model.eval()

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """See `Derivatives.product`."""
        return to_flat(self.head.product(from_flat(v, self.n_classes)))

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Derivatives.batch`."""
        return self.head.features(part), self.head.labels[part]

    def gradients(self, x: Inputs, y: Labels, weights: Array) -> torch.Tensor:
        """See `Derivatives.gradients`."""
        return to_flat(self.head.weighted_gradient(np.asarray(x), y, weights))

    def influences(self, z: torch.Tensor) -> Array:
        """See `Derivatives.influences`."""
        return self.head.influences(from_flat(z, self.n_classes))

    def expect(self, passes: float) -> None:
        """See `Derivatives.expect`. A head takes no time worth telling."""


class NetworkDerivatives(Derivatives):
    """A network in its own precision. Its curvature is the Gauss-Newton matrix.

    The listener is told of the images that went through the network, out of as many as the solver expects to need.
    """

    problem: NetworkProblem

    def __init__(self, problem: NetworkProblem, device: str = "cpu", *, listener: Listener | None = None) -> None:
        self.problem = problem
        self.network = Network(problem, device)
        self.products = GaussNewtonCg(self.network, 1.0)
        self.model = self.network.model
        self.device, self.dtype = self.network.device, self.network.dtype
        self.n_points, self.n_classes = self.network.n_points, self.network.n_classes
        self.n_parameters = self.network.n_parameters
        self.full_rank = min(self.n_parameters, self.n_points * (self.n_classes - 1))
        self._listener = listener
        self._seen, self._expected = 0, 0.0

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """See `Derivatives.product`."""
        out = torch.empty_like(v)
        for row, direction in enumerate(v):
            out[row] = self.network.product(direction[None])[0]
            self._tell(self.n_points)
        return out

    def batch_product(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """One direction [P] times the Gauss-Newton matrix of one batch."""
        self._tell(len(x))
        return self.network.batch_product(x, v) / len(x)

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Derivatives.batch`."""
        self._tell(part.stop - part.start)
        return self.network.images(part), self.network.labels[part]

    def gradients(self, x: Inputs, y: Labels, weights: Array) -> torch.Tensor:
        """See `Derivatives.gradients`."""
        return self.products.gradients(x, y, weights)

    def influences(self, z: torch.Tensor) -> Array:
        """See `Derivatives.influences`."""
        return self.products.influences(z)

    def expect(self, passes: float) -> None:
        """See `Derivatives.expect`."""
        self._expected = self._seen + passes * self.n_points

    def _tell(self, images: int) -> None:
        self._seen += images
        if self._listener:
            self._listener("images through the network", self._seen, max(self._seen, round(self._expected)))
