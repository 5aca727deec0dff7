"""Conjugate gradient for several damped systems at once. The residual is measured, not assumed.

The systems share the operator and may differ in damping: one product serves every right-hand side and every damping.
Nothing here knows what the operator is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from auditor.compute.linear import NotFiniteError, orthonormal, root_of, solved_by
from auditor.engines import Listener
from auditor.influence.base import relative_norms

Operator = Callable[[torch.Tensor], torch.Tensor]
"""[k, P] -> [k, P], row by row."""

Preconditioner = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""([k, P] residuals, [k] dampings) -> [k, P]."""


@dataclass(frozen=True)
class Systems:
    """The systems `(H + dampings[i] I) z_i = rhs_i`.

    Attributes
    ----------
    operator
        Multiplies with `H`, without damping. `H` is symmetric and positive semi-definite.
    rhs, dampings
        [k, P] and [k].
    precondition
        Applies an approximate inverse; None goes without.
    """

    operator: Operator
    rhs: torch.Tensor
    dampings: torch.Tensor
    precondition: Preconditioner | None = None

    def residuals(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Residuals [k, P] of solutions [k, P] by a fresh product, and their norms relative to `rhs` [k]."""
        residual = self.rhs - self.operator(z) - self.dampings[:, None] * z
        return residual, relative_norms(residual, self.rhs)

    def preconditioned(self, residual: torch.Tensor, dampings: torch.Tensor) -> torch.Tensor:
        """[k, P] through the approximate inverse, where there is one."""
        return self.precondition(residual, dampings) if self.precondition else residual


@dataclass(frozen=True)
class Stopping:
    """When conjugate gradient ends.

    Attributes
    ----------
    tolerance
        On the relative residual.
    max_iterations
        For all restarts together.
    restarts
        How often it starts again from where it stands.
    """

    tolerance: float
    max_iterations: int
    restarts: int = 3


@dataclass(frozen=True)
class Solution:
    """Solutions of `k` systems and how well each was solved.

    Attributes
    ----------
    z
        [k, P].
    iterations
        Products spent in iterations, until the last system was done.
    residuals
        [k] true relative residuals, from a fresh product.
    negative_curvature
        True when a search direction showed that the damped operator is not positive definite.
    """

    z: torch.Tensor
    iterations: int
    residuals: torch.Tensor
    negative_curvature: bool = False


@dataclass
class Teller:
    """Tells a listener in per cent how far a solve is. Residuals fall by about as many digits with each product."""

    listener: Listener | None
    description: str
    tolerance: float
    percent: int = 1

    def __call__(self, relative: float) -> None:
        """Take the worst residual so far, relative to its right-hand side."""
        if self.listener is None:
            return
        digits = math.log(max(relative, self.tolerance)) / math.log(self.tolerance) if relative < 1 else 0.0
        self.percent = max(self.percent, int(100 * digits))
        self.listener(self.description, self.percent, 100)


def conjugate_gradient(
    systems: Systems,
    stopping: Stopping,
    *,
    block: bool = False,
    listener: Listener | None = None,
    description: str = "solving",
) -> Solution:
    """Solve damped systems by preconditioned conjugate gradient.

    The residual that the iteration carries along drifts from the true one. So a fresh product judges convergence. CG
    then starts again from where it stands, as long as that helps.

    Parameters
    ----------
    systems
        What to solve.
    stopping
        When to end.
    block
        Where all dampings are equal, look for every solution in the directions of all systems together. That takes
        fewer products, and costs the inner products of a few directions each.
    listener
        Called after every product with the per cent of the wanted digits that the worst system has. The number of
        iterations is not known before.

    Raises
    ------
    NotFiniteError
        When the operator gives something that is not finite.
    """
    rhs, dampings, tolerance = systems.rhs, systems.dampings, stopping.tolerance
    z = torch.zeros_like(rhs)
    told = Teller(listener, description, 0.5 * tolerance)
    spent, negative = 0, False
    residual, relative = rhs.clone(), torch.where(torch.linalg.vector_norm(rhs, dim=1) > 0, 1.0, 0.0).to(rhs)
    for _ in range(stopping.restarts + 1):
        active = (relative > tolerance).nonzero().flatten()
        if active.numel() == 0 or spent >= stopping.max_iterations or negative:
            break
        together = block and len(active) > 1 and bool((dampings[active] == dampings[active[0]]).all())
        left = Systems(systems.operator, residual[active], dampings[active], systems.precondition)
        norms = torch.linalg.vector_norm(rhs[active], dim=1)
        iterate = _iterate_together if together else _iterate
        step, used, negative = iterate(left, norms, stopping.max_iterations - spent, told)
        z[active] += step
        spent += used
        before = relative
        residual, relative = systems.residuals(z)
        if not bool(torch.isfinite(relative).all()):
            raise NotFiniteError(f"{description}: the Hessian products are not finite", hint="check weights and images")
        if bool((relative >= 0.5 * before)[active].all()):
            break
    return Solution(z, spent, relative, negative)


def _iterate(systems: Systems, norms: torch.Tensor, most: int, told: Teller) -> tuple[torch.Tensor, int, bool]:
    """One run of CG from zero. Systems leave as they finish.

    Parameters
    ----------
    norms
        [k]; a system is done when its residual is at most `told.tolerance` times this.
    most
        Products that may be spent.

    Returns
    -------
    tuple
        Solutions [k, P], products spent, and whether the curvature was negative.
    """
    rhs, dampings, tolerance = systems.rhs, systems.dampings, told.tolerance
    solutions = torch.zeros_like(rhs)
    index = torch.arange(len(rhs), device=rhs.device)
    x, r, targets = torch.zeros_like(rhs), rhs.clone(), tolerance * norms
    s = systems.preconditioned(r, dampings)
    p, rs, used = s.clone(), (r * s).sum(1), 0
    while used < most:
        q = systems.operator(p) + dampings[:, None] * p
        used += 1
        curvature = (p * q).sum(1)
        if bool((curvature <= 0).any()):
            solutions[index] = x
            return solutions, used, True
        alpha = (rs / curvature)[:, None]
        x += alpha * p
        r -= alpha * q
        sizes = torch.linalg.vector_norm(r, dim=1)
        told(tolerance * float((sizes / targets).max()))
        going = sizes > targets
        if not bool(going.all()):
            solutions[index[~going]] = x[~going]
            if not bool(going.any()):
                return solutions, used, False
            index, x, r, p, rs = index[going], x[going], r[going], p[going], rs[going]
            dampings, targets = dampings[going], targets[going]
        s = systems.preconditioned(r, dampings)
        rs, previous = (r * s).sum(1), rs
        p = s + (rs / previous)[:, None] * p
    solutions[index] = x
    return solutions, used, False


def _iterate_together(systems: Systems, norms: torch.Tensor, most: int, told: Teller) -> tuple[torch.Tensor, int, bool]:
    """The same by block CG (O'Leary, 1980), all systems to the end, with one damping.

    Search directions are made orthonormal in every step. So systems that are alike, or done, disturb nothing.
    """
    rhs, dampings, tolerance = systems.rhs, systems.dampings, told.tolerance
    x, r, targets = torch.zeros_like(rhs), rhs.clone(), tolerance * norms
    p, used = orthonormal(systems.preconditioned(r, dampings)), 0
    while used < most:
        q = systems.operator(p) + dampings[0] * p
        used += 1
        curvature = (p @ q.T).double()
        if not bool(torch.isfinite(curvature).all()):
            return x.fill_(torch.nan), used, False
        factor = root_of(curvature)
        if factor is None:
            return x, used, True
        step = solved_by(factor, (p @ r.T).double()).to(rhs).T
        x += step @ p
        r -= step @ q
        sizes = torch.linalg.vector_norm(r, dim=1)
        told(tolerance * float((sizes / targets).max()))
        if not bool((sizes > targets).any()):
            break
        s = systems.preconditioned(r, dampings)
        p = orthonormal(s - solved_by(factor, (q @ s.T).double()).to(rhs).T @ p)
    return x, used, False
