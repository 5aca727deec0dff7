"""The report's figures as inline SVG in the page's own colours, so that they follow light, dark and print.

matplotlib draws with stand-in colours. Afterwards each of them becomes a CSS variable, `var(--name)`. Equal inputs
give equal bytes. A figure's words are ours: class names stand in the page around it, or in its accessible name, which
is escaped. No two lines differ in colour alone: a dash or a width tells them apart for eyes and printers without
colours.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from auditor.result.documents import DampingTrialDocument, LossDocument
from auditor.result.figures import RankingDocument, RankingsDocument
from auditor.system.environment import plain_environment
from auditor.system.interrupts import held

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "#010001": "var(--ink)",
    "#020001": "var(--muted)",
    "#030001": "var(--line)",
    "#040001": "var(--wrong)",
    "#050001": "var(--clean)",
    "#060001": "var(--series-3)",
    "#070001": "var(--paper)",
}

_BY_NAME = {name[6:-1]: stand_in for stand_in, name in _COLOURS.items()}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "auditor",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "path.simplify": True,
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": _BY_NAME["ink"],
    "axes.labelcolor": _BY_NAME["muted"],
    "xtick.color": _BY_NAME["muted"],
    "ytick.color": _BY_NAME["muted"],
    "axes.edgecolor": _BY_NAME["line"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _BY_NAME["line"],
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.dpi": 72,
}


def recovery_curve(
    rankings: RankingsDocument, label: str, *, of: str = "images", perfect: Sequence[tuple[float, float]] = ()
) -> Markup:
    """Share of planted labels found against share of images checked, with 95% bands.

    Parameters
    ----------
    label
        What a screen reader says.
    perfect
        What a perfect list finds, as points of the same two shares.
    """

    def line(ax: Axes, ranking: RankingDocument, colour: str, dash: Any, width: float, *, band: bool) -> None:
        curve, shade = ranking["curve"], _BY_NAME[colour]
        if band:
            ax.fill_between(curve["inspected"], curve["low"], curve["high"], color=shade, alpha=0.14, linewidth=0)
        ax.plot(
            curve["inspected"], curve["found"], color=shade, linestyle=dash, linewidth=width, solid_capstyle="round"
        )

    def draw(ax: Axes) -> None:
        if perfect:
            ax.plot(*zip(*perfect, strict=True), color=_BY_NAME["ink"], linewidth=1)
        line(ax, rankings["random"], "muted", (0, (1, 2.5)), 1.2, band=False)
        line(ax, rankings["influence"], "clean", (0, (5, 2)), 1.8, band=True)
        if rankings["suspicion"]:
            line(ax, rankings["suspicion"], "wrong", "-", 2.2, band=True)
        _percent(ax)
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1.02),
            xlabel=f"{of} checked, most suspicious first",
            ylabel="planted labels found",
        )
        ax.grid(visible=True)

    return _figure(draw, label, "recovery")


def loss_curves(clean: LossDocument, corrupted: LossDocument, label: str) -> Markup:
    """Loss per epoch of the model on the given labels and of the one with planted labels.

    The latter's lines are thicker. Training is dashed, validation solid.
    """

    from matplotlib.ticker import MaxNLocator

    def draw(ax: Axes) -> None:
        for losses, colour, width in ((clean, "clean", 1.4), (corrupted, "wrong", 2.8)):
            for values, dash in ((losses["train"], (0, (3, 2))), (losses["val"], "-")):
                if values:
                    epochs = range(1, len(values) + 1)
                    ax.plot(epochs, values, color=_BY_NAME[colour], linestyle=dash, linewidth=width)
        ax.set(xlabel="epoch", ylabel="cross-entropy")
        ax.set_xlim(left=1)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(visible=True, axis="y")

    return _figure(draw, label, "loss", width=330, height=230)


def damping_choice(choice: Sequence[DampingTrialDocument], chosen: float, label: str) -> Markup:
    """Score of every damping that was tried, on a logarithmic axis. A ring marks the chosen one."""

    def draw(ax: Axes) -> None:
        points = sorted((trial["damping"], trial["score"]) for trial in choice)
        x, y = [p[0] for p in points], [p[1] for p in points]
        ax.set_xscale("log")
        ax.plot(x, y, color=_BY_NAME["clean"], linewidth=1.6, marker="o", markersize=4)
        best = [p for p in points if np.isclose(p[0], chosen)]
        if best:
            ring: Any = {"markerfacecolor": "none", "markeredgecolor": _BY_NAME["wrong"], "markeredgewidth": 2}
            ax.plot([best[0][0]], [best[0][1]], linestyle="none", marker="o", markersize=9, **ring)
        ax.set(xlabel="damping", ylabel="recovery of planted labels")
        ax.margins(x=0.06, y=0.15)
        _plain_powers(ax, x)
        ax.grid(visible=True, axis="y")

    return _figure(draw, label, "damping", width=360, height=220, left=0.16, bottom=0.21)


def _plain_powers(ax: Axes, values: Sequence[float]) -> None:
    """Ticks at some powers of ten, written out."""
    from matplotlib.ticker import FixedLocator, NullLocator

    if values:
        low, high = np.floor(np.log10(min(values))), np.ceil(np.log10(max(values)))
        step = max(1, int((high - low) // 4))
        powers = [10.0**p for p in range(int(low), int(high) + 1, step)]
        ax.xaxis.set_major_locator(FixedLocator(powers))
        ax.set_xticks(powers, [f"{p:g}" for p in powers])
    ax.xaxis.set_minor_locator(NullLocator())


def _percent(ax: Axes) -> None:
    """Both axes from 0% to 100%."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_xticks(ticks, [f"{t:.0%}" for t in ticks])
    ax.set_yticks(ticks, [f"{t:.0%}" for t in ticks])


