"""The engine `auto`: exact influence, by the way that is fastest for the problem and fits the memory."""

from __future__ import annotations

from auditor.engines import EngineOptions
from auditor.influence.base import HeadProblem, InfluenceEngine, Problem
from auditor.influence.closed_form import ClosedForm
from auditor.influence.network import network_engine


def open_engine(problem: Problem, damping: float, options: EngineOptions) -> InfluenceEngine:
    """The closed form for a head; inner products or conjugate gradient for a network."""
    if isinstance(problem, HeadProblem):
        return ClosedForm(problem, damping, device=options.device, listener=options.listener)
    return network_engine(problem, damping, options)
