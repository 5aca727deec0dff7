"""The optimiser of linear heads at the minimum of their loss.

torch's own imports torch's compiler when it is made. That takes a second and a half.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


class Lbfgs(torch.optim.LBFGS):
    """torch's L-BFGS. Its method that takes parameters is called as it is, without what hides it from the compiler."""

    add_param_group = getattr(torch.optim.LBFGS.add_param_group, "__wrapped__", torch.optim.LBFGS.add_param_group)

    def descend(self, closure: Callable[[], float | torch.Tensor]) -> None:
        """Go down, by values of `closure`, which leaves the gradient of every parameter in its `grad`."""
        self.step(closure)  # type: ignore[no-untyped-call]
