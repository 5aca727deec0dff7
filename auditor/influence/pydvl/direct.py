"""The engine `direct`: pyDVL's dense Hessian, solved by one LU factorisation."""

from __future__ import annotations

import torch
from torch import nn

from auditor.compute.hardware import available_bytes
from auditor.engines import EngineOptions, EngineSize, Memory
from auditor.influence.base import InfluenceEngine, Problem, require_memory, tolerance_for
from auditor.influence.pydvl.derivatives import Derivatives, HeadDerivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import DirectInfluence, DirectSolveOperator
from auditor.influence.pydvl.operators import Batches


class Direct(Solver):
    """pyDVL's `DirectInfluence` for a head, `DirectSolveOperator` on the Gauss-Newton matrix for a network."""

    name = "direct"

    def __init__(self, derivatives: Derivatives) -> None:
        self.tolerance = tolerance_for(derivatives.dtype)
        require_memory(needs(derivatives.size), derivatives.device)
        size = derivatives.n_parameters
        if isinstance(derivatives, HeadDerivatives):
            batches = Batches(derivatives, max(16, int(0.1 * available_bytes("cpu")) // (8 * 8 * size)))
            found = DirectInfluence(derivatives.model, nn.functional.cross_entropy, regularization=1.0).fit(batches)
            self._operator = found.block_mapper.composable_block_dict[""].op
        else:
            derivatives.expect(size)
            eye = torch.eye(size, dtype=derivatives.dtype, device=derivatives.device)
            self._operator = DirectSolveOperator(derivatives.product(eye), 1.0, in_place_regularization=True)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides by one LU factorisation."""
        self._operator.regularization = damping
        return self._operator.apply(rhs), None


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(Direct, problem, damping, options)


def needs(size: EngineSize) -> Memory:
    """The dense Hessian and its copies, P x P each."""
    return Memory(
        6 * size.width * size.n_parameters**2,
        f"the dense Hessian of {size.n_parameters} parameters",
        "choose --engine auto, cg or nystroem, which need no dense Hessian",
    )
