"""The influence engines: exact in closed form for a linear head, pyDVL's for everything, behind one interface.

`engine(problem, name, damping)` gives an `InfluenceEngine`; importing this package imports torch but not pyDVL.
"""

from __future__ import annotations

from auditor.compute.hardware import require
from auditor.influence.base import HeadProblem, InfluenceEngine, NetworkProblem, Progress, Solve
from auditor.influence.engines import engine
from auditor.influence.pydvl.limits import require_engine

__all__ = [
    "HeadProblem",
    "InfluenceEngine",
    "NetworkProblem",
    "Progress",
    "Solve",
    "engine",
    "require",
    "require_engine",
]