def _figure(
    draw: Callable[[Axes], None],
    label: str,
    name: str,
    *,
    width: int = 400,
    height: int = 260,
    left: float = 0.14,
    bottom: float = 0.19,
) -> Markup:
    """Draw a figure of `width` by `height` pixels; `left` and `bottom` are margins as parts of these."""
    with plain_environment():
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

    style: Any = {**_defaults(), **_STYLE}
    with held(), rc_context(style):
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        ax = figure.subplots()
        figure.patch.set_visible(False)
        ax.patch.set_visible(False)
        figure.subplots_adjust(left=left, right=0.96, top=0.95, bottom=bottom)
        draw(ax)
        target = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", metadata=nothing, transparent=True)
    return _inline(target.getvalue(), label, name)


@functools.cache
def _defaults() -> dict[str, Any]:
    """matplotlib's own defaults. A user's matplotlibrc must not change a report."""
    with plain_environment():
        from matplotlib import rcParamsDefault

    return {str(k): v for k, v in rcParamsDefault.items() if not k.startswith(("backend", "interactive", "toolbar"))}


def _inline(svg: str, label: str, name: str) -> Markup:
    """The SVG element alone, with page colours, page fonts, ids of its own and an accessible name."""
    body = svg[svg.index("<svg") :]
    body = body[body.index(">") + 1 :].rstrip()
    body = re.sub(r"<defs>\s*<style type=\"text/css\">.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"<g id=\"[^\"]*\"(/?)>", r"<g\1>", body)
    body = re.sub(r" font-family: [^;\"]*;?", "", body)
    body = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", body)
    body = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found.group()), body)
    for stand_in, variable in _COLOURS.items():
        body = body.replace(stand_in, variable)
    # Two figures with equal marks would share an id, and a page must not have an id twice.
    owner = f"{name}-{_digest(body + label)}-"
    body = re.sub(r"<(path|clipPath) id=\"", rf'<\1 id="{owner}', body)
    body = body.replace('xlink:href="#', f'href="#{owner}').replace("url(#", f"url(#{owner}")
    body = re.sub(r"\s*\n\s*", " ", body)
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0]
    return Markup('<svg class="plot" viewBox="{}" role="img" aria-label="{}">').format(box, escape(label)) + Markup(
        body
    )


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
