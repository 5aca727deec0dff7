"""Conjugate gradient for several damped systems at once, with a residual that is measured and not assumed.

The systems share the operator, not the damping: one product serves every right-hand side and every damping. Nothing
here knows what the operator is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from auditor.errors import EngineError
from auditor.influence.base import Progress

Operator = Callable[[torch.Tensor], torch.Tensor]
"""[k, P] -> [k, P], row by row."""

Preconditioner = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""([k, P] residuals, [k] dampings) -> [k, P]."""


@dataclass(frozen=True)
class Solution:
    """Solutions of `k` systems and how well each was solved.

    Attributes
    ----------
    z
        [k, P].
    iterations
        Operator products spent in iterations, until the last system was done.
    residuals
        [k] true relative residuals, from a fresh product.
    negative_curvature
        True when a search direction showed the damped operator is not positive definite.
    """

    z: torch.Tensor
    iterations: int
    residuals: torch.Tensor
    negative_curvature: bool = False


def relative_residuals(
    operator: Operator, z: torch.Tensor, rhs: torch.Tensor, dampings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual vectors [k, P] of `(H + damping) z = rhs` and their norms relative to the right-hand sides [k]."""
    residual = rhs - operator(z) - dampings[:, None] * z
    norms = torch.linalg.vector_norm(rhs, dim=1)
    sizes = torch.linalg.vector_norm(residual, dim=1)
    return residual, torch.where(norms > 0, sizes / norms.clamp_min(torch.finfo(rhs.dtype).tiny), sizes)


def conjugate_gradient(
    operator: Operator,
    rhs: torch.Tensor,
    dampings: torch.Tensor,
    *,
    precondition: Preconditioner | None = None,
    tolerance: float,
    max_iterations: int,
    restarts: int = 3,
    block: bool = False,
    progress: Progress | None = None,
    description: str = "solving",
) -> Solution:
    """Solve `(H + dampings[i] I) z_i = rhs_i` for symmetric positive semi-definite `H` by preconditioned CG.

    The recurrence's residual drifts from the true one, so convergence is judged by a fresh product, and CG is started
    again from where it stands while that helps.

    Parameters
    ----------
    operator
        [k, P] -> [k, P], without damping.
    rhs, dampings
        [k, P] and [k].
    tolerance
        On the relative residual.
    max_iterations
        For all restarts together.
    block
        Where all dampings are equal, look for every solution in the directions of all systems together: fewer
        products, at a cost of a few directions' inner products each.
    progress
        Called after every product with the per cent of the digits asked for that the worst system has; the number of
        iterations is not known before.

    Raises
    ------
    EngineError
        When the operator gives something that is not finite.
    """
    z = torch.zeros_like(rhs)
    told = Told(progress, description, 0.5 * tolerance)
    spent, negative = 0, False
    residual, relative = rhs.clone(), torch.where(torch.linalg.vector_norm(rhs, dim=1) > 0, 1.0, 0.0).to(rhs)
    for _ in range(restarts + 1):
        active = (relative > tolerance).nonzero().flatten()
        if active.numel() == 0 or spent >= max_iterations or negative:
            break
        together = block and len(active) > 1 and bool((dampings[active] == dampings[active[0]]).all())
        step, used, negative = (_iterate_together if together else _iterate)(
            operator,
            residual[active],
            dampings[active],
            torch.linalg.vector_norm(rhs[active], dim=1),
            precondition,
            0.5 * tolerance,
            spent,
            max_iterations,
            told,
        )
        z[active] += step
        spent += used
        before = relative
        residual, relative = relative_residuals(operator, z, rhs, dampings)
        if not bool(torch.isfinite(relative).all()):
            raise EngineError(f"{description}: the Hessian products are not finite", hint="check weights and images")
        if bool((relative >= 0.5 * before)[active].all()):
            break
    return Solution(z, spent, relative, negative)


def _iterate_together(
    operator: Operator,
    rhs: torch.Tensor,
    dampings: torch.Tensor,
    norms: torch.Tensor,
    precondition: Preconditioner | None,
    tolerance: float,
    spent: int,
    limit: int,
    told: Told,
) -> tuple[torch.Tensor, int, bool]:
    """The same by block CG (O'Leary, 1980), all systems to the end, with one damping.

    Search directions are made orthonormal in every step, so that systems that are alike or done disturb nothing.
    """
    x, r, targets = torch.zeros_like(rhs), rhs.clone(), tolerance * norms
    p, used = _orthonormal(precondition(r, dampings) if precondition else r), 0
    while spent + used < limit:
        q = operator(p) + dampings[0] * p
        used += 1
        curvature = (p @ q.T).double()
        if not bool(torch.isfinite(curvature).all()):
            return x.fill_(torch.nan), used, False
        factor, failed = torch.linalg.cholesky_ex(curvature)
        if int(failed):
            return x, used, True
        step = torch.cholesky_solve((p @ r.T).double(), factor).to(rhs).T
        x += step @ p
        r -= step @ q
        sizes = torch.linalg.vector_norm(r, dim=1)
        told(tolerance * float((sizes / targets).max()))
        if not bool((sizes > targets).any()):
            break
        s = precondition(r, dampings) if precondition else r
        p = _orthonormal(s - torch.cholesky_solve((q @ s.T).double(), factor).to(rhs).T @ p)
    return x, used, False


def _orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis, in rows, that spans `rows` [k, P]."""
    basis: torch.Tensor = torch.linalg.qr(rows.T).Q.T.contiguous()
    return basis


@dataclass
class Told:
    """Tells how far a solve has come: residuals fall by about as many digits with each product."""

    progress: Progress | None
    description: str
    tolerance: float
    percent: int = 1

    def __call__(self, relative: float) -> None:
        """The worst residual so far, relative to its right-hand side."""
        if self.progress is None:
            return
        digits = math.log(max(relative, self.tolerance)) / math.log(self.tolerance) if relative < 1 else 0.0
        self.percent = max(self.percent, int(100 * digits))
        self.progress(self.description, self.percent, 100)


def _iterate(
    operator: Operator,
    rhs: torch.Tensor,
    dampings: torch.Tensor,
    norms: torch.Tensor,
    precondition: Preconditioner | None,
    tolerance: float,
    spent: int,
    limit: int,
    told: Told,
) -> tuple[torch.Tensor, int, bool]:
    """One run of CG from zero, systems leaving as they finish: solutions, products spent, negative curvature."""
    solutions = torch.zeros_like(rhs)
    index = torch.arange(len(rhs), device=rhs.device)
    x, r, targets = torch.zeros_like(rhs), rhs.clone(), tolerance * norms
    s = precondition(r, dampings) if precondition else r
    p, rs, used, negative = s.clone(), (r * s).sum(1), 0, False
    while spent + used < limit:
        q = operator(p) + dampings[:, None] * p
        used += 1
        curvature = (p * q).sum(1)
        if bool((curvature <= 0).any()):
            negative = True
            break
        alpha = (rs / curvature)[:, None]
        x += alpha * p
        r -= alpha * q
        sizes = torch.linalg.vector_norm(r, dim=1)
        told(tolerance * float((sizes / targets).max()))
        going = sizes > targets
        if not bool(going.all()):
            solutions[index[~going]] = x[~going]
            if not bool(going.any()):
                return solutions, used, negative
            index, x, r, p, rs = index[going], x[going], r[going], p[going], rs[going]
            dampings, targets = dampings[going], targets[going]
        s = precondition(r, dampings) if precondition else r
        rs, previous = (r * s).sum(1), rs
        p = s + (rs / previous)[:, None] * p
    solutions[index] = x
    return solutions, used, negative
