"""Figures as people read them: a share in percent, a count as a whole number, a score with three decimals."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.gate.documents import Unit


def figure(value: float | None, unit: Unit) -> str:
    """A figure in its unit; `-` where there is none."""
    if value is None:
        return "-"
    if unit == "share":
        # A share above nothing never reads as 0%. Adding 0.0 turns -0.0 into 0.0.
        return f"{100 * value:.1g}%" if 0 < value < 5e-5 else f"{round(100 * value, 2) + 0.0:g}%"
    if unit == "count":
        return f"{round(value, 1) + 0.0:g}"
    return f"{value:.3f}"


def interval(ends: Sequence[float] | None, unit: Unit) -> str:
    """An interval (low, high) in the unit of its figure; `-` where there is none."""
    return "-" if ends is None else f"{figure(ends[0], unit)} to {figure(ends[1], unit)}"
