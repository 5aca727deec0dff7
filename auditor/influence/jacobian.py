r"""First derivatives of a whole network, in chunks: products with the Jacobian of the logits and with its transpose.

The curvature over network parameters is the generalised Gauss-Newton matrix
:math:`G = \frac1N\sum_i J_i^T(\mathrm{diag}\,p_i - p_i p_i^T)J_i` (Schraudolph 2002; Martens 2020). It is the Hessian
without the term that holds the network's own second derivatives. For a linear head the two are equal. `G` is positive
semi-definite, so any damping above 0 makes the system positive definite. The Hessian of a network away from its minimum
does not give that. pyDVL's `GAUSS_NEWTON` is another matrix: the empirical Fisher :math:`\frac1N\sum g_i g_i^T`.

Nothing here forms an [N, P] array.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.func import functional_call, jvp, vjp

from auditor.errors import EngineError
from auditor.influence.base import Images, Inputs, NetworkProblem

CHUNK_POINTS = 128
"""Images in one pass. This also bounds the activations held at once."""


class Network:
    """A problem's trained parameters as one vector [P], and its derivative products.

    Parameters
    ----------
    problem
        Network, images and labels.
    device
        Where to compute. The model is moved there.

    Raises
    ------
    EngineError
        When the labels do not fit the network's outputs.
    """

    def __init__(self, problem: NetworkProblem, device: str = "cpu") -> None:
        self.problem = problem
        self.device = torch.device(device)
        self.model = problem.model.to(self.device)
        self.parameters = {k: p.detach() for k, p in self.model.named_parameters() if p.requires_grad}
        self.shapes = {k: p.shape for k, p in self.parameters.items()}
        self.dtype = next(iter(self.parameters.values())).dtype
        self.labels = problem.labels.to(self.device)
        self.n_points = problem.n_points
        self.n_parameters = problem.n_parameters
        first = self.logits(self.images(slice(0, 1)))
        self.n_classes = int(first.shape[1])
        if int(self.labels.max()) >= self.n_classes or int(self.labels.min()) < 0:
            raise EngineError(f"labels do not fit a network with {self.n_classes} outputs")

    def images(self, part: slice) -> torch.Tensor:
        """Training images [n, ...] of one slice, on the device."""
        return self.place(take(self.problem.images, part))

    def place(self, x: Inputs) -> torch.Tensor:
        """Images on the network's device, in its precision."""
        return torch.as_tensor(x).to(self.device, self.dtype)

    def chunks(self) -> Iterator[slice]:
        """Slices of the training points."""
        for start in range(0, self.n_points, CHUNK_POINTS):
            yield slice(start, min(start + CHUNK_POINTS, self.n_points))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """[n, C] outputs of the network."""
        with torch.no_grad():
            out: torch.Tensor = self.model(x)
        return out

    def probabilities(self, x: torch.Tensor) -> torch.Tensor:
        """[n, C] softmax in float64; `EngineError` when it is not finite."""
        p = torch.softmax(self.logits(x).double(), dim=1)
        if not bool(torch.isfinite(p).all()):
            raise EngineError("the network's outputs are not finite", hint="train with a smaller learning rate")
        return p

    def residuals(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """[n, C] `p - e_y` in float64: the gradient of the cross-entropy by the logits."""
        p = self.probabilities(x)
        p[torch.arange(len(p), device=p.device), y.to(p.device)] -= 1
        return p

    def push(self, x: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [n, C], and their directional derivative `J v` [n, C] along `v` [P], by forward mode."""
        with torch.no_grad():
            found: Any = jvp(self._function(x), (self.parameters,), (self.unflatten(v),))
        return found[0], found[1]

    def pull(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """`sum_i J_i^T u_i` [P] for `u` [n, C]."""
        found: Any = vjp(self._function(x), self.parameters)
        (gradient,) = found[1](u.to(self.dtype))
        return torch.cat([gradient[k].reshape(-1) for k in self.parameters])

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """[k, P] -> [k, P]: each direction times the Gauss-Newton matrix, without damping."""
        out = torch.zeros_like(v)
        for part in self.chunks():
            x = self.images(part)
            for row, direction in enumerate(v):
                out[row] += self.batch_product(x, direction)
        return out / self.n_points

    def batch_product(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """[P] -> [P]: `sum_i J_i^T B_i J_i v` over one batch of images, not divided by its size."""
        logits, tangent = self.push(x, v)
        p = torch.softmax(logits, dim=1)
        return self.pull(x, p * (tangent - (p * tangent).sum(1, keepdim=True)))

    def unflatten(self, v: torch.Tensor) -> dict[str, torch.Tensor]:
        """A vector [P] as named parameters."""
        parts = torch.split(v, [shape.numel() for shape in self.shapes.values()])
        return {k: part.view(shape) for part, (k, shape) in zip(parts, self.shapes.items(), strict=True)}

    def _function(self, x: torch.Tensor) -> Any:
        return lambda parameters: functional_call(self.model, parameters, (x,))


def take(images: Images, part: slice) -> torch.Tensor:
    """Images of one slice, from a tensor or a function."""
    return images(part) if callable(images) else images[part]
