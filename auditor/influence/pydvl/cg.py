"""The engine `cg`: pyDVL's conjugate gradient."""

from __future__ import annotations

import torch
from torch import nn

from auditor.engines import EngineOptions
from auditor.influence.base import InfluenceEngine, Problem, tolerance_for
from auditor.influence.pydvl.derivatives import Derivatives, HeadDerivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import CgOperator, HessianOperator
from auditor.influence.pydvl.operators import Batches, Products, WeightedAveraging

HEAD_ITERATIONS = 2000

NETWORK_ITERATIONS = 300


class Cg(Solver):
    """pyDVL's `CgOperator`: over its own Hessian operator for a head, over Gauss-Newton products for a network."""

    name = "cg"
    one_at_a_time = True

    def __init__(self, derivatives: Derivatives) -> None:
        self.tolerance = tolerance_for(derivatives.dtype)
        self._expect = derivatives.expect
        self._counter: WeightedAveraging | Products
        if isinstance(derivatives, HeadDerivatives):
            self.max_iterations = HEAD_ITERATIONS
            batches = Batches(derivatives, 4096)
            self._operator = HessianOperator(derivatives.model, nn.functional.cross_entropy, batches)
            self._operator.averaging = self._counter = WeightedAveraging(batches)
        else:
            self.max_iterations = NETWORK_ITERATIONS
            self._operator = self._counter = Products(derivatives)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """One right-hand side at a time."""
        solutions, before = torch.zeros_like(rhs), self._counter.products
        for row, vector in enumerate(rhs):
            norm = float(torch.linalg.vector_norm(vector))
            if norm == 0:
                continue
            self._expect(self.max_iterations * (len(rhs) - row))
            cg = CgOperator(self._operator, damping, maxiter=self.max_iterations, warn_on_max_iteration=False)
            # Trap 2: `CgOperator.apply` stops row i by coordinate i's norm and leaves later rows at zero. It also takes
            # apart a vector of one tolerance for each parameter. For a whole network (11 million) that takes minutes,
            # in which not even an interrupt is heard. So the part that solves for one row is called here.
            # Trap 3: its own tolerances are squared. This one means what it says.
            solutions[row] = cg._solve_pcg(vector, torch.tensor(0.5 * self.tolerance * norm))
        return solutions, (self._counter.products - before) // max(1, len(rhs))


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(Cg, problem, damping, options)
