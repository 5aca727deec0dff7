"""Optimisers of linear heads.

torch's own import torch's compiler when they are made. That takes a second and a half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_MEAN, _SQUARE, _LEAST = 0.9, 0.999, 1e-8


class Lbfgs(torch.optim.LBFGS):
    """torch's L-BFGS. Its method that takes parameters is called as it is, without what hides it from the compiler."""

    add_param_group = getattr(torch.optim.LBFGS.add_param_group, "__wrapped__", torch.optim.LBFGS.add_param_group)

    def descend(self, closure: Callable[[], float | torch.Tensor]) -> None:
        """Go down, by values of `closure`, which leaves the gradient of every parameter in its `grad`."""
        self.step(closure)  # type: ignore[no-untyped-call]


class Adam:
    """Adam (Kingma and Ba, 2015) with the constants of the paper, on tensors whose gradients are given.

    Parameters
    ----------
    parts
        Changed in place.
    learning_rate
        The length of a step, roughly.
    """

    def __init__(self, parts: Sequence[torch.Tensor], learning_rate: float) -> None:
        self._parts, self._rate, self._steps = parts, learning_rate, 0
        self._means = [torch.zeros_like(part) for part in parts]
        self._squares = [torch.zeros_like(part) for part in parts]

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """One step down these gradients."""
        self._steps += 1
        length = self._rate / (1 - _MEAN**self._steps)
        root = (1 - _SQUARE**self._steps) ** 0.5
        for part, gradient, mean, square in zip(self._parts, gradients, self._means, self._squares, strict=True):
            mean.lerp_(gradient, 1 - _MEAN)
            square.mul_(_SQUARE).addcmul_(gradient, gradient, value=1 - _SQUARE)
            part.addcdiv_(mean, square.sqrt().div_(root).add_(_LEAST), value=-length)
