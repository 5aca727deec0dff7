"""The linear softmax head that influence is taken from, and its exact fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute.hardware import threads_for
from auditor.compute.linear import HINT, NotFiniteError, finite
from auditor.model.optimisers import Lbfgs
from auditor.system.arrays import Array, Floats

_CACHED = 2**20
"""Numbers that a core works on at a time, so that its cache still holds them for the second reading."""


@dataclass(frozen=True)
class SoftmaxHead:
    """A linear layer that classifies by softmax: `weight` float32 [C, D], `bias` float32 [C]."""

    weight: Array
    bias: Array

    @classmethod
    def train(
        cls,
        features: Array,
        labels: Array,
        n_classes: int,
        weight_decay: float,
        *,
        start: SoftmaxHead | None = None,
        iterations: int = 60,
        device: str = "cpu",
    ) -> SoftmaxHead:
        """Minimise mean cross-entropy plus `weight_decay / 2 |W|^2` by L-BFGS. The problem is convex.

        The bias is penalised too, by a thousandth of that. So the minimum is unique, and the start does not matter.

        Parameters
        ----------
        features, labels
            float32 [N, D], and int64 [N] in 0..C-1.
        start
            A head to start from; zeros without one.
        iterations
            The most steps of L-BFGS.

        Raises
        ------
        NotFiniteError
            The head is not finite, in double precision too.
        """
        if start is None:
            start = cls(np.zeros((n_classes, features.shape[1]), np.float32), np.zeros(n_classes, np.float32))
        y = torch.as_tensor(labels, device=device)
        for dtype in (torch.float32, torch.float64):
            x = torch.as_tensor(features, dtype=dtype, device=device)
            found = _minimised(x, y, start, weight_decay, iterations)
            if found is not None:
                weight, bias = found
                return cls(weight.float().cpu().numpy(), bias.float().cpu().numpy())
        raise NotFiniteError("training a linear head gave numbers that are not finite", hint=HINT)

    def logits(self, features: Array) -> Floats:
        """Logits float64 [n, C] of features float32 [n, D], multiplied in float32."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float64)

    def probabilities(self, features: Array) -> Floats:
        """Probabilities float64 [n, C] of features float32 [n, D]."""
        z = self.logits(features)
        z = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(z / z.sum(axis=1, keepdims=True))


def _minimised(
    x: torch.Tensor, y: torch.Tensor, start: SoftmaxHead, weight_decay: float, iterations: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Weight [C, D] and bias [C] after L-BFGS from `start`, in the precision of `x` [N, D]; None if not finite."""
    weight, bias = (torch.tensor(part, dtype=x.dtype, device=x.device) for part in (start.weight, start.bias))
    done = lbfgs(
        [weight, bias], lambda: softmax_loss(x, y, weight, bias, weight_decay), iterations, 1e-5, n_numbers=x.numel()
    )
    return (weight, bias) if done and finite(weight, bias) else None


def lbfgs(
    parts: list[torch.Tensor],
    objective: Callable[[], tuple[float, torch.Tensor, torch.Tensor]],
    iterations: int,
    tolerance: float,
    *,
    n_numbers: int,
) -> bool:
    """Move `parts` to the minimum of an objective by L-BFGS. False where a gradient is not finite.

    Parameters
    ----------
    parts
        Two tensors, changed in place.
    objective
        Gives the value at `parts` and the gradient of each.
    tolerance
        The largest entry of a gradient at which descent ends.
    n_numbers
        How many numbers each step reads, for the choice of threads.
    """
    optimiser = Lbfgs(
        parts, max_iter=iterations, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=tolerance
    )

    def closure() -> float:
        value, by_first, by_second = objective()
        parts[0].grad, parts[1].grad = by_first, by_second
        if not finite(by_first, by_second):  # L-BFGS would end with an error of another name
            raise NotFiniteError("a gradient is not finite")
        return value

    try:
        with threads_for(n_numbers):
            optimiser.descend(closure)
    except NotFiniteError:
        return False
    return True


def softmax_loss(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, weight_decay: float
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """What `SoftmaxHead.train` minimises, and its gradients [C, D] and [C].

    On a processor it takes a part of the points at a time. The cache still holds the part when the gradient reads it
    again. Classes stand in rows: with ten of them the products of matrices are a third faster that way.
    """
    step = len(y) if x.is_cuda else torch.get_num_threads() * max(1, _CACHED // max(1, x.shape[1]))
    loss = torch.zeros((), dtype=torch.float64, device=x.device)
    by_weight, by_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for part, labels in zip(x.split(step), y.split(step), strict=True):
        log_p = torch.log_softmax(torch.addmm(bias[:, None], weight, part.T), dim=0)
        given = labels[None]
        loss -= log_p.gather(0, given).sum(dtype=torch.float64)
        excess = log_p.exp_().scatter_add_(0, given, torch.full_like(given, -1, dtype=log_p.dtype))
        by_weight.addmm_(excess, part)
        by_bias += excess.sum(dim=1)
    size = weight.double().square().sum() + 1e-3 * bias.double().square().sum()
    by_weight.div_(len(y)).add_(weight, alpha=weight_decay)
    by_bias.div_(len(y)).add_(bias, alpha=1e-3 * weight_decay)
    return float(loss / len(y) + 0.5 * weight_decay * size), by_weight, by_bias
