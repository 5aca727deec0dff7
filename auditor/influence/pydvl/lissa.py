"""The engine `lissa`: pyDVL's Neumann series of curvature products on random batches."""

from __future__ import annotations

import math

import torch
from torch import nn

from auditor.compute.hardware import seeded
from auditor.engines import EngineOptions
from auditor.errors import EngineError
from auditor.influence.base import InfluenceEngine, Problem
from auditor.influence.pydvl.derivatives import Derivatives, NetworkDerivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import HessianBatchOperation, LissaOperator
from auditor.influence.pydvl.operators import BatchProducts, Indexed

MAX_STEPS = 3000


class Lissa(Solver):
    """pyDVL's `LissaOperator`.

    On a head with up to 2,048 points the batch is the whole set, and nothing is random. The scale must exceed the
    largest eigenvalue, which power iteration finds. The number of steps is chosen from scale and damping, 3,000 at
    most. The residual tells whether it was enough.
    """

    name = "lissa"
    tolerance = 1e-2
    one_at_a_time = True

    def __init__(self, derivatives: Derivatives, seed: int) -> None:
        self.derivatives, self.seed = derivatives, seed
        self._operation = (
            BatchProducts(derivatives)
            if isinstance(derivatives, NetworkDerivatives)
            else HessianBatchOperation(derivatives.model, nn.functional.cross_entropy)
        )
        self._loader = Indexed(derivatives)
        self._top = _largest_eigenvalue(derivatives, seed)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """One right-hand side at a time."""
        random = self._loader.batch_size < self.derivatives.n_points
        scale = (2.0 if random else 1.05) * self._top + damping
        steps = max(10, min(MAX_STEPS, math.ceil(scale / damping * math.log(1e4))))
        # Trap 8: pyDVL stops when steps get short. With small damping that happens long before the series has
        # converged. `rtol=0.0` switches that rule off.
        lissa = LissaOperator(
            self._operation, self._loader, damping, maxiter=steps, scale=scale, rtol=0.0, warn_on_max_iteration=False
        )
        solutions = torch.zeros_like(rhs)
        self.derivatives.expect(len(rhs) * steps * self._loader.batch_size / self.derivatives.n_points)
        with seeded(self.seed, self.derivatives.device):  # trap 7
            for row, vector in enumerate(rhs):
                if not bool(vector.any()):
                    continue
                try:
                    solutions[row] = lissa.apply(vector)
                except RuntimeError as error:
                    raise EngineError(
                        f"LiSSA diverged ({error})", hint="raise --damping, or choose --engine auto"
                    ) from error
        return solutions, steps


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(lambda derivatives: Lissa(derivatives, options.seed), problem, damping, options)


def _largest_eigenvalue(derivatives: Derivatives, seed: int, steps: int = 20) -> float:
    """The curvature's largest eigenvalue by power iteration, and a twentieth more."""
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(1, derivatives.n_parameters, generator=generator).to(derivatives.device, derivatives.dtype)
    value = 0.0
    for _ in range(steps):
        vector = vector / torch.linalg.vector_norm(vector).clamp_min(1e-30)
        product = derivatives.product(vector)
        value, vector = float((vector * product).sum()), product
    return 1.05 * value
