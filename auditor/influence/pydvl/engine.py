"""One of pyDVL's solvers as an influence engine, so that an average is one solve."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from auditor.engines import EngineOptions, Listener
from auditor.errors import EngineError
from auditor.influence.base import (
    Array,
    HeadProblem,
    InfluenceEngine,
    Inputs,
    Labels,
    Problem,
    Solve,
    SummingEngine,
    mean_weights,
    relative_norms,
)
from auditor.influence.closed_form import ClosedForm
from auditor.influence.head import to_flat
from auditor.influence.network import network_engine
from auditor.influence.pydvl.derivatives import Derivatives, HeadDerivatives, NetworkDerivatives

_BLOCK_NUMBERS = 2**24
"""Numbers in one block of right-hand sides."""


class Solver(ABC):
    """Applies the inverse of a damped curvature.

    Attributes
    ----------
    name
        As in the settings.
    tolerance
        Largest relative residual, against the exact curvature, that counts as converged.
    approximates
        True where the solver puts an approximation of its own in the curvature's place and solves that exactly.
    one_at_a_time
        True where it solves for one right-hand side after another. One solve a training point is then too slow.
    """

    name: str
    tolerance: float
    approximates = False
    one_at_a_time = False

    @abstractmethod
    def solve(self, rhs: torch.Tensor, damping: float) -> tuple[torch.Tensor, int | None]:
        """[k, P] through the inverse, and the iterations it took where they are known."""


def opened(
    make: Callable[[Derivatives], Solver], problem: Problem, damping: float, options: EngineOptions
) -> PydvlEngine:
    """A solver as an engine on a problem.

    Parameters
    ----------
    make
        Makes the solver for the problem's derivatives.
    problem, damping, options
        As for every engine's `open_engine`.
    """
    derivatives: Derivatives
    if isinstance(problem, HeadProblem):
        derivatives = HeadDerivatives(problem, options.device)
    else:
        derivatives = NetworkDerivatives(problem, options.device, listener=options.listener)
    return PydvlEngine(derivatives, make(derivatives), damping, listener=options.listener)


class PydvlEngine(SummingEngine):
    """Influence by one of pyDVL's solvers, used at the level of its operators.

    Gradients, and their products with the solution, are computed here: in closed form or by forward mode. The residual
    of every solve is measured against the exact curvature. A solve has converged when its residual is at most 1e-8 for
    `cg` and `direct` on a head, 1e-4 on a network, and 1e-2 for `nystroem`, `arnoldi` and `lissa`. `ekfac` and `ihm`
    solve another system exactly. Their residual says how far that system is from the right one.

    Parameters
    ----------
    derivatives
        The problem.
    solver
        What solves.
    damping
        Above 0.
    listener
        Told of every block of right-hand sides.

    Raises
    ------
    EngineError
        When the damping is not above 0.
    """

    def __init__(
        self, derivatives: Derivatives, solver: Solver, damping: float, *, listener: Listener | None = None
    ) -> None:
        super().__init__(f"{solver.name} (pyDVL)", damping)
        self.derivatives, self.solver = derivatives, solver
        self.n_classes = derivatives.n_classes
        self.notes = self._opening_notes()
        self._listener = listener
        self._exact: InfluenceEngine | None = None

    def with_damping(self, damping: float) -> PydvlEngine:
        """The same engine at another damping; factorisations are shared."""
        return PydvlEngine(self.derivatives, self.solver, damping, listener=self._listener)

    def average_factor(self, x: Inputs, y: Inputs, weights: Array | None = None) -> tuple[Problem, torch.Tensor]:
        """The problem and the solution [1, P] of an average."""
        labels = self._checked(x, y)
        shares = mean_weights(labels, weights)
        return self.derivatives.problem, self._solve(self.derivatives.gradients(x, labels, shares))

    def rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N] rows of the influence matrix; through a network by engine `auto`, because each takes long here."""
        if not isinstance(self.derivatives, NetworkDerivatives):
            return super().rows(x, y)
        if self._exact is None:
            options = EngineOptions(str(self.derivatives.device), listener=self._listener)
            self._exact = network_engine(self.derivatives.problem, self.damping, options)
        before = len(self._exact.solves)
        found = self._exact.rows(x, y)
        self._log.extend(self._exact.solves[before:])
        return found

    def self_influence(self) -> Array:
        """[N]; in closed form for solvers that take one system at a time.

        Raises
        ------
        EngineError
            On a network, where it would take one solve for each training point.
        """
        if isinstance(self.derivatives, NetworkDerivatives):
            return self.derivatives.products.self_influence()
        assert isinstance(self.derivatives, HeadDerivatives)
        if self.solver.one_at_a_time:
            closed = ClosedForm(self.derivatives.problem, self.damping, device=str(self.derivatives.device))
            out = closed.self_influence()
            text = f"Self-influence is in closed form: {self.solver.name} would take one solve a training point."
            self.notes = (*self.notes, text, *closed.notes)
            return out
        head = self.derivatives.head
        out = np.empty(head.n_points)
        step = max(1, _BLOCK_NUMBERS // head.n_parameters)
        for start in range(0, head.n_points, step):
            part = slice(start, min(start + step, head.n_points))
            phi = nn.functional.pad(head.features(part), (0, 1), value=1.0)
            gradients = to_flat(head.residuals(part)[:, :, None] * phi[:, None, :])
            out[part] = (self._solve(gradients) * gradients).sum(1).cpu().numpy()
        return out

    def _opening_notes(self) -> tuple[str, ...]:
        name, notes = self.solver.name, []
        if self.solver.approximates:
            notes.append(f"{name} replaces the Hessian by an approximation; the residual is against the exact one.")
        if isinstance(self.derivatives, NetworkDerivatives):
            notes.append(
                f"Rows of the influence matrix are by engine auto: {name} takes passes over all images for each."
            )
        return tuple(notes)

    def _sums(self, x: Inputs, y: Labels, weights: Array) -> Array:
        step = max(1, _BLOCK_NUMBERS // self.derivatives.n_parameters)
        answers = []
        for start in range(0, len(weights), step):
            z = self._solve(self.derivatives.gradients(x, y, weights[start : start + step]))
            answers.append(self.derivatives.influences(z))
            if self._listener:
                self._listener(f"influence by {self.solver.name}", min(start + step, len(weights)), len(weights))
        return np.concatenate(answers)

    def _solve(self, rhs: torch.Tensor) -> torch.Tensor:
        """[k, P] through the inverse. The residual is measured here and logged (trap 3)."""
        try:
            z, iterations = self.solver.solve(rhs, self.damping)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            why = str(error).splitlines()[0]
            raise EngineError(f"{self.solver.name} found no solution: {why}", hint="raise --damping") from error
        if not bool(torch.isfinite(z).all()):
            raise EngineError(f"{self.solver.name} gave values that are not finite", hint="raise --damping")
        residual = rhs - self.derivatives.product(z) - self.damping * z
        worst = float(relative_norms(residual, rhs).max())
        self._log.append(Solve(len(rhs), iterations, worst, worst <= self.solver.tolerance, self.damping))
        return z
