"""Exact influence through a linear head, from closed-form products: by a dense Hessian, or by conjugate gradient.

This is the engine `auto` for a head. A dense Hessian is solved in C - 1 class directions (see `class_basis`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute.hardware import SMALL, threads_for
from auditor.compute.linear import NotFiniteError
from auditor.engines import Listener
from auditor.errors import EngineError
from auditor.influence.base import Array, HeadProblem, InfluenceEngine, Inputs, Solve, mean_weights, tolerance_for
from auditor.influence.conjugate_gradient import Solution, Stopping, Systems, Teller, conjugate_gradient
from auditor.influence.dense_hessian import DenseHessian
from auditor.influence.head import KroneckerBasis, LinearHead, to_flat

DENSE_LIMIT = 600
"""Largest (C - 1)(D + 1) at which `auto` builds the dense Hessian. Beyond it conjugate gradient is faster."""

EXACT_SELF_LIMIT = 1600
"""Largest (C - 1)(D + 1) at which self-influence is exact, from a dense Hessian built for the purpose."""

MAX_ITERATIONS = 2000

REFINEMENTS = 4
"""Solves in single precision that stand for a double one. Two are enough, unless rounding is in the way."""

SOLVING = "solving for influence"

MANY_CLASSES = 128
"""More classes than this go without a preconditioner where applying it costs more than a product. That is so with fewer
images than classes and features together. At 300 classes it saves no iteration and makes each four times as long."""

_BLOCK_NUMBERS = 2**24
"""Numbers in one block of right-hand sides. Larger sets are solved block by block."""


@dataclass
class _Shared:
    """What engines at several dampings share, made when it is first asked for."""

    hessian: DenseHessian | None = None
    kronecker: KroneckerBasis | None = None


class ClosedForm(InfluenceEngine):
    """Exact influence through a linear head.

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
        Working precision. A solve has converged at a relative residual of 1e-8 in float64, and of 1e-4 in float32.
    listener
        Told how far conjugate gradient is, in per cent of the digits of the residual.

    Raises
    ------
    EngineError
        When the damping is not above 0, features are not finite, or a dense Hessian does not fit the memory.
    """

    def __init__(
        self,
        problem: HeadProblem,
        damping: float,
        *,
        device: str = "cpu",
        dense: bool | None = None,
        dtype: torch.dtype = torch.float64,
        listener: Listener | None = None,
    ) -> None:
        reduced = (problem.n_classes - 1) * (problem.weight.shape[1] + 1)
        self._dense = reduced <= DENSE_LIMIT if dense is None else dense
        super().__init__(f"auto (closed-form {'direct' if self._dense else 'conjugate gradient'})", damping)
        self.head = LinearHead(problem, device, dtype)
        self.problem = problem
        self.tolerance = tolerance_for(dtype)
        self._listener = listener
        self._shared = _Shared()
        self._singles: dict[float, ClosedForm] = {}

    def with_damping(self, damping: float) -> ClosedForm:
        """The same engine at another damping; the factorisation is shared."""
        return self._copy_at(damping)

    def average(self, x: Inputs, y: Inputs) -> Array:
        """[N] average influence over the reference set `x` [n, D], `y` [n]."""
        average: Array = self.average_many(x, y, [self.damping])[0]
        return average

    def average_many(self, x: Inputs, y: Inputs, dampings: Sequence[float]) -> Array:
        """[n_dampings, N] average influence at several dampings, by one factorisation or one block of CG."""
        if not all(math.isfinite(d) and d > 0 for d in dampings):
            raise EngineError(f"dampings are {list(dampings)}, but must be finite numbers above 0")
        gradient = self.head.mean_gradient(np.asarray(x), np.asarray(y))
        rhs = gradient.expand(len(dampings), -1, -1)
        return self._answer(rhs, torch.tensor(dampings, dtype=self.head.dtype, device=self.head.device))

    def weighted_average(self, x: Inputs, y: Inputs, weights: Array) -> Array:
        """[N] average influence where reference points count by `weights` [n], by one solve."""
        answer: Array = self.sums(x, y, mean_weights(np.asarray(y), weights))[0]
        return answer

    def directions(self, x: Inputs, y: Inputs, weights: Array) -> torch.Tensor:
        """[k, C, D+1], the inverse of the damped Hessian times `k` weighted sums of reference gradients.

        `weights` is [k, n]. `LinearHead.what_if` says what they mean for any point under every label.
        """
        rhs = self.head.weighted_gradient(np.asarray(x), np.asarray(y), weights)
        dampings = self._own_damping(rhs)
        with self._threads():
            solution = self.solve(rhs, dampings)
        self._record(solution, dampings)
        return solution.z.view_as(rhs)

    def sums(self, x: Inputs, y: Inputs, weights: Array) -> Array:
        """[k, N] influence on `k` weighted sums of reference gradients; `weights` is [k, n]."""
        return self._answer(self.head.weighted_gradient(np.asarray(x), np.asarray(y), weights))

    def average_factor(self, x: Inputs, y: Inputs, weights: Array | None = None) -> tuple[HeadProblem, torch.Tensor]:
        """The head and the solution [1, P] of an average, in the order of `nn.Linear`'s parameters."""
        return self.problem, to_flat(self.directions(x, y, mean_weights(np.asarray(y), weights)))

    def average_by_class(self, x: Inputs, y: Inputs, n_classes: int) -> Array:
        """[C, N]; see `InfluenceEngine.average_by_class`."""
        if n_classes != self.head.n_classes:
            raise EngineError(f"{n_classes} classes asked for, but the head has {self.head.n_classes}")
        return self._answer(self.head.class_gradients(np.asarray(x), np.asarray(y), n_classes))

    def rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N] rows of the influence matrix."""
        x, y = np.asarray(x), np.asarray(y)
        step = max(1, _BLOCK_NUMBERS // self.head.n_parameters)
        parts = [
            self._answer(self.head.gradients(x[i : i + step], y[i : i + step])) for i in range(0, max(len(y), 1), step)
        ]
        return np.concatenate(parts)

    def shown_rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N]; in single precision (residual 1e-4) where conjugate gradient has much to do: half the time."""
        return self._single().rows(x, y) if self._slow(len(y)) else self.rows(x, y)

    def self_influence(self) -> Array:
        """[N], exact where (C - 1)(D + 1) is at most 1,600 and the dense Hessian fits; else by EKFAC in closed form.

        `notes` says when it was EKFAC.
        """
        with self._threads():
            if self._dense or (self.head.n_classes - 1) * self.head.n_columns <= EXACT_SELF_LIMIT:
                return self._hessian().self_influence(self.damping)
            self.notes = ("Self-influence is approximated in the eigenbasis of a Kronecker-factored Hessian (EKFAC).",)
            return self._kronecker().self_influence(self.head, self.damping)

    def solve(self, rhs: torch.Tensor, dampings: torch.Tensor) -> Solution:
        """[k, C, D+1] through `(H + dampings[i] I)^-1`, with true residuals. Solutions are [k, C (D+1)]."""
        refined = self._refined(rhs, dampings) if self._slow(len(rhs)) else None
        return refined or self._solved(rhs, dampings, self._listener)

    def _slow(self, n_systems: int) -> bool:
        """Whether conjugate gradient in double precision has much to do on so many systems together."""
        much = n_systems * self.head.n_points * self.head.n_columns > SMALL
        return much and not self._dense and self.head.dtype == torch.float64

    def _single(self) -> ClosedForm:
        """The same engine in single precision. Its solves are recorded with all the rest."""
        if self.damping not in self._singles:
            other = ClosedForm(
                self.problem,
                self.damping,
                device=str(self.head.device),
                dense=False,
                dtype=torch.float32,
                listener=self._listener,
            )
            other._log = self._log
            self._singles[self.damping] = other
        return self._singles[self.damping]

    def _refined(self, rhs: torch.Tensor, dampings: torch.Tensor) -> Solution | None:
        """The same, by solves in single precision for what is left of the right-hand sides, a few times over.

        Each adds four digits, at half the cost of a double product. What is left is computed in double precision. None
        where that does not reach the tolerance.
        """
        single, systems = self._single(), self._systems(rhs, dampings)
        left = systems.rhs
        z, iterations, told = torch.zeros_like(left), 0, Teller(self._listener, SOLVING, self.tolerance)
        for _ in range(REFINEMENTS):
            sizes = torch.linalg.vector_norm(left, dim=1, keepdim=True).clamp_min(torch.finfo(left.dtype).tiny)
            try:
                step = single._solved((left / sizes).float().view(rhs.shape), dampings.float(), None)
            except NotFiniteError:
                return None
            z += sizes * step.z.double()
            iterations += step.iterations
            left, relative = systems.residuals(z)
            told(float(relative.max()))
            if bool((relative <= self.tolerance).all()):
                return Solution(z, iterations, relative)
        return None

    def _solved(self, rhs: torch.Tensor, dampings: torch.Tensor, listener: Listener | None) -> Solution:
        systems = self._systems(rhs, dampings)
        if self._dense:
            z = self._hessian().solve(rhs, dampings).flatten(1)
            return Solution(z, 0, systems.residuals(z)[1])
        stopping = Stopping(self.tolerance, MAX_ITERATIONS)
        try:
            return conjugate_gradient(systems, stopping, block=True, listener=listener, description=SOLVING)
        except NotFiniteError:  # without the parts that factorise; single precision has a way out above it
            if self.head.dtype != torch.float64:
                raise
            alone = dataclasses.replace(systems, precondition=None)
            return conjugate_gradient(alone, stopping, listener=listener, description=SOLVING)

    def _systems(self, rhs: torch.Tensor, dampings: torch.Tensor) -> Systems:
        """Systems for [k, C, D+1] right-hand sides, with vectors of C (D+1) numbers."""
        shape = (-1, *rhs.shape[1:])

        def product(v: torch.Tensor) -> torch.Tensor:
            return self.head.product(v.view(shape)).flatten(1)

        def precondition(r: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
            return self._kronecker().solve(r.view(shape), d).flatten(1)

        return Systems(product, rhs.flatten(1), dampings, precondition if self._preconditioned else None)

    @property
    def _preconditioned(self) -> bool:
        head = self.head
        return head.n_classes <= MANY_CLASSES or head.n_points >= head.n_classes + head.n_columns

    def _threads(self) -> AbstractContextManager[None]:
        return threads_for(self.head.n_points * self.head.n_columns)

    def _own_damping(self, rhs: torch.Tensor) -> torch.Tensor:
        return torch.full((len(rhs),), self.damping, dtype=rhs.dtype, device=rhs.device)

    def _answer(self, rhs: torch.Tensor, dampings: torch.Tensor | None = None) -> Array:
        """[k, N] influence on [k, C, D+1] reference gradients, block by block; at the own damping if none is given."""
        if dampings is None:
            dampings = self._own_damping(rhs)
        step = max(1, _BLOCK_NUMBERS // self.head.n_parameters)
        answers = []
        with self._threads():
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
            self._log.append(Solve(len(chosen), iterations, worst, worst <= self.tolerance, damping))

    def _hessian(self) -> DenseHessian:
        if self._shared.hessian is None:
            self._shared.hessian = DenseHessian(self.head)
        return self._shared.hessian

    def _kronecker(self) -> KroneckerBasis:
        if self._shared.kronecker is None:
            self._shared.kronecker = KroneckerBasis(self.head)
        return self._shared.kronecker
