"""Histograms as inline SVG, written out directly: a page has up to a hundred of them.

They look like the other figures (`auditor.report.plots`), which matplotlib draws. That takes it a tenth of a second for
each. Colours are the page's own. Equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from auditor.system.arrays import Floats
from auditor.system.environment import plain_environment

WIDTH, HEIGHT = 320, 160
LEFT, RIGHT, TOP, BOTTOM = 9.6, 307.2, 8.0, 113.6
"""Ends of both axes in pixels."""

HEADROOM = 1.05
"""The vertical axis ends this many times as high as the highest bar."""

_TEXT = '<text style="font-size: {}px; text-anchor: middle; fill: var(--muted)" x="{}" y="{}">{}</text>'
_LABELS, _NAME = (10.5, "127.57"), (11, "142.45")
"""Size and height of the numbers below the axis, and of its name."""


@dataclass(frozen=True)
class Series:
    """One group of a histogram.

    Attributes
    ----------
    counts
        How many values fall into each bin.
    colour
        A name from the page's style.
    outline
        Draw a line alone, without a filled area.
    """

    counts: Sequence[float]
    colour: str
    outline: bool = False


def histogram(edges: Sequence[float], series: Sequence[Series], label: str, *, of: str = "average influence") -> Markup:
    """Overlaid histograms on common bins. Each group is scaled to its own total, so that small groups stay visible.

    Parameters
    ----------
    edges
        B + 1 bin edges.
    series
        Groups with B counts each. Later ones are drawn in front.
    label
        What a screen reader says.
    of
        What the values are; stands at the axis.
    """
    bins = np.asarray(edges, dtype=float)
    shares = [np.asarray(one.counts, dtype=float) / max(float(np.sum(one.counts)), 1) for one in series]
    top = HEADROOM * max((float(share.max(initial=0)) for share in shares), default=0.0)
    across = LEFT + (RIGHT - LEFT) * (bins - bins[0]) / ((bins[-1] - bins[0]) or 1.0)
    parts = [Markup(_TEXT).format(_LABELS[0], _number(x), _LABELS[1], said) for x, said in _ticks(bins, across)]
    parts.append(Markup(_TEXT).format(_NAME[0], _number((LEFT + RIGHT) / 2), _NAME[1], of))
    for one, share in zip(series, shares, strict=True):
        path = _stairs(across, BOTTOM - (BOTTOM - TOP) * share / (top or 1.0))
        if not one.outline:
            parts.append(_path(path, f"fill: var(--{one.colour}); opacity: 0.3"))
        dash = "stroke-dasharray: 4.8,2.4; " if one.colour == "wrong" else ""
        width = "" if one.outline else "; stroke-width: 1.6"
        parts.append(_path(path, f"fill: none; {dash}stroke: var(--{one.colour}){width}"))
    if bins[0] < 0 < bins[-1]:
        zero = _number(float(np.interp(0.0, bins, across)))
        parts.append(
            _path(f"M {zero} {BOTTOM:g} L {zero} {TOP:g}", "fill: none; stroke: var(--muted); stroke-width: 0.8")
        )
    base = f"M {LEFT:g} {BOTTOM:g} L {RIGHT:g} {BOTTOM:g}"
    parts.append(_path(base, "fill: none; stroke: var(--line); stroke-width: 0.8; stroke-linecap: square"))
    head = Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label)
    return head + Markup(" ").join(parts) + Markup("</svg>")


def _path(points: str, style: str) -> Markup:
    return Markup('<path d="{}" style="{}"/>').format(points, style)


def _stairs(across: Floats, heights: Floats) -> str:
    """The outline of bars that end at `heights` [B], between `across` [B + 1], from the axis and back to it."""
    x, y = np.repeat(across, 2), np.concatenate([[BOTTOM], np.repeat(heights, 2), [BOTTOM]])
    return "M " + " L ".join(f"{_number(a)} {_number(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _ticks(bins: Floats, across: Floats) -> list[tuple[float, str]]:
    """A few places with their numbers, written as the rest of the report writes them: -2e-05 becomes −2e−5."""
    with plain_environment():
        from matplotlib.ticker import MaxNLocator

    inside = [t for t in MaxNLocator(4).tick_values(bins[0], bins[-1]) if bins[0] <= t <= bins[-1]]
    told = [f"{t:.3g}".replace("e-0", "e-").replace("-", "\N{MINUS SIGN}") for t in inside]
    return [(float(np.interp(t, bins, across)), said) for t, said in zip(inside, told, strict=True)]
