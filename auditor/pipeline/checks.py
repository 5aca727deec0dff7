"""TODO auditor.pipeline.checks."""

from __future__ import annotations

MANY_CLASSES = 128
"""More classes than this make detection long by themselves, which is then said before it starts."""

LONG, LONGEST = 600.0, 24 * 3600.0
"""Processor seconds of detection from which its length is said, and from which it is refused."""


def duration_text(seconds: float) -> str:
    """Hours, or minutes where it is less than two hours."""
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{max(1, seconds / 60):.0f} minutes"
