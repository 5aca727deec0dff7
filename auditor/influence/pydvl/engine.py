"""TODO auditor.influence.pydvl.engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.errors import EngineError
from auditor.influence.base import (
    Array,
    HeadProblem,
    InfluenceEngine,
    NetworkProblem,
    Progress,
    Solve,
    check_reference,
    class_weights,
)
from auditor.influence.closed_form import ClosedForm
from auditor.influence.derivatives import HeadDerivatives, NetworkDerivatives
from auditor.influence.head import to_flat
from auditor.influence.network import network_engine

_BLOCK_NUMBERS = 2**24

_MANY_SOLVES = ("cg", "lissa")
"""Engines that solve one right-hand side at a time, too slow for one solve a training point."""


class PydvlEngine(InfluenceEngine):
    """One of pyDVL's solvers, used at the level of its operators so that an average is one solve.

    Gradients and their products with the solution are computed in closed form or by forward mode, and the residual of
    every solve against the exact curvature. A residual is within the engine's tolerance, and the solve so converged, at
    1e-8 for `cg` and `direct` on a head, 1e-4 on a network, 1e-2 for `nystroem`, `arnoldi` and `lissa`; `ekfac` and
    `ihm` solve another system exactly, and the residual says how far that system is from the right one.

    Parameters
    ----------
    derivatives
        The problem.
    name
        As in the settings.
    damping
        Above 0.
    seed
        Of what is drawn at random.
    progress
        Called by block of right-hand sides.
    """

    def __init__(
        self,
        derivatives: HeadDerivatives | NetworkDerivatives,
        name: str,
        damping: float,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        shared: Any = None,
    ) -> None:
        super().__init__(f"{name} (pyDVL)", damping)
        from auditor.influence.pydvl import solvers

        self.derivatives = derivatives
        self._short, self._seed, self._progress = name, seed, progress
        self._solver: solvers.Solver = shared or solvers.solver(name, derivatives, seed)
        self._exact: InfluenceEngine | None = None
        if name in ("ekfac", "ihm"):
            self.notes = (f"{name} replaces the Hessian by an approximation; the residual is against the exact one.",)
        if isinstance(derivatives, NetworkDerivatives):
            text = f"Rows of the influence matrix are by engine auto: {name} takes passes over all images for each."
            self.notes = (*self.notes, text)

    def with_damping(self, damping: float) -> PydvlEngine:
        """The same engine at another damping; factorisations are shared."""
        return PydvlEngine(
            self.derivatives, self._short, damping, seed=self._seed, progress=self._progress, shared=self._solver
        )

    def average(self, x: Any, y: Any) -> Array:
        """[N] average influence over the reference set, by one solve."""
        y = self._checked(x, y)
        average: Array = self._answer(x, y, np.full((1, len(y)), 1 / len(y)))[0]
        return average

    def average_factor(self, x: Any, y: Any) -> tuple[HeadProblem | NetworkProblem, torch.Tensor]:
        """The problem and the solution [1, P] of an average."""
        y = self._checked(x, y)
        return self.derivatives.problem, self._solve(self.derivatives.gradients(x, y, np.full((1, len(y)), 1 / len(y))))

    def average_by_class(self, x: Any, y: Any, n_classes: int) -> Array:
        """[C, N]; see `InfluenceEngine.average_by_class`."""
        y = self._checked(x, y)
        return self._answer(x, y, class_weights(y, n_classes))

    def rows(self, x: Any, y: Any) -> Array:
        """[n, N] rows of the influence matrix; through a network by engine `auto`, since here each takes long."""
        if isinstance(self.derivatives, HeadDerivatives):
            y = self._checked(x, y)
            return self._answer(x, y, np.eye(len(y)))
        if self._exact is None:
            self._exact = network_engine(
                self.derivatives.problem, self.damping, device=str(self.derivatives.device), progress=self._progress
            )
        before = len(self._exact.solves)
        found = self._exact.rows(x, y)
        self._log.entries.extend(self._exact.solves[before:])
        return found

    def self_influence(self) -> Array:
        """[N]; for `cg` and `lissa` on a head in closed form, for every engine on a network refused."""
        if isinstance(self.derivatives, NetworkDerivatives):
            return self.derivatives._products.self_influence()
        head = self.derivatives.head
        if self._short in _MANY_SOLVES:
            closed = ClosedForm(self.derivatives.problem, self.damping, head=head)
            out = closed.self_influence()
            text = f"Self-influence is in closed form: {self._short} would take one solve a training point."
            self.notes = (*self.notes, text, *closed.notes)
            return out
        out = np.empty(head.n_points)
        step = max(1, _BLOCK_NUMBERS // head.n_parameters)
        for start in range(0, head.n_points, step):
            part = slice(start, min(start + step, head.n_points))
            phi = nn.functional.pad(head.features(part), (0, 1), value=1.0)
            gradients = to_flat(head.residuals(part)[:, :, None] * phi[:, None, :])
            out[part] = (self._solve(gradients) * gradients).sum(1).cpu().numpy()
        return out

    def _checked(self, x: Any, y: Any) -> Array:
        labels: Array = np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)
        check_reference(x, labels, self.derivatives.n_classes)
        return labels

    def _answer(self, x: Any, y: Array, weights: Array) -> Array:
        step = max(1, _BLOCK_NUMBERS // self.derivatives.n_parameters)
        answers = []
        for start in range(0, len(weights), step):
            z = self._solve(self.derivatives.gradients(x, y, weights[start : start + step]))
            answers.append(self.derivatives.influences(z))
            if self._progress:
                self._progress(f"influence by {self._short}", min(start + step, len(weights)), len(weights))
        return np.concatenate(answers)

    def _solve(self, rhs: torch.Tensor) -> torch.Tensor:
        z, iterations = self._solver.solve(rhs, self.damping)
        if not bool(torch.isfinite(z).all()):
            raise EngineError(f"{self._short} gave values that are not finite", hint="raise --damping")
        residual = rhs - self.derivatives.product(z) - self.damping * z
        norms = torch.linalg.vector_norm(rhs, dim=1)
        sizes = torch.linalg.vector_norm(residual, dim=1)
        worst = float(torch.where(norms > 0, sizes / norms.clamp_min(1e-30), sizes).max())
        self._log.entries.append(Solve(len(rhs), iterations, worst, worst <= self._solver.tolerance, self.damping))
        return z
