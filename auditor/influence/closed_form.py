"""The engine behind `auto` for a linear head: exact answers from closed-form products, dense or by conjugate gradient.

Softmax probabilities sum to one, so neither gradients nor Hessian have a part along "add the same to every class".
With damping that direction must not be dropped from the inverse but is orthogonal to everything that enters it: the
system is solved exactly in the C - 1 remaining directions (for two classes: their difference), which halves the
two-class Hessian in each dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from auditor.compute.hardware import SMALL, require, threads_for
from auditor.errors import EngineError
from auditor.influence.base import TOLERANCE, Array, HeadProblem, InfluenceEngine, Progress, Solve
from auditor.influence.conjugate_gradient import Operator, Solution, Told, conjugate_gradient, relative_residuals
from auditor.influence.head import KroneckerBasis, LinearHead, to_flat

DENSE_LIMIT = 600
"""Largest (C - 1)(D + 1) at which `auto` builds the dense Hessian: beyond, conjugate gradient is faster."""

EXACT_SELF_LIMIT = 1600
"""Largest (C - 1)(D + 1) at which self-influence is exact, from a dense Hessian built for the purpose."""

MAX_ITERATIONS = 2000

REFINEMENTS = 4
"""Solves in single precision that a double one is tried by; two are enough unless rounding is in the way."""

SOLVING = "solving for influence"

MANY_CLASSES = 128
"""More classes than this do without a preconditioner where applying it costs more than a product, that is with fewer
images than classes and features: at 300 classes it spares no iteration and makes each four times as long."""

_MANY_DAMPINGS = 3
"""Dampings factored one by one by Cholesky (a tenth of the work) before eigenvectors serve all that follow."""

_BLOCK_NUMBERS = 2**24
"""Numbers in one block of right-hand sides; larger sets are solved block by block."""


def class_basis(n_classes: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """[C, C-1] orthonormal columns, each orthogonal to the vector of ones (Helmert's basis)."""
    basis = torch.zeros(n_classes, n_classes - 1, dtype=dtype, device=device)
    for column in range(1, n_classes):
        scale = 1 / math.sqrt(column * (column + 1))
        basis[:column, column - 1] = scale
        basis[column, column - 1] = -column * scale
    return basis


class DenseHessian:
    """The head's Hessian in C - 1 class directions: Cholesky for one damping, eigenvectors for several.

    Parameters
    ----------
    head
        The derivatives.

    Raises
    ------
    EngineError
        When the matrix does not fit the free memory.
    """

    def __init__(self, head: LinearHead) -> None:
        self.head = head
        self.basis = class_basis(head.n_classes, head.dtype, head.device)
        size = (head.n_classes - 1) * head.n_columns
        require(
            4 * 8 * size**2,
            f"the dense Hessian of {size} parameters",
            head.device,
            "choose --engine auto or cg, which need no dense Hessian",
        )
        self.matrix = self._assemble(size)
        self._roots: dict[float, torch.Tensor] = {}
        self._eigen: tuple[torch.Tensor, torch.Tensor] | None = None

    def _root(self, damping: float) -> torch.Tensor | None:
        """Cholesky's lower factor at one damping; None once eigenvectors are the cheaper way."""
        if self._eigen is None and damping not in self._roots and len(self._roots) < _MANY_DAMPINGS:
            damped = self.matrix.clone()
            damped.diagonal().add_(damping)
            factor, failed = torch.linalg.cholesky_ex(damped)
            if int(failed) == 0:
                self._roots[damping] = factor
        return self._roots.get(damping)

    def _eigenvectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._eigen is None:
            values, vectors = torch.linalg.eigh(self.matrix)
            self._eigen = values.clamp_min(0), vectors
        return self._eigen

    def _assemble(self, size: int) -> torch.Tensor:
        head, directions, columns = self.head, self.head.n_classes - 1, self.head.n_columns
        hessian = torch.zeros(directions, columns, directions, columns, dtype=head.dtype, device=head.device)
        for part, features in head.chunks(head.n_columns):
            phi = torch.nn.functional.pad(features, (0, 1), value=1.0)
            p = head.probabilities[part]
            means = p @ self.basis
            for a in range(directions):
                for b in range(a + 1):
                    weights = p @ (self.basis[:, a] * self.basis[:, b]) - means[:, a] * means[:, b]
                    hessian[a, :, b, :] += (phi * weights[:, None]).T @ phi
        for a in range(directions):
            for b in range(a):
                hessian[b, :, a, :] = hessian[a, :, b, :].T
        return hessian.view(size, size) / head.n_points

    def solve(self, rhs: torch.Tensor, dampings: torch.Tensor) -> torch.Tensor:
        """[k, C, D+1] right-hand sides whose classes sum to zero, through `(H + dampings[i] I)^-1`."""
        reduced = (self.basis.T @ rhs).flatten(1)
        different = sorted(set(dampings.tolist()))
        root = self._root(different[0]) if len(different) == 1 else None
        if root is not None:
            found = torch.cholesky_solve(reduced.T, root).T
        else:
            values, vectors = self._eigenvectors()
            found = ((reduced @ vectors) / (values + dampings[:, None])) @ vectors.T
        solved: torch.Tensor = self.basis @ found.reshape(len(rhs), -1, self.head.n_columns)
        return solved

    def self_influence(self, damping: float) -> Array:
        """[N] `g_i^T (H + damping I)^-1 g_i`, in chunks."""
        root = self._root(damping)
        out = np.empty(self.head.n_points)
        for part, features in self.head.chunks(3 * len(self.matrix)):
            reduced = self.head.residuals(part) @ self.basis
            phi = torch.nn.functional.pad(features, (0, 1), value=1.0)
            gradients = (reduced[:, :, None] * phi[:, None, :]).flatten(1)
            if root is not None:
                halves = torch.linalg.solve_triangular(root, gradients.T, upper=False).T
            else:
                values, vectors = self._eigenvectors()
                halves = (gradients @ vectors) * (values + damping).rsqrt()
            out[part] = halves.square().sum(1).double().cpu().numpy()
        return out


class ClosedForm(InfluenceEngine):
    """Exact influence through a linear head; `auto` for a `HeadProblem`.

    Parameters
    ----------
    problem
        The trained head and its training points.
    damping
        Hessian regularisation, above 0.
    device
        A torch device.
    dense
        True for a dense Hessian, False for conjugate gradient, None to choose by size.
    dtype
        Working precision. In float64 a solve has converged at a relative residual of 1e-8, in float32 at 1e-4.
    progress
        Called with the per cent of the way, in digits of the residual, that conjugate gradient has come.
    """

    def __init__(
        self,
        problem: HeadProblem,
        damping: float,
        *,
        device: str = "cpu",
        dense: bool | None = None,
        dtype: torch.dtype = torch.float64,
        progress: Progress | None = None,
        head: LinearHead | None = None,
        name: str = "auto",
    ) -> None:
        reduced = (problem.n_classes - 1) * (problem.weight.shape[1] + 1)
        self._dense = reduced <= DENSE_LIMIT if dense is None else dense
        super().__init__(f"{name} (closed-form {'direct' if self._dense else 'conjugate gradient'})", damping)
        self.head = head or LinearHead(problem, device, dtype)
        self.problem = problem
        self.tolerance = TOLERANCE if self.head.dtype == torch.float64 else 1e-4
        self._progress = progress
        self._base_name = name
        self._shared: dict[str, Any] = {}

    def with_damping(self, damping: float) -> ClosedForm:
        """The same engine at another damping; the factorisation is shared."""
        other = ClosedForm(
            self.problem, damping, dense=self._dense, progress=self._progress, head=self.head, name=self._base_name
        )
        other._shared = self._shared
        return other

    def average(self, x: Any, y: Any) -> Array:
        """[N] average influence over the reference set `x` [n, D], `y` [n]."""
        average: Array = self.average_many(x, y, [self.damping])[0]
        return average

    def average_many(self, x: Any, y: Any, dampings: Sequence[float]) -> Array:
        """[n_dampings, N] average influence at several dampings: one factorisation, or one block of CG."""
        if not all(math.isfinite(d) and d > 0 for d in dampings):
            raise EngineError(f"dampings are {list(dampings)}, but must be finite numbers above 0")
        gradient = self.head.mean_gradient(np.asarray(x), np.asarray(y))
        rhs = gradient.expand(len(dampings), -1, -1)
        return self._answer(rhs, torch.tensor(dampings, dtype=self.head.dtype, device=self.head.device))

    def average_factor(self, x: Any, y: Any) -> tuple[HeadProblem, torch.Tensor]:
        """The head and the solution [1, P] of an average, in the order of `nn.Linear`'s parameters."""
        rhs = self.head.mean_gradient(np.asarray(x), np.asarray(y))
        dampings = torch.full((1,), self.damping, dtype=rhs.dtype, device=rhs.device)
        solution = self.solve(rhs, dampings)
        self._record(solution, dampings)
        return self.problem, to_flat(solution.z.view_as(rhs))

    def average_by_class(self, x: Any, y: Any, n_classes: int) -> Array:
        """[C, N]; see `InfluenceEngine.average_by_class`."""
        if n_classes != self.head.n_classes:
            raise EngineError(f"{n_classes} classes asked for, but the head has {self.head.n_classes}")
        return self._answer(self.head.class_gradients(np.asarray(x), np.asarray(y), n_classes))

    def rows(self, x: Any, y: Any) -> Array:
        """[n, N] rows of the influence matrix."""
        x, y = np.asarray(x), np.asarray(y)
        step = max(1, _BLOCK_NUMBERS // self.head.n_parameters)
        parts = [
            self._answer(self.head.gradients(x[i : i + step], y[i : i + step])) for i in range(0, max(len(y), 1), step)
        ]
        return np.concatenate(parts)

    def shown_rows(self, x: Any, y: Any) -> Array:
        """[n, N]; where conjugate gradient has much to do, in single precision (residual 1e-4): half the time."""
        return self._single().rows(x, y) if self._slow(len(y)) else self.rows(x, y)

    def _slow(self, n_systems: int) -> bool:
        """Whether conjugate gradient in double precision has much to do on so many systems together."""
        much = n_systems * self.head.n_points * self.head.n_columns > SMALL
        return much and not self._dense and self.head.dtype == torch.float64

    def _single(self) -> ClosedForm:
        """The same engine in single precision; what it solves is recorded with all the rest."""
        key = f"single {self.damping!r}"
        if key not in self._shared:
            other = ClosedForm(
                self.problem,
                self.damping,
                device=str(self.head.device),
                dense=False,
                dtype=torch.float32,
                progress=self._progress,
                name=self._base_name,
            )
            other._log = self._log
            self._shared[key] = other
        single: ClosedForm = self._shared[key]
        return single

    def self_influence(self) -> Array:
        """[N], exact where (C - 1)(D + 1) is at most 1,600 and the dense Hessian fits, else by EKFAC in closed form.

        Which it was stands in `notes`.
        """
        with self._threads():
            if self._dense or (self.head.n_classes - 1) * self.head.n_columns <= EXACT_SELF_LIMIT:
                return self._hessian().self_influence(self.damping)
            self.notes = ("Self-influence is approximated in the eigenbasis of a Kronecker-factored Hessian (EKFAC).",)
            return self._kronecker_self_influence()

    def solve(self, rhs: torch.Tensor, dampings: torch.Tensor) -> Solution:
        """[k, C, D+1] through `(H + dampings[i] I)^-1`, with true residuals."""
        refined = self._refined(rhs, dampings) if self._slow(len(rhs)) else None
        return refined or self._solved(rhs, dampings, self._progress)

    def _refined(self, rhs: torch.Tensor, dampings: torch.Tensor) -> Solution | None:
        """The same by solving for what is left of the right-hand sides in single precision, a few times over.

        Each time adds four digits at half the cost of a product; what is left is computed in double precision. None
        where that does not reach the tolerance.
        """
        single, shape, flat = self._single(), rhs.shape, rhs.flatten(1)
        z, iterations, told = torch.zeros_like(flat), 0, Told(self._progress, SOLVING, self.tolerance)
        left = flat
        for _ in range(REFINEMENTS):
            sizes = torch.linalg.vector_norm(left, dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
            step = single._solved((left / sizes).float().view(shape), dampings.float(), None)
            z += sizes * step.z.double()
            iterations += step.iterations
            left, relative = relative_residuals(self._product(shape), z, flat, dampings)
            told(float(relative.max()))
            if bool((relative <= self.tolerance).all()):
                return Solution(z, iterations, relative)
        return None

    def _product(self, shape: torch.Size) -> Operator:
        return lambda v: self.head.product(v.view(-1, *shape[1:])).flatten(1)

    def _solved(self, rhs: torch.Tensor, dampings: torch.Tensor, progress: Progress | None) -> Solution:
        shape, flat = rhs.shape, rhs.flatten(1)
        product = self._product(shape)
        if self._dense:
            z = self._hessian().solve(rhs, dampings).flatten(1)
            return Solution(z, 0, relative_residuals(product, z, flat, dampings)[1])

        def precondition(r: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
            return self._kronecker().solve(r.view(-1, *shape[1:]), d).flatten(1)

        return conjugate_gradient(
            product,
            flat,
            dampings,
            tolerance=self.tolerance,
            max_iterations=MAX_ITERATIONS,
            precondition=precondition if self._preconditioned else None,
            block=True,
            progress=progress,
            description=SOLVING,
        )

    @property
    def _preconditioned(self) -> bool:
        head = self.head
        return head.n_classes <= MANY_CLASSES or head.n_points >= head.n_classes + head.n_columns

    def _threads(self) -> AbstractContextManager[None]:
        return threads_for(self.head.n_points * self.head.n_columns)

    def _answer(self, rhs: torch.Tensor, dampings: torch.Tensor | None = None) -> Array:
        with self._threads():
            return self._answer_by_block(rhs, dampings)

    def _answer_by_block(self, rhs: torch.Tensor, dampings: torch.Tensor | None) -> Array:
        if dampings is None:
            dampings = torch.full((len(rhs),), self.damping, dtype=rhs.dtype, device=rhs.device)
        step = max(1, _BLOCK_NUMBERS // self.head.n_parameters)
        answers = []
        for start in range(0, len(rhs), step):
            part = slice(start, start + step)
            solution = self.solve(rhs[part], dampings[part])
            self._record(solution, dampings[part])
            answers.append(self.head.influences(solution.z.view(-1, *rhs.shape[1:])))
        return np.concatenate(answers)

    def _record(self, solution: Solution, dampings: torch.Tensor) -> None:
        iterations = None if self._dense else solution.iterations
        for damping in sorted(set(dampings.tolist())):
            chosen = solution.residuals[dampings == damping]
            worst = float(chosen.max())
            self._log.entries.append(Solve(len(chosen), iterations, worst, worst <= self.tolerance, damping))

    def _hessian(self) -> DenseHessian:
        if "hessian" not in self._shared:
            self._shared["hessian"] = DenseHessian(self.head)
        hessian: DenseHessian = self._shared["hessian"]
        return hessian

    def _kronecker(self) -> KroneckerBasis:
        if "kronecker" not in self._shared:
            self._shared["kronecker"] = KroneckerBasis(self.head)
        basis: KroneckerBasis = self._shared["kronecker"]
        return basis

    def _kronecker_self_influence(self) -> Array:
        basis, head = self._kronecker(), self.head
        inverse = 1 / (basis.diagonal + self.damping)
        out = np.empty(head.n_points)
        for part, features in head.chunks(4 * head.n_columns):  # four temporaries of that width
            rotated = torch.nn.functional.pad(features, (0, 1), value=1.0) @ basis.columns
            residuals = head.residuals(part) @ basis.classes
            out[part] = torch.einsum("nc,cd,nd->n", residuals**2, inverse, rotated**2).double().cpu().numpy()
        return out
