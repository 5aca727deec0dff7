"""Influence of each training point on a reference set: exact for a linear head, pyDVL's engines for everything.

`engine(problem, name, damping)` opens an `InfluenceEngine`. Importing this package loads torch but not pyDVL.
"""

from __future__ import annotations

from auditor.compute.hardware import require
from auditor.engines import EngineKind, EngineOptions, EngineSize, Memory, register_engine, remove_engine
from auditor.influence.base import HeadProblem, InfluenceEngine, NetworkProblem, Solve, SummingEngine
from auditor.influence.opening import engine, require_engine

__all__ = [
    "EngineKind",
    "EngineOptions",
    "EngineSize",
    "HeadProblem",
    "InfluenceEngine",
    "Memory",
    "NetworkProblem",
    "Solve",
    "SummingEngine",
    "engine",
    "register_engine",
    "remove_engine",
    "require",
    "require_engine",
]
