"""TODO auditor.influence.derivatives."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from auditor.influence.base import Array, HeadProblem, NetworkProblem, Progress
from auditor.influence.gauss_newton import GaussNewtonCg
from auditor.influence.head import LinearHead, from_flat, to_flat
from auditor.influence.jacobian import Network


class HeadDerivatives:
    """A linear head as a model of pyDVL's (`nn.Linear` in float64), its derivatives in closed form."""

    is_linear = True

    def __init__(self, problem: HeadProblem, device: str = "cpu") -> None:
        self.head: LinearHead = LinearHead(problem, device)
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
        """See `upstream.Derivatives`."""
        return to_flat(self.head.product(from_flat(v, self.n_classes)))

    def expect(self, passes: float) -> None:
        """See `upstream.Derivatives`; a head takes no time worth telling."""

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `upstream.Derivatives`."""
        return self.head.features(part), self.head.labels[part]

    def gradients(self, x: Any, y: Array, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` [k, n]."""
        return to_flat(self.head.weighted_gradient(np.asarray(x), y, weights))

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients."""
        return self.head.influences(from_flat(z, self.n_classes))


class NetworkDerivatives:
    """A network in its own precision; its curvature is the Gauss-Newton matrix.

    `progress` is told of the images that went through the network, of as many as the solver expects to need.
    """

    is_linear = False

    def __init__(self, problem: NetworkProblem, device: str = "cpu", *, progress: Progress | None = None) -> None:
        self.head: LinearHead | None = None
        self.problem = problem
        self.network = Network(problem, device)
        self._products = GaussNewtonCg(self.network, 1.0)
        self.model = self.network.model
        self.device, self.dtype = self.network.device, self.network.dtype
        self.n_points, self.n_classes = self.network.n_points, self.network.n_classes
        self.n_parameters = self.network.n_parameters
        self.full_rank = min(self.n_parameters, self.n_points * (self.n_classes - 1))
        self._progress = progress
        self._seen, self._expected = 0, 0.0

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """See `upstream.Derivatives`."""
        out = torch.empty_like(v)
        for row, direction in enumerate(v):
            out[row] = self.network.product(direction[None])[0]
            self._tell(self.n_points)
        return out

    def expect(self, passes: float) -> None:
        """See `upstream.Derivatives`."""
        self._expected = self._seen + passes * self.n_points

    def _tell(self, images: int) -> None:
        self._seen += images
        if self._progress:
            self._progress("images through the network", self._seen, max(self._seen, round(self._expected)))

    def batch_product(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """One direction [P] times the Gauss-Newton matrix of one batch."""
        self._tell(len(x))
        return self.network.batch_product(x, v) / len(x)

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `upstream.Derivatives`."""
        self._tell(part.stop - part.start)
        return self.network.images(part), self.network.labels[part]

    def gradients(self, x: Any, y: Array, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` [k, n]."""
        return self._products.gradients(x, y, weights)

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients."""
        return self._products.influences(z)


class Derivatives(Protocol):
    """What a problem must offer to pyDVL's solvers; vectors are in the order of the model's parameters."""

    model: nn.Module
    dtype: torch.dtype
    device: torch.device

    @property
    def head(self) -> LinearHead | None:
        """The head, where that is all there is."""
        ...

    @property
    def n_points(self) -> int: ...

    @property
    def n_parameters(self) -> int: ...

    @property
    def full_rank(self) -> int:
        """An upper bound of the curvature's rank."""
        ...

    @property
    def is_linear(self) -> bool:
        """True for a linear head, where Hessian and Gauss-Newton matrix are the same."""
        ...

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """[k, P] -> [k, P] times the curvature of the mean loss, without damping."""
        ...

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels of some training points, on the device."""
        ...

    def expect(self, passes: float) -> None:
        """Told by a solver how often it is going to see all points from now on, at most; for the progress."""
        ...
