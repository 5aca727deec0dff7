"""pyDVL's solvers, and the one place that works around what bites in pyDVL 0.10 (each trap is named where it is met).

A `Solver` applies an inverse: [k, P] gradients and a damping to [k, P] solutions. Gradients, products and residuals are
computed by this package (`Derivatives`), so every solver is judged by the same exact residual. Importing this module
imports pyDVL; whoever else needs a name of pyDVL's takes it from here.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import nn

from auditor.compute.hardware import available_bytes, seeded
from auditor.errors import EngineError
from auditor.influence.derivatives import Derivatives
from auditor.influence.head import KroneckerBasis
from auditor.influence.pydvl.library import (
    CgOperator,
    DirectInfluence,
    DirectSolveOperator,
    EkfacInfluence,
    EkfacRepresentation,
    HessianBatchOperation,
    HessianOperator,
    InverseHarmonicMeanOperator,
    LissaOperator,
    LowRankOperator,
    LowRankProductRepresentation,
    operator_nystroem_approximation,
)
from auditor.influence.pydvl.limits import ihm_points, low_rank, require_engine
from auditor.influence.pydvl.operators import Batches, BatchProducts, Indexed, Products, WeightedAveraging

LISSA_STEPS = 3000

CG_ITERATIONS = 2000

LANCZOS_PRODUCTS = 4
"""Products an eigenpair, as Lanczos with twice as many vectors usually takes."""


class Solver(Protocol):
    """Applies the inverse of a damped curvature."""

    tolerance: float
    """Largest relative residual against the exact curvature that counts as converged."""
    exact: bool
    """False where the solver replaces the curvature by an approximation of its own."""

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """[k, P] through the inverse, and the iterations it took where they are known."""
        ...


class Cg:
    """pyDVL's `CgOperator`, over pyDVL's own Hessian operator for a head and Gauss-Newton products for a network."""

    exact = True

    def __init__(self, derivatives: Derivatives, max_iterations: int = CG_ITERATIONS) -> None:
        self.tolerance = 1e-8 if derivatives.dtype == torch.float64 else 1e-4
        self.max_iterations = max_iterations
        self._expect = derivatives.expect
        self._counter: WeightedAveraging | Products
        if derivatives.is_linear:
            batches = Batches(derivatives, 4096)
            self._operator = HessianOperator(derivatives.model, nn.functional.cross_entropy, batches)
            self._operator.averaging = self._counter = WeightedAveraging(batches)
        else:
            self._operator = self._counter = Products(derivatives)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """One right-hand side at a time, by the part of `CgOperator` that solves for one.

        Trap 2: its `apply` stops row i by coordinate i's norm and leaves rows beyond the number of parameters at zero,
        and takes a vector of one tolerance a parameter apart, which for a whole network (11 million) takes minutes in
        which not even an interrupt is heard. Trap 3: its own tolerances are squared; this one is what is meant.
        """
        solutions, before = torch.zeros_like(rhs), self._counter.products
        for row, vector in enumerate(rhs):
            norm = float(torch.linalg.vector_norm(vector))
            if norm == 0:
                continue
            self._expect(self.max_iterations * (len(rhs) - row))
            cg = CgOperator(self._operator, damping, maxiter=self.max_iterations, warn_on_max_iteration=False)
            solutions[row] = cg._solve_pcg(vector, torch.tensor(0.5 * self.tolerance * norm))
        return solutions, (self._counter.products - before) // max(1, len(rhs))


class Direct:
    """pyDVL's `DirectInfluence` (a head) or `DirectSolveOperator` on the Gauss-Newton matrix (a network)."""

    exact = True

    def __init__(self, derivatives: Derivatives) -> None:
        self.tolerance = 1e-8 if derivatives.dtype == torch.float64 else 1e-4
        size, width = derivatives.n_parameters, 8 if derivatives.dtype == torch.float64 else 4
        require_engine("direct", size, derivatives.full_rank, derivatives.device, width=width)
        if derivatives.is_linear:
            batches = Batches(derivatives, max(16, int(0.1 * available_bytes("cpu")) // (8 * 8 * size)))
            found = DirectInfluence(derivatives.model, nn.functional.cross_entropy, regularization=1.0).fit(batches)
            operator = found.block_mapper.composable_block_dict[""].op
            self._operator = operator
        else:
            derivatives.expect(size)
            eye = torch.eye(size, dtype=derivatives.dtype, device=derivatives.device)
            self._operator = DirectSolveOperator(derivatives.product(eye), 1.0, in_place_regularization=True)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides by one LU factorisation."""
        self._operator.regularization = damping
        return self._operator.apply(rhs), None


class LowRank:
    """pyDVL's `LowRankOperator`, always with the Woodbury complement, on a Nystroem sketch or Lanczos eigenpairs.

    Trap 8: both are exact once the rank reaches the curvature's, (C-1)(D+1) for a head. Without `exact=True` (Arnoldi's
    default, `use_woodbury=False`) everything outside the factor would be dropped instead of divided by the damping.
    """

    exact = False
    tolerance = 1e-2

    def __init__(self, derivatives: Derivatives, kind: str, seed: int) -> None:
        size = derivatives.n_parameters
        self.rank = low_rank(size, derivatives.full_rank)
        require_engine(kind, size, derivatives.full_rank, derivatives.device)
        operator = Products(derivatives)
        derivatives.expect(self.rank if kind == "nystroem" else LANCZOS_PRODUCTS * self.rank)
        if kind == "arnoldi":
            self._factor = _eigenpairs(operator, self.rank, seed)
            return
        # pyDVL draws from torch's global generator: seeded here, and put back.
        with seeded(seed, derivatives.device), _quiet("pydvl"):
            self._factor = operator_nystroem_approximation(operator, self.rank)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once."""
        return LowRankOperator(self._factor, damping, exact=True).apply(rhs).contiguous(), None


def _eigenpairs(operator: Products, rank: int, seed: int) -> LowRankProductRepresentation:
    """As pyDVL's `operator_spectral_approximation`, but from a seeded start: ARPACK's own differs from run to run."""

    def apply(vector: Any) -> Any:
        x = torch.as_tensor(np.asarray(vector).reshape(-1), dtype=operator.dtype, device=operator.device)
        return operator.apply(x).cpu().numpy()

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


class Lissa:
    """pyDVL's `LissaOperator`: a Neumann series of curvature products on random batches (trap 8).

    With up to 2,048 points the batch is the whole set and nothing is random. The scale must exceed the largest
    eigenvalue and is found by power iteration. pyDVL stops when steps get short, which with small damping happens long
    before the series has converged; that rule is switched off, the step count is chosen from scale and damping
    (3,000 at most), and the residual tells whether it was enough.
    """

    exact = False
    tolerance = 1e-2

    def __init__(self, derivatives: Derivatives, seed: int) -> None:
        self.derivatives, self.seed = derivatives, seed
        self._operation = (
            HessianBatchOperation(derivatives.model, nn.functional.cross_entropy)
            if derivatives.is_linear
            else BatchProducts(derivatives)
        )
        self._loader = Indexed(derivatives)
        self._top = _largest_eigenvalue(derivatives, seed)

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """One right-hand side at a time."""
        random = self._loader.batch_size < self.derivatives.n_points
        scale = (2.0 if random else 1.05) * self._top + damping
        steps = max(10, min(LISSA_STEPS, math.ceil(scale / damping * math.log(1e4))))
        lissa = LissaOperator(
            self._operation, self._loader, damping, maxiter=steps, scale=scale, rtol=0.0, warn_on_max_iteration=False
        )
        solutions = torch.zeros_like(rhs)
        self.derivatives.expect(len(rhs) * steps * self._loader.batch_size / self.derivatives.n_points)
        with seeded(self.seed, self.derivatives.device):
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


def _largest_eigenvalue(derivatives: Derivatives, seed: int, steps: int = 20) -> float:
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(1, derivatives.n_parameters, generator=generator).to(derivatives.device, derivatives.dtype)
    value = 0.0
    for _ in range(steps):
        vector = vector / torch.linalg.vector_norm(vector).clamp_min(1e-30)
        product = derivatives.product(vector)
        value, vector = float((vector * product).sum()), product
    return 1.05 * value


class Ihm:
    """pyDVL's `InverseHarmonicMeanOperator`: the mean of inverses of damped rank-one matrices, not of their sum.

    An approximation that orders points much as one step of gradient similarity does; its residual against the exact
    curvature is large by design and is reported.
    """

    exact = False
    tolerance = math.inf

    def __init__(self, derivatives: Derivatives) -> None:
        require_engine("ihm", derivatives.n_parameters, derivatives.full_rank, derivatives.device)
        self.derivatives = derivatives
        self._batches = Batches(derivatives, min(ihm_points(derivatives.n_parameters, derivatives.device), 512))

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once."""
        operator = InverseHarmonicMeanOperator(
            self.derivatives.model, nn.functional.cross_entropy, self._batches, damping
        )
        operator.averaging = WeightedAveraging(self._batches)
        self.derivatives.expect(1)
        return operator.apply(rhs).detach(), None


class Ekfac:
    """pyDVL's EKFAC inverse for a linear head, on a Kronecker factorisation computed in closed form.

    Trap 7, and worse: besides failing in float64 and leaving hooks behind, `EkfacInfluence.fit` backpropagates
    `sum_c sqrt(p_c) log p_c`, whose squared gradient is not the Fisher matrix (it vanishes for two classes at
    p = 1/2, where the curvature is largest). So the factors are ours, exact, and pyDVL inverts with them.
    """

    exact = False
    tolerance = math.inf

    def __init__(self, derivatives: Derivatives) -> None:
        if derivatives.head is None:
            raise EngineError(
                "pyDVL's ekfac handles linear layers only, and factors them from a gradient that is not the Fisher's",
                hint="choose --engine auto, or --train head, where the factors are computed here",
            )
        basis = KroneckerBasis(derivatives.head, limit=None)
        self._factors = EkfacRepresentation(
            ["head"], [derivatives.model], [basis.columns], [basis.classes], [basis.diagonal.flatten()]
        )

    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """All right-hand sides at once."""
        solved: torch.Tensor = EkfacInfluence._solve_hvp_by_layer(rhs, self._factors, damping)["head"]
        return solved, None


@dataclass
class _quiet:
    """Silences a logger that reports what is dealt with here (a Cholesky of a rank-deficient sketch, say)."""

    name: str
    level: int = logging.NOTSET

    def __enter__(self) -> None:
        self.level = logging.getLogger(self.name).level
        logging.getLogger(self.name).setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.getLogger(self.name).setLevel(self.level)


def solver(name: str, derivatives: Derivatives, seed: int) -> Solver:
    """The solver called `name`; `EngineError` where it cannot serve this model."""
    if name == "cg":
        return Cg(derivatives) if derivatives.is_linear else Cg(derivatives, 300)
    if name == "direct":
        return Direct(derivatives)
    if name in ("nystroem", "arnoldi"):
        return LowRank(derivatives, name, seed)
    if name == "lissa":
        return Lissa(derivatives, seed)
    if name == "ekfac":
        return Ekfac(derivatives)
    if name == "ihm":
        return Ihm(derivatives)
    raise EngineError(f"pyDVL has no engine '{name}'")
