"""The engine `ekfac`: pyDVL's Kronecker-factored inverse for a linear head, on factors computed here."""

from __future__ import annotations

import math

import torch

from auditor.engines import EngineOptions
from auditor.influence.base import InfluenceEngine, Problem
from auditor.influence.head import KroneckerBasis
from auditor.influence.pydvl.derivatives import Derivatives, HeadDerivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import EkfacInfluence, EkfacRepresentation


class Ekfac(Solver):
    """pyDVL's EKFAC inverse on a Kronecker factorisation in closed form.

    Trap 5: `EkfacInfluence.fit` backpropagates `sum_c sqrt(p_c) log p_c`. The squared gradient of that is not the
    Fisher matrix: it vanishes for two classes at p = 1/2, where the curvature is largest. `fit` also fails in float64
    and leaves hooks behind. So the factors are ours and exact, and pyDVL inverts with them.
    """

    name = "ekfac"
    tolerance = math.inf
    approximates = True

    def __init__(self, derivatives: Derivatives) -> None:
        assert isinstance(derivatives, HeadDerivatives), "its registration serves heads only"
        basis = KroneckerBasis(derivatives.head, limit=None)
        self._factors = EkfacRepresentation(
            ["head"], [derivatives.model], [basis.columns], [basis.classes], [basis.diagonal.flatten()]
        )

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once."""
        solved: torch.Tensor = EkfacInfluence._solve_hvp_by_layer(rhs, self._factors, damping)["head"]
        return solved, None


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(Ekfac, problem, damping, options)
