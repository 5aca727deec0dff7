"""The same linear softmax head, found in fewer steps: descent goes along the directions in which features vary.

A head's objective is curved much in the few directions in which features vary most, and in all others by its weight
decay alone. L-BFGS has to learn that from many gradients. Here the leading directions are found once, from the features
alone, and every head on them descends in coordinates in which all curvatures are alike. The minimum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute.hardware import threads_for
from auditor.compute.linear import eigen, finite, orthonormal
from auditor.model.softmax_head import SoftmaxHead, lbfgs, softmax_loss
from auditor.system.arrays import Array

DIRECTIONS = 128
"""Leading directions that are stretched. More cost as much as they save at a few thousand points."""

_POINTS = 2048
"""Evenly spaced points from which directions are found. They only speed up the descent, and rough ones serve."""

_ITERATIONS = 60

_GRADIENT = 1e-5
"""The largest entry of a gradient at which descent ends, in the head's own coordinates, beside the directions."""

_ROUNDS = 2
"""Rounds of subspace iteration (Halko et al., 2011)."""


@dataclass(frozen=True)
class Whitening:
    """Where features vary: orthonormal `directions` float32 [D, r], second moments along them [r], and beside them.

    `rest` is the mean second moment of all other directions.
    """

    directions: torch.Tensor
    moments: torch.Tensor
    rest: float

    @classmethod
    def of(cls, points: Array, device: str = "cpu") -> Whitening:
        """The directions of float32 [n, D] points; use those of `spaced`."""
        x = torch.as_tensor(points, device=device)
        n, width = x.shape
        rank = min(DIRECTIONS, n, width)
        drawn = torch.randn(rank, width, generator=torch.Generator().manual_seed(0)).to(x)
        with threads_for(x.numel()):
            rows = orthonormal(drawn)
            for _ in range(_ROUNDS):
                rows = orthonormal((rows @ x.T) @ x)
            along = x @ rows.T
            moments, vectors = eigen(along.T @ along / max(1, n))
            total = float(x.square().sum(dtype=torch.float64)) / max(1, n)
        rest = max(0.0, total - float(moments.sum())) / max(1, width - rank)
        return cls(rows.T @ vectors, moments.clamp_min(0), rest)

    def steps(self, n_classes: int, weight_decay: float) -> tuple[torch.Tensor, float]:
        """How long a step is: along each direction [r], and in all others.

        At equal probabilities the cross-entropy is curved by a moment over C.
        """
        return (weight_decay + self.moments / n_classes).rsqrt(), (weight_decay + self.rest / n_classes) ** -0.5


def spaced(n: int) -> Array:
    """int64 rows of `n` points from which directions are found."""
    return np.linspace(0, n - 1, min(n, _POINTS)).astype(np.int64)


def train_along(
    whitening: Whitening,
    points: tuple[Array, Array],
    n_classes: int,
    weight_decay: float,
    *,
    start: SoftmaxHead | None = None,
    device: str = "cpu",
) -> SoftmaxHead:
    """Minimise what `SoftmaxHead.train` minimises, along directions of its features.

    Parameters
    ----------
    points
        Features float32 [N, D] and labels int64 [N] in 0..C-1.
    weight_decay
        Above 0.
    start
        A head to start from; zeros without one.

    Raises
    ------
    NotFiniteError
        As `SoftmaxHead.train`, which has the last word where single precision fails.
    """
    features, labels = points
    x, y = torch.as_tensor(features, device=device), torch.as_tensor(labels, device=device)
    found = _descended(x, y, start or _zeros(n_classes, x.shape[1]), weight_decay, whitening)
    if found is None:
        return SoftmaxHead.train(features, labels, n_classes, weight_decay, start=start, device=device)
    return SoftmaxHead(*(part.cpu().numpy() for part in found))


def _zeros(n_classes: int, n_features: int) -> SoftmaxHead:
    return SoftmaxHead(np.zeros((n_classes, n_features), np.float32), np.zeros(n_classes, np.float32))


def _descended(
    x: torch.Tensor, y: torch.Tensor, start: SoftmaxHead, weight_decay: float, whitening: Whitening
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Weight [C, D] and bias [C] after L-BFGS from `start`; None if not finite."""
    n_classes, directions = len(start.bias), whitening.directions
    lengths, beside = whitening.steps(n_classes, weight_decay)
    of_bias = (1 / n_classes + 1e-3 * weight_decay) ** -0.5

    def stretched(weight: torch.Tensor, along: torch.Tensor, others: float) -> torch.Tensor:
        return torch.addmm(weight, (weight @ directions) * (along - others), directions.T, beta=others)

    weight, bias = (torch.tensor(part, dtype=x.dtype, device=x.device) for part in (start.weight, start.bias))
    moved = [stretched(weight, 1 / lengths, 1 / beside), bias / of_bias]
    tolerance = _GRADIENT * weight_decay**-0.5

    def objective() -> tuple[float, torch.Tensor, torch.Tensor]:
        loss, by_weight, by_bias = softmax_loss(
            x, y, stretched(moved[0], lengths, beside), moved[1] * of_bias, weight_decay
        )
        return loss, stretched(by_weight, lengths, beside), by_bias * of_bias

    if not lbfgs(moved, objective, _ITERATIONS, tolerance, n_numbers=x.numel()):
        return None
    found = stretched(moved[0], lengths, beside), moved[1] * of_bias
    return found if finite(*found) else None
