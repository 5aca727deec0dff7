"""Pictures with a fault, such as dark or blurred ones.

`picture_faults` judges them. Here stands what it is told, and how its answer is put into words.
"""

from __future__ import annotations

import numpy as np

from auditor.oddities.contract import Audited, Cell, Column, Item, Kind, Oddity
from auditor.oddities.picture_faults import FEWEST, Judged, Side, judge, measured
from auditor.system.arrays import Array, Floats
from auditor.system.text import counted

COLUMN = Column(
    "picture_faults", "words", "What is wrong with the picture itself, such as dark or blurred; empty if nothing is."
)

HEADS = ("fault", "images", "in any data set", "measured", "middle half", "named beside others")

TOO_FEW = (
    "Cannot tell what is odd among {n}, copies counted once: {fewest} or more show what is usual. {found} a "
    "fault that is one in any data set."
)

NOTHING = (
    "None of {whole:,} images is dark, bright, blank, washed out, blurred, or of an odd size or shape, by itself or "
    "beside the others."
)

HOW = (
    "These are measurements of the files, and no estimates. 'In any data set' are images that are faulty whatever the "
    "others are: the brightest parts reach at most an eighth of white (dark), the darkest ones lie at most an eighth "
    "below it (bright), all but two of a hundred pixels lie within a sixteenth of the scale (blank), or edges are at "
    "most a third of those in the halved image (blurred)."
)

BESIDE = (
    "The others are odd beside the rest: they lie three times the width of the middle half away from it, and the word "
    "is true of them. A fault that a quarter of the images have is usual here, and not found in this way."
)

MEANING = (
    "A fault says how an image was taken or saved. It can belong to what the image shows: a night is dark, fog is "
    "washed out. Only people can say. Blur is judged at an edge of 128 pixels, where contrast is enough to see edges."
)


def find(audited: Audited) -> Oddity:
    """What the files of the pictures show."""
    facts = audited.facts
    assert facts is not None
    known = np.flatnonzero(facts.known)
    measures, families = measured(facts, known), audited.families[known]
    found = judge(measures, families)
    faulty, n = np.any([one.named for one in found], axis=0), len(known)
    words = np.full(len(facts.values), "", dtype=object)
    words[known] = [", ".join(one.fault.name for one in found if one.named[row]) for row in range(n)]
    told, lost = len(np.unique(families)) >= FEWEST, len(facts.values) - n
    unread = (f"{counted(lost, 'image', 'images')} could not be read again.",) if lost else ()
    return Oddity(
        _summary(found, int(faulty.sum()), n, told=told, once=len(np.unique(families))),
        told=told,
        value=float(faulty.mean()),
        heads=HEADS,
        rows=tuple(_row(one) for one in sorted(found, key=lambda one: -int(one.named.sum()))),
        items=tuple(Item(int(known[row]), _said(found, measures, row)) for row in _order(found, faulty)),
        notes=(HOW, BESIDE, MEANING, *unread),
        values=words,
    )


def _summary(found: tuple[Judged, ...], n_faulty: int, n: int, *, told: bool, once: int) -> str:
    counts = [(one.fault.name, int(one.named.sum())) for one in found if one.named.any()]
    if not told:
        have = counted(n_faulty, "image has", "images have")
        return TOO_FEW.format(n=counted(once, "image", "images"), fewest=FEWEST, found=have)
    if not counts:
        return NOTHING.format(whole=n)
    faults = ", ".join(f"{count:,} {name}" for name, count in sorted(counts, key=lambda pair: -pair[1]))
    return f"Of {n:,} images, {n_faulty:,} {'has' if n_faulty == 1 else 'have'} a fault: {faults}."


def _row(one: Judged) -> tuple[Cell, ...]:
    measure = one.fault.sides[0].measure
    limits = zip(one.fault.sides, one.limits, strict=False)
    sides = [f"{_word(side)} {_figure(side.measure, limit)}" for side, limit in limits]
    middle = "" if one.middle is None else " to ".join(_figure(measure, end) for end in one.middle)
    counts = int(one.named.sum()), int(one.always.sum())
    return one.fault.name, *counts, one.fault.measured, middle, " or ".join(sides)


def _word(side: Side) -> str:
    return "longer than" if side.measure == "length" else "above" if side.high else "below"


def _figure(measure: str, value: float) -> str:
    return f"{value:,.0f}" if measure == "pixels" else f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def _order(found: tuple[Judged, ...], faulty: Array) -> Array:
    """The pictures with a fault: first those that have one in any data set, then those with more, then the farthest."""
    always = np.sum([one.always for one in found], axis=0)
    many = np.sum([one.named for one in found], axis=0)
    far = np.max([np.where(one.named, one.beyond, -np.inf) for one in found], axis=0)
    order = np.lexsort((np.arange(len(faulty)), -far, -many, -np.minimum(always, 1)))
    return np.asarray(order[faulty[order]])


def _said(found: tuple[Judged, ...], measures: dict[str, Floats], row: int) -> str:
    values = {name: float(column[row]) for name, column in measures.items()}
    return "; ".join(f"{one.fault.name}: {one.fault.said.format(**values)}" for one in found if one.named[row])


KIND = Kind(
    "picture_faults",
    "Faulty images",
    "Images that are dark, bright, blank, washed out, blurred, or of an odd size or shape.",
    ("pictures",),
    find,
    COLUMN,
)
