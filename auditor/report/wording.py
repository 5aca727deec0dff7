"""How values read in the report: shares, numbers, counts and names as text."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from markupsafe import Markup

from auditor.result.figures import CalibrationDocument
from auditor.system.text import printable

UNFELT = 1e-6
"""An influence reads "about 0" up to this part of the strongest average influence."""


def name_markup(text: object) -> Markup:
    """A class or file name for HTML. Right-to-left text in it cannot reorder the words around it."""
    return Markup("<bdi>{}</bdi>").format(printable(text))


def place(text: object) -> str:
    """Where something lies, as a page that is sent around may tell it: of an absolute path the last name alone."""
    written = str(text)
    whole_path = PurePosixPath(written).is_absolute() or PureWindowsPath(written).drive or written.startswith("~")
    return f".../{PureWindowsPath(written).name}" if whole_path else written


def command_shown(command: str) -> str:
    """A command whose absolute paths are told by `place`."""
    try:
        return shlex.join(place(word) for word in shlex.split(command))
    except ValueError:  # no command of ours: a quote in it has no end
        return ""


def percent(share: float | None) -> str:
    """A share as a percentage with at least two significant digits.

    It says 100% only for all, and 0% only for none.
    """
    if share is None:
        return "not known"
    if 0.9995 <= share < 1:
        return "over 99.9%"
    value = float(f"{100 * share:.{2 if share < 0.0995 else 3}g}")
    if value == 0 or value >= 99.95:
        return f"{value:.0f}%"
    if value < 0.1:
        return "under 0.1%"
    digits = 0 if 10 <= value < 99 else 1
    return f"{value:.{digits}f}%"


def chance(value: float) -> str:
    """How likely one label is wrong, as the page's scripts say it: no finer than that can be known."""
    return "over 99%" if value > 0.995 else "under 1%" if value < 0.005 else f"{100 * value:.0f}%"


def share(value: float) -> str:
    """A share that we chose, for example how much of the list is checked. It has no needless decimal."""
    return f"{100 * value:g}%"


def percents(pair: Sequence[float] | None) -> str:
    """An interval of shares."""
    return f"{percent(pair[0])} to {percent(pair[1])}" if pair else "no interval"


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits, or a dash where there is no finite number."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "\N{MINUS SIGN}")
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{value:,.{min(places, 6)}f}".replace("-", "\N{MINUS SIGN}")


def whole(value: float | None) -> str:
    """A count with separators, rounded to a whole number; a dash where there is none."""
    return "–" if value is None else f"{round(value):,}"


def few(value: float | None) -> str:
    """An expected count: whole from 10 on, with one decimal below; a dash where there is none."""
    if value is None:
        return "–"
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def fews(pair: Sequence[float]) -> str:
    """An interval of expected counts. Its ends are rounded outward, as in the page's first sentence."""
    low, high = (
        f"{round_to(x):,}" if x >= 9.95 else few(round_to(10 * x) / 10)
        for round_to, x in zip((math.floor, math.ceil), pair, strict=True)
    )
    return f"{low} to {high}"


def signed(value: float | None) -> str:
    """A number that always carries its sign."""
    return ("+" if value is not None and value > 0 else "") + number(value)


def effect(value: float, scale: float) -> str:
    """An influence with its sign, or "about 0" where it is next to nothing.

    Parameters
    ----------
    scale
        The strongest average influence in the audit; `UNFELT` of it counts as nothing.
    """
    return "about 0" if abs(value) <= UNFELT * scale else signed(value)


def cannot_tell(calibration: CalibrationDocument | None) -> bool:
    """Whether the estimate says that it cannot tell how many labels are wrong. Earlier audits do not say it."""
    return bool(calibration and calibration.get("cannot_tell"))


def seconds_text(value: float) -> str:
    """A time in seconds, or in minutes from two minutes on."""
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"
