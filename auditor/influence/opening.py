"""From an engine's name to the engine: `engine` opens it on a problem, `require_engine` asks first for its memory."""

from __future__ import annotations

from auditor import engines
from auditor.engines import HEAD, EngineOptions, EngineSize, Listener
from auditor.errors import EngineError
from auditor.influence.base import HeadProblem, InfluenceEngine, Problem, require_memory


def engine(
    problem: Problem,
    name: str = "auto",
    damping: float = 1e-3,
    *,
    device: str = "cpu",
    listener: Listener | None = None,
    seed: int = 0,
) -> InfluenceEngine:
    """The engine called `name`, opened on a problem.

    Parameters
    ----------
    problem
        A linear head on frozen features, or a whole network.
    name
        One of `auditor.engines.names()`: `auto` is our own exact engine, the others are pyDVL's or another package's.
    damping
        Hessian regularisation, above 0.
    device
        A torch device such as `cpu` or `cuda`.
    listener
        Called as `listener(description, done, total)` during long solves.
    seed
        Seed of the engines that draw at random (of ours Nystroem, Arnoldi and LiSSA).

    Raises
    ------
    EngineError
        When there is no engine of that name, or it cannot serve this problem. The message says why, the hint what can.
    """
    kind = engines.kind(name)
    is_head = isinstance(problem, HeadProblem)
    if is_head and HEAD not in kind.serves:
        raise EngineError(f"engine {name} serves whole networks, not a linear head", hint="choose --engine auto")
    if not is_head and not {*kind.serves} - {HEAD}:
        raise EngineError(
            f"engine {name} serves linear layers only, not a whole network",
            hint="choose --engine auto, or --train head",
        )
    opened = kind.opener()(problem, damping, EngineOptions(device, seed, listener))
    if not isinstance(opened, InfluenceEngine):
        raise EngineError(
            f"engine {name} opens a {type(opened).__name__}, which is no InfluenceEngine",
            hint="derive it from auditor.influence.InfluenceEngine",
        )
    return opened


def require_engine(name: str, size: EngineSize, device: str) -> None:
    """Raise `EngineError` when an engine cannot hold what it keeps of a problem of this size.

    Parameters
    ----------
    name
        The engine.
    size
        The problem's parameters, rank and width.
    device
        Where the memory is.
    """
    require_memory(engines.kind(name).memory(size), device)
