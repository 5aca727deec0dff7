"""The engine `ihm`: pyDVL's inverse harmonic mean, the mean of inverses of damped rank-one matrices."""

from __future__ import annotations

import math

import torch
from torch import nn

from auditor.compute import hardware
from auditor.engines import EngineOptions, EngineSize, Memory
from auditor.influence.base import InfluenceEngine, Problem, require_memory
from auditor.influence.pydvl.derivatives import Derivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import InverseHarmonicMeanOperator
from auditor.influence.pydvl.operators import Batches, WeightedAveraging

_SHARE = 0.2
"""Of the free memory, for the gradients of a batch."""

_POINT_BYTES = 4 * 8
"""Bytes a parameter for one point: four copies of its gradient."""


class Ihm(Solver):
    """pyDVL's `InverseHarmonicMeanOperator`: the mean of inverses, where the inverse of the mean is wanted.

    It orders points much as one step of gradient similarity does. Its residual against the exact curvature is large by
    design, and is reported.
    """

    name = "ihm"
    tolerance = math.inf
    approximates = True

    def __init__(self, derivatives: Derivatives) -> None:
        require_memory(needs(derivatives.size), derivatives.device)
        self.derivatives = derivatives
        share = int(_SHARE * hardware.available_bytes(derivatives.device))
        fitting = share // (_POINT_BYTES * derivatives.n_parameters)
        self._batches = Batches(derivatives, max(1, min(fitting, 512)))

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once."""
        operator = InverseHarmonicMeanOperator(
            self.derivatives.model, nn.functional.cross_entropy, self._batches, damping
        )
        operator.averaging = WeightedAveraging(self._batches)
        self.derivatives.expect(1)
        return operator.apply(rhs).detach(), None


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(Ihm, problem, damping, options)


def needs(size: EngineSize) -> Memory:
    """Gradients of four points: a batch may take a fifth of what is free, an engine four fifths."""
    return Memory(4 * _POINT_BYTES * size.n_parameters, f"a batch of ihm's gradients of {size.n_parameters} parameters")
