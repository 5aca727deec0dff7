"""The engines `nystroem` and `arnoldi`: pyDVL's low-rank factors of the curvature.

Both are exact once the rank reaches the curvature's, (C-1)(D+1) for a head.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from auditor.compute.hardware import seeded
from auditor.engines import EngineOptions, EngineSize, Memory
from auditor.errors import EngineError
from auditor.influence.base import Array, InfluenceEngine, Problem, require_memory
from auditor.influence.pydvl.derivatives import Derivatives
from auditor.influence.pydvl.engine import Solver, opened
from auditor.influence.pydvl.library import (
    LowRankOperator,
    LowRankProductRepresentation,
    operator_nystroem_approximation,
    quiet,
)
from auditor.influence.pydvl.operators import FACTOR_NUMBERS, Products

RANK = 512
"""Largest rank of a factor, but for one more."""

LANCZOS_PRODUCTS = 4
"""Products for each eigenpair, as Lanczos with twice as many vectors usually takes."""


class LowRank(Solver):
    """pyDVL's `LowRankOperator` on a Nystroem sketch or on Lanczos eigenpairs."""

    tolerance = 1e-2

    def __init__(self, name: str, derivatives: Derivatives, seed: int) -> None:
        self.name = name
        rank = _rank(derivatives.size)
        require_memory(needs(derivatives.size), derivatives.device)
        operator = Products(derivatives)
        if name == "arnoldi":
            derivatives.expect(LANCZOS_PRODUCTS * rank)
            self._factor = _eigenpairs(operator, rank, seed)
            return
        derivatives.expect(rank)
        with seeded(seed, derivatives.device), quiet():  # trap 7
            self._factor = operator_nystroem_approximation(operator, rank)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once, with the Woodbury complement."""
        # Trap 6: without `exact=True` (the default of pyDVL's Arnoldi) everything outside the factor would be dropped,
        # where it should be divided by the damping.
        return LowRankOperator(self._factor, damping, exact=True).apply(rhs).contiguous(), None


def open_nystroem(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(lambda derivatives: LowRank("nystroem", derivatives, options.seed), problem, damping, options)


def open_arnoldi(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """See `auditor.engines.Opener`."""
    return opened(lambda derivatives: LowRank("arnoldi", derivatives, options.seed), problem, damping, options)


def needs(size: EngineSize) -> Memory:
    """The factor and its copies, P x rank each."""
    rank = _rank(size)
    return Memory(6 * 8 * size.n_parameters * rank, f"a factor of rank {rank} of {size.n_parameters} parameters")


def _rank(size: EngineSize) -> int:
    n_parameters = size.n_parameters
    return min(size.rank, max(1, min(RANK + 1, FACTOR_NUMBERS // n_parameters, n_parameters - 1)))


def _eigenpairs(operator: Products, rank: int, seed: int) -> LowRankProductRepresentation:
    """The largest eigenvalues and their vectors.

    Trap 6: this is pyDVL's `operator_spectral_approximation` from a seeded start. Its own start differs in each run.
    """

    def apply(vector: Array) -> npt.NDArray[Any]:
        x = torch.as_tensor(np.asarray(vector).reshape(-1), dtype=operator.dtype, device=operator.device)
        product: npt.NDArray[Any] = operator.apply(x).cpu().numpy()
        return product

    size = operator.input_size
    start = np.random.default_rng(seed).normal(size=size)
    kind = np.float64 if operator.dtype == torch.float64 else np.float32
    matrix = LinearOperator((size, size), matvec=apply, dtype=kind)
    try:
        values, vectors = eigsh(matrix, k=rank, v0=start.astype(kind), tol=1e-8)
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
        if not len(values):
            raise EngineError("Arnoldi found no eigenpair", hint="choose --engine auto") from error
    return LowRankProductRepresentation(
        torch.as_tensor(values.copy()).to(operator.device, operator.dtype).clamp_min(0),
        torch.as_tensor(vectors.copy()).to(operator.device, operator.dtype),
    )
