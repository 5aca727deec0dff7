"""What a first sitting of a review costs and finds, and where the list is used up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.report.wording import cannot_tell
from auditor.result.figures import CalibrationDocument, ReviewRow

LOOKS = 50
"""Looks of a first sitting, or as many as there are."""

RARE = 20
"""From this many looks for one wrong label on, they are rare."""

SECONDS_A_LOOK = 6
"""What a look takes a person at a keyboard, taken for granted. It is said in minutes, as "about"."""


@dataclass(frozen=True)
class Sitting:
    """A first sitting.

    Attributes
    ----------
    looks
        Suspects that are looked at.
    found, interval
        Wrong labels among them, with the 95% interval.
    stop
        The depth of the list after which less than one more is expected in all the rest; None where the list gets
        nowhere near that, or where that is so from the start.
    rare
        The depth after which fewer than one look in `RARE` is expected to find a wrong label, up to the next depth of
        the table and, as the list is ordered, further down; None where there is none.
    """

    looks: int
    found: float
    interval: Sequence[float]
    stop: int | None
    rare: int | None = None


def minutes_of(looks: int) -> str:
    """How long so many looks take, in words."""
    minutes = max(1, math.ceil(looks * SECONDS_A_LOOK / 60))
    return f"About {minutes:,} minute{'' if minutes == 1 else 's'}"


def sitting_row(calibration: CalibrationDocument | None) -> ReviewRow | None:
    """The row about a first sitting. None where nobody can tell what it finds."""
    if calibration is None or not calibration["decided"] or not calibration["review"]:
        return None
    rows = calibration["review"]
    row = next((row for row in rows if row["k"] >= LOOKS), rows[-1])
    return row if row["expected_found"] is not None else None


def first_sitting(calibration: CalibrationDocument | None) -> Sitting | None:
    """What a first sitting finds. None where the model cannot tell how many labels are wrong."""
    row = sitting_row(calibration)
    if calibration is None or row is None or cannot_tell(calibration):
        return None
    return Sitting(row["k"], row["expected_found"], row["expected_found_interval"], *_ends(calibration["review"]))


def _ends(rows: Sequence[ReviewRow]) -> tuple[int | None, int | None]:
    """Where less than one wrong label is expected in all that follows, and where they become rare."""
    total = rows[-1]["expected_found"]
    if total < 1:
        return None, None
    stop = next((row["k"] for row in rows[:-1] if total - row["expected_found"] < 1), None)
    steps = ((a["k"], b["k"] - a["k"], b["expected_found"] - a["expected_found"]) for a, b in itertools.pairwise(rows))
    return stop, next((k for k, looks, more in steps if more * RARE < looks), None)
