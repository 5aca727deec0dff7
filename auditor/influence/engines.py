"""Which engine answers for which problem: names from the settings to objects, and pyDVL's solvers as engines."""

from __future__ import annotations

from auditor.config import ENGINES
from auditor.errors import EngineError
from auditor.influence.base import HeadProblem, InfluenceEngine, NetworkProblem, Progress
from auditor.influence.closed_form import ClosedForm
from auditor.influence.derivatives import HeadDerivatives, NetworkDerivatives
from auditor.influence.network import network_engine
from auditor.influence.pydvl.engine import PydvlEngine


def engine(
    problem: HeadProblem | NetworkProblem,
    name: str = "auto",
    damping: float = 1e-3,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    seed: int = 0,
) -> InfluenceEngine:
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
