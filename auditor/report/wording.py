"""TODO auditor.report.wording."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from auditor.system.text import printable

UNFELT = 1e-6
"""Part of the strongest average influence below which an influence is called none."""


# --- how values read ---------------------------------------------------------------------------------------------


def name_markup(text: object) -> Markup:
    """A class or file name, isolated so that right-to-left text does not reorder what stands around it."""
    return Markup("<bdi>{}</bdi>").format(printable(text))


def percent(share: float | None) -> str:
    """A share as a percentage with two significant digits at least; never 100% for less than all, nor 0% for some."""
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


def share(value: float) -> str:
    """A share that we chose, such as a depth of inspection, without a decimal it does not need."""
    return f"{100 * value:g}%"


def percents(pair: Sequence[float] | None) -> str:
    """An interval of shares."""
    return f"{percent(pair[0])} to {percent(pair[1])}" if pair else "no interval"


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits, or a word where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "\N{MINUS SIGN}")
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{value:,.{min(places, 6)}f}".replace("-", "\N{MINUS SIGN}")


def whole(value: float | None) -> str:
    """A count with separators; an estimated one is rounded."""
    return "–" if value is None else f"{round(value):,}"


def few(value: float | None) -> str:
    """An expected count as a person says it: whole where it is large, one decimal where it is not."""
    if value is None:
        return "–"
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def signed(value: float | None) -> str:
    """A number that always carries its sign."""
    return ("+" if value is not None and value > 0 else "") + number(value)


def effect(value: float, scale: float) -> str:
    """An influence with its sign, or that there is none to speak of beside `scale`, the strongest average one."""
    return "about 0" if abs(value) <= UNFELT * scale else signed(value)


def images_text(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"


def seconds_text(value: float) -> str:
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"
