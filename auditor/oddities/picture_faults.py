"""Which pictures are dark, bright, blank, washed out, blurred, of an odd size or of an odd shape.

A picture is judged in two ways. Some faults are faults in any data set: a black picture shows nothing. Others show
beside the other pictures: a picture is named where it lies beyond Tukey's far fence (1977), three times the width of
the middle half away from it, and where the word is true of it at all. No limit was fitted to a data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from auditor.data.picture_facts import PictureFacts
from auditor.system.arrays import Array, Floats, Ints

FENCE = 3.0
"""Widths of the middle half of the pictures from it to the far fence."""

FEWEST = 20
"""Pictures, each copy once, that show what is usual."""

CONTRAST = 0.25
"""Part of the scale that the levels of a picture cover at least, if it is not washed out. Edges show from there on."""


@dataclass(frozen=True)
class Side:
    """One side on which pictures can be odd beside the others.

    Attributes
    ----------
    measure
        A name of `measured`.
    high
        Whether high values are odd, or low ones.
    true_from
        From where on the word is true. Where there is no meaning but by comparison, it is a distance from the median.
    compared
        Whether there is none.
    """

    measure: str
    high: bool
    true_from: float
    compared: bool = False


@dataclass(frozen=True)
class Fault:
    """A fault of pictures.

    Attributes
    ----------
    name
        Its word in `ranking.csv`.
    measured
        What is measured, and how it is told of a single picture.
    sides
        On which sides pictures are odd beside the others.
    always
        The measure and the limit that make it a fault in any data set; None where there are none.
    """

    name: str
    measured: str
    said: str
    sides: tuple[Side, ...]
    always: tuple[str, float] | None = None


FAULTS: tuple[Fault, ...] = (
    Fault(
        "dark",
        "the brightest parts, where white is 1",
        "its brightest parts reach {light_parts:.0%} of white",
        (Side("light_parts", high=False, true_from=1 / 2),),
        ("light_parts", 1 / 8),
    ),
    Fault(
        "bright",
        "how far the darkest parts lie below white, which is 1",
        "its darkest parts reach {light:.0%} of white",
        (Side("dark_parts", high=False, true_from=1 / 2),),
        ("dark_parts", 1 / 8),
    ),
    Fault(
        "blank",
        "how far pixels lie from one colour",
        "nearly all of it is one colour",
        (Side("variety", high=False, true_from=4 / 255),),
        ("span", 1 / 16),
    ),
    Fault(
        "washed out",
        "the part of the scale that the levels cover",
        "its levels cover {span:.0%} of the scale",
        (Side("span", high=False, true_from=CONTRAST),),
    ),
    Fault(
        "blurred",
        "edges beside those of the halved picture",
        "a quarter of the pixels would show nearly as much",
        (Side("detail", high=False, true_from=1 / 2),),
        ("detail", 1 / 3),
    ),
    Fault(
        "odd size",
        "pixels",
        "{width:.0f} by {height:.0f} pixels",
        (Side("pixels", high=False, true_from=2, compared=True), Side("pixels", high=True, true_from=2, compared=True)),
    ),
    Fault(
        "odd shape",
        "width by height, or the longer side by the shorter one",
        "{width:.0f} by {height:.0f} pixels",
        (
            Side("shape", high=False, true_from=1.5, compared=True),
            Side("shape", high=True, true_from=1.5, compared=True),
            Side("length", high=True, true_from=1.5, compared=True),
        ),
    ),
)
"""All faults, in the order in which they are told."""

LEAST = 1 / 255
"""Measures are ratios: light, contrast and sizes are compared as the eye does. Smaller values count as this one."""

HIDES = {"dark": ("washed out",), "bright": ("washed out",), "blank": ("washed out", "blurred")}
"""Faults that say nothing more where another one is."""


def measured(facts: PictureFacts, rows: Array) -> dict[str, Floats]:
    """float64 [n] of each measure of some pictures, by its name."""
    width, height = np.maximum(facts["width"][rows], 1), np.maximum(facts["height"][rows], 1)
    kept = {name: facts[name][rows] for name in ("light_parts", "dark_parts", "span", "variety", "detail")}
    shape = width / height
    more = {"light": 1 - kept["dark_parts"], "width": width, "height": height, "pixels": width * height}
    return {**kept, **more, "shape": shape, "length": np.maximum(shape, 1 / shape)}


@dataclass(frozen=True)
class Judged:
    """What is found of one fault among N pictures.

    Attributes
    ----------
    fault
        The fault.
    named, always
        bool [N], the pictures that have it, and those of them that would have it in any data set.
    beyond
        float64 [N], how many widths of the middle half a picture lies beyond it, on the side where that is most.
    limits
        From where on pictures are named beside the others, for each side; none where nobody can tell.
    middle
        The middle half of the first measure; None where nobody can tell.
    """

    fault: Fault
    named: Array
    always: Array
    beyond: Floats
    limits: tuple[float, ...] = ()
    middle: tuple[float, float] | None = None

    def without(self, rows: Array) -> Judged:
        """The same, where these pictures are said not to have it."""
        return replace(self, named=self.named & ~rows, always=self.always & ~rows)


def judge(measures: Mapping[str, Floats], families: Ints) -> tuple[Judged, ...]:
    """Judge N pictures for every fault.

    Parameters
    ----------
    measures
        As `measured` gives them.
    families
        int64 [N], who is a copy of whom. One of each shows what is usual.
    """
    _, once = np.unique(families, return_index=True)
    found = {fault.name: _judge(fault, measures, once) for fault in FAULTS}
    for name, others in HIDES.items():
        for other in others:
            found[other] = found[other].without(found[name].named)
    found["blurred"] = found["blurred"].without(measures["span"] < CONTRAST)
    return tuple(found.values())


def _judge(fault: Fault, measures: Mapping[str, Floats], once: Ints) -> Judged:
    always = np.zeros(len(measures["span"]), bool)
    if fault.always is not None:
        measure, limit = fault.always
        always = measures[measure] <= limit
    if len(once) < FEWEST:
        return Judged(fault, always, always, np.zeros(len(always)))
    sides = [_side(side, measures[side.measure], once) for side in fault.sides]
    named = np.any([far for far, _, _ in sides], axis=0) | always
    beyond = np.max([distance for _, distance, _ in sides], axis=0)
    low, high = np.quantile(measures[fault.sides[0].measure][once], (0.25, 0.75))
    return Judged(fault, named, always, beyond, tuple(limit for _, _, limit in sides), (float(low), float(high)))


def _side(side: Side, values: Floats, once: Ints) -> tuple[Array, Floats, float]:
    """Who is odd on this side, how far each picture lies beyond the middle half, and the limit."""
    sign = 1 if side.high else -1
    ordered = sign * np.log2(np.maximum(values, LEAST))
    _, middle, end = np.quantile(ordered[once], (0.25, 0.5, 0.75))
    width = end - np.quantile(ordered[once], 0.25)
    times = np.log2(side.true_from)
    fence, least = end + FENCE * width, middle + times if side.compared else sign * times
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.nan_to_num((ordered - end) / width, nan=0.0, posinf=np.inf, neginf=-np.inf)
    far = (ordered > fence) & (ordered >= least)
    return far, beyond, float(2 ** (sign * max(fence, least)))
