"""Which engine answers for which problem: names from the settings to objects, and pyDVL's solvers as engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.config import ENGINES
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
from auditor.influence.head import LinearHead, from_flat, to_flat
from auditor.influence.jacobian import Network
from auditor.influence.network import GaussNewtonCg, network_engine

_BLOCK_NUMBERS = 2**24
_MANY_SOLVES = ("cg", "lissa")
"""Engines that solve one right-hand side at a time, too slow for one solve a training point."""


def engine(
    problem: HeadProblem | NetworkProblem, name: str = "auto", damping: float = 1e-3, *, device: str = "cpu",
    progress: Progress | None = None, seed: int = 0,
) -> InfluenceEngine:  # fmt: skip
    """The engine called `name` for `problem`.

    Parameters
    ----------
    problem
        A linear head on frozen features, or a whole network.
    name
        `auto` is our own exact engine; `cg`, `direct`, `nystroem`, `arnoldi`, `lissa`, `ekfac` and `ihm` are pyDVL's.
    damping
        Hessian regularisation, above 0.
    device
        A torch device such as `cpu` or `cuda`.
    progress
        Called as `progress(description, done, total)` during long solves.
    seed
        Of the engines that draw at random (Nystroem, Arnoldi, LiSSA).

    Raises
    ------
    EngineError
        When the engine does not exist or cannot serve this problem; the message says why and the hint what can.
    """
    if name not in ENGINES:
        raise EngineError(f"there is no engine '{name}'", hint="choose one of " + ", ".join(ENGINES))
    if name == "auto":
        if isinstance(problem, HeadProblem):
            return ClosedForm(problem, damping, device=device, progress=progress)
        return network_engine(problem, damping, device=device, progress=progress)
    derivatives: HeadDerivatives | NetworkDerivatives
    if isinstance(problem, HeadProblem):
        derivatives = HeadDerivatives(problem, device)
    else:
        derivatives = NetworkDerivatives(problem, device, progress=progress)
    return PydvlEngine(derivatives, name, damping, seed=seed, progress=progress)


class HeadDerivatives:
    """A linear head as a model of pyDVL's (`nn.Linear` in float64), its derivatives in closed form."""

    is_linear = True

    def __init__(self, problem: HeadProblem, device: str = "cpu") -> None:
        self.head: LinearHead = LinearHead(problem, device)
        self.problem = problem
        self.device, self.dtype = self.head.device, self.head.dtype
        self.n_points, self.n_classes = self.head.n_points, self.head.n_classes
        self.n_parameters = self.head.n_parameters
        self.full_rank = (self.n_classes - 1) * self.head.n_columns
        # skip_init: an ordinary layer would draw from torch's global generator, which is not ours to advance.
        model: nn.Module = nn.utils.skip_init(
            nn.Linear, self.head.n_columns - 1, self.n_classes, dtype=self.dtype, device=self.device
        )
        model.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        self.model = model.eval()

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """See `upstream.Derivatives`."""
        return to_flat(self.head.product(from_flat(v, self.n_classes)))

    def expect(self, passes: float) -> None:
        """See `upstream.Derivatives`; a head takes no time worth telling."""

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `upstream.Derivatives`."""
        return self.head.features(part), self.head.labels[part]

    def gradients(self, x: Any, y: Array, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` [k, n]."""
        return to_flat(self.head.weighted_gradient(np.asarray(x), y, weights))

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients."""
        return self.head.influences(from_flat(z, self.n_classes))


class NetworkDerivatives:
    """A network in its own precision; its curvature is the Gauss-Newton matrix.

    `progress` is told of the images that went through the network, of as many as the solver expects to need.
    """

    is_linear = False

    def __init__(self, problem: NetworkProblem, device: str = "cpu", *, progress: Progress | None = None) -> None:
        self.head: LinearHead | None = None
        self.problem = problem
        self.network = Network(problem, device)
        self._products = GaussNewtonCg(self.network, 1.0)
        self.model = self.network.model
        self.device, self.dtype = self.network.device, self.network.dtype
        self.n_points, self.n_classes = self.network.n_points, self.network.n_classes
        self.n_parameters = self.network.n_parameters
        self.full_rank = min(self.n_parameters, self.n_points * (self.n_classes - 1))
        self._progress = progress
        self._seen, self._expected = 0, 0.0

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """See `upstream.Derivatives`."""
        out = torch.empty_like(v)
        for row, direction in enumerate(v):
            out[row] = self.network.product(direction[None])[0]
            self._tell(self.n_points)
        return out

    def expect(self, passes: float) -> None:
        """See `upstream.Derivatives`."""
        self._expected = self._seen + passes * self.n_points

    def _tell(self, images: int) -> None:
        self._seen += images
        if self._progress:
            self._progress("images through the network", self._seen, max(self._seen, round(self._expected)))

    def batch_product(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """One direction [P] times the Gauss-Newton matrix of one batch."""
        self._tell(len(x))
        return self.network.batch_product(x, v) / len(x)

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """See `upstream.Derivatives`."""
        self._tell(part.stop - part.start)
        return self.network.images(part), self.network.labels[part]

    def gradients(self, x: Any, y: Array, weights: Array) -> torch.Tensor:
        """[k, P] weighted sums of reference gradients; `weights` [k, n]."""
        return self._products.gradients(x, y, weights)

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N] inner products of directions [k, P] with all training gradients."""
        return self._products.influences(z)


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
        self, derivatives: HeadDerivatives | NetworkDerivatives, name: str, damping: float, *, seed: int = 0,
        progress: Progress | None = None, shared: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(f"{name} (pyDVL)", damping)
        from auditor.influence import upstream

        self.derivatives = derivatives
        self._short, self._seed, self._progress = name, seed, progress
        self._solver: upstream.Solver = shared or upstream.solver(name, derivatives, seed)
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
