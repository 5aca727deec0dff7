"""Classes that overlap so much that they may be one, and classes that hold two groups with hardly anything in between.

How well heads that saw no label tell two classes apart stands in `detection.rivals`, and the groups of a class are
found by `modes`. Here stands how sure both are, and how it is put into words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from auditor.detection.detect import ALL_COPIES, BY_HEART
from auditor.detection.rivals import Rivals
from auditor.oddities.contract import ROWS, Audited, Cell, Column, Item, Kind, Oddity, worth
from auditor.oddities.modes import FEWEST as FEWEST_OF_TWO
from auditor.oddities.modes import Modes, modes
from auditor.system.arrays import Array
from auditor.system.text import counted, short

ERROR = 0.05
"""Chance that any interval misses."""

ONE_OF_THREE = 2 / 3
"""Two classes are named where the model surely takes one of three pairs of their images the wrong way, or more."""

FEWEST = 20
"""Images, each copy once, that a class needs to be compared."""

FOLDS = 3

WORTH = worth(FOLDS)
"""What an image counts in an interval."""

SHOWN = 4
"""Images of each group that are shown."""

COLUMN = Column(
    "class_part", "words", "Of a class that falls into two groups, the one that the image is in: larger or smaller."
)

HEADS = ("finding", "class", "other class", "images", "figure", "from", "to")

OVERLAP = (
    "'{one}' and '{other}' are hardly told apart: of an image of each, the model finds which is which in {told:.0%} of "
    "all cases ({low:.0%} to {high:.0%}); guessing does in 50%. They may be one class, or these features do not show "
    "what tells them apart."
)

APART = (
    "No two classes are mixed up as if they were one. The closest are '{one}' and '{other}': of an image of each, the "
    "model finds which is which in {told:.0%} of all cases ({low:.0%} to {high:.0%})."
)

MAYBE = (
    "'{one}' and '{other}' may be mixed up: of an image of each, the model finds which is which in {told:.0%} of all "
    "cases ({low:.0%} to {high:.0%}); guessing does in 50%. More images of both would tell."
)

UNKNOWN = "Cannot tell whether classes overlap: {why}."

TWO = (
    "'{name}' falls into two groups, of {larger:.0%} and {smaller:.0%}: in between lie {valley:.2f} times as many "
    "images as around the centre of the sparser one (at most {high:.2f}). That can be right, as for two views of one "
    "thing."
)

ONE = "No class surely falls into two groups."

HOW = (
    "What tells two classes apart is the area under the curve of heads that saw no label of these images. A pair is "
    "named where its whole interval lies below two thirds. All intervals of pairs hold together with 95% probability, "
    "those of pairs that were not compared among them: each class is compared with the five it is taken for most. "
    "Wrong labels alone do not go so far: a tenth of a class under the other name costs a twentieth."
)

GROUPS = (
    "Groups are sought with two centres, and counted on images that did not place them. A class is named where surely "
    "fewer lie in the middle than around either centre; all these limits hold together with 95% probability. Small "
    "groups, and more than two, are found less often. Images whose label looks wrong are left out."
)

NO_GROUPS = f"Groups inside a class are not sought: that needs features, and {FEWEST_OF_TWO} images of a class."


@dataclass(frozen=True)
class Pair:
    """Two classes, and how well they are told apart, with its interval."""

    one: int
    other: int
    n: int
    told: float
    low: float
    high: float
    could: bool

    @property
    def overlaps(self) -> bool:
        """Whether they are surely mixed up."""
        return self.high < ONE_OF_THREE

    @property
    def may_overlap(self) -> bool:
        """Whether they are, or nobody can tell."""
        return self.low < ONE_OF_THREE


def interval(told: float, n: int, m: int, level: float) -> tuple[float, float]:
    """The interval of an area under the curve of `n` and `m` items, of confidence 1 - `level`.

    Its ends are the areas that lie just so far from the measured one that chance explains it, by the variance of Hanley
    and McNeil (1982) at these areas (Newcombe, 2006).
    """
    z, least = float(norm.isf(level / 2)), 0.5 / (n * m)
    told = min(max(told, least), 1 - least)  # a pair more or less is the finest difference

    def beyond(area: float) -> float:
        first, second = area / (2 - area), 2 * area**2 / (1 + area)
        variance = area * (1 - area) + (n - 1) * (first - area**2) + (m - 1) * (second - area**2)
        return abs(told - area) - z * float(np.sqrt(max(variance, 0.0) / (n * m * WORTH)))

    return float(brentq(beyond, 0.0, told)), float(brentq(beyond, told, 1.0))


def compared(rivals: Rivals) -> tuple[Pair, ...]:
    """The pairs of classes with enough images, the least apart first."""
    enough = rivals.sizes.min(axis=1, initial=FEWEST) >= FEWEST
    n_classes = len(np.unique(rivals.pairs[enough]))
    level = ERROR / max(1, n_classes * (n_classes - 1) // 2)
    found = []
    for (one, other), told, (n, m) in zip(
        rivals.pairs[enough].tolist(), rivals.told[enough].tolist(), rivals.sizes[enough].tolist(), strict=True
    ):
        low, high = interval(told, n, m, level)
        found.append(Pair(one, other, n + m, told, low, high, interval(0.5, n, m, level)[1] < ONE_OF_THREE))
    return tuple(sorted(found, key=lambda pair: (pair.high, pair.told, pair.one, pair.other)))


def needed(n_classes: int) -> int:
    """Images of each class with which two classes that are one would be named."""
    level = ERROR / max(1, n_classes * (n_classes - 1) // 2)
    return next(n for n in range(FEWEST, 100_000) if interval(0.5, n, n, level)[1] < ONE_OF_THREE)


def find(audited: Audited) -> Oddity:
    """Compare the classes, and look into each of them."""
    names, detection = audited.data.classes, audited.detection
    pairs = () if detection.rivals is None else compared(detection.rivals)
    split = _split(audited)
    why = detection.reason if detection.reason in (BY_HEART, ALL_COPIES) else ""
    if not any(pair.could or pair.overlaps or not pair.may_overlap for pair in pairs):
        why = why or f"two classes that are one would be named with about {needed(len(names))} images of each"
    overlaps, two = [pair for pair in pairs if pair.overlaps], [one for one in split if one.high < 1]
    rows = [_pair_row(pair, names) for pair in pairs if pair.overlaps or pair is pairs[0] or pair.high < 1]
    rows = [*rows[: ROWS // 2], *(_modes_row(one, names) for one in split)]
    small = sum(pair.may_overlap and not pair.could for pair in pairs)
    notes = [HOW, GROUPS if split else NO_GROUPS]
    if small and not why:
        notes.append(f"{counted(small, 'pair has', 'pairs have')} too few images to be named, were they one class.")
    return Oddity(
        " ".join((_overlap_said(pairs, why.rstrip("."), names), *_two_said(two, split, names))),
        told=not why,
        value=None if why else float(len(overlaps)),
        interval=None if why else (float(len(overlaps)), float(sum(pair.may_overlap for pair in pairs))),
        heads=HEADS,
        rows=tuple(rows),
        items=_items(two, names),
        notes=tuple(notes),
        values=_parts(audited, two),
    )


def _split(audited: Audited) -> list[Modes]:
    """What each class looks like inside, the clearest groups first. Nothing without features."""
    if audited.lacks("features"):
        return []
    data, p = audited.data, audited.detection.p_mislabelled
    trusted = np.ones(len(data.labels), bool) if p is None else np.asarray(p < 0.5)
    found = modes(data.features, data.labels, trusted, audited.families, audited.seed, ERROR)
    return sorted(found, key=lambda one: (one.high, one.valley, one.label))


def _overlap_said(pairs: tuple[Pair, ...], why: str, names: tuple[str, ...]) -> str:
    if why:
        return UNKNOWN.format(why=why[:1].lower() + why[1:])
    first = pairs[0]
    words = {"one": short(names[first.one]), "other": short(names[first.other])}
    sentence = OVERLAP if first.overlaps else MAYBE if first.may_overlap else APART
    said = sentence.format(**words, told=first.told, low=first.low, high=first.high)
    more = sum(pair.overlaps for pair in pairs) - 1
    return said + (f" {counted(more, 'more pair is', 'more pairs are')} so." if more > 0 else "")


def _two_said(two: list[Modes], split: list[Modes], names: tuple[str, ...]) -> tuple[str, ...]:
    if not two:
        return (ONE,) if split else ()
    first, part = two[0], two[0].smaller
    figures = {"larger": 1 - part, "smaller": part, "valley": first.valley, "high": first.high}
    said = TWO.format(name=short(names[first.label]), **figures)
    return said, *((f"{counted(len(two) - 1, 'more class does', 'more classes do')}.",) if len(two) > 1 else ())


def _pair_row(pair: Pair, names: tuple[str, ...]) -> tuple[Cell, ...]:
    figures = (round(figure, 3) for figure in (pair.told, pair.low, pair.high))
    said = "hardly told apart" if pair.overlaps else "not sure" if pair.may_overlap else "told apart"
    return said, short(names[pair.one]), short(names[pair.other]), pair.n, *figures


def _modes_row(one: Modes, names: tuple[str, ...]) -> tuple[Cell, ...]:
    said = "two groups" if one.high < 1 else "one group, or not sure"
    high = round(one.high, 3) if np.isfinite(one.high) else None
    return said, short(names[one.label]), "", one.n, round(one.valley, 3), None, high


def _larger(one: Modes) -> Array:
    """bool [n], the items of a class that lie in its larger group."""
    right = one.place >= 0
    return np.asarray(right if right.mean() >= 0.5 else ~right)


def _items(two: list[Modes], names: tuple[str, ...]) -> tuple[Item, ...]:
    """The images nearest to each centre of the classes with two groups."""
    items = []
    for one in two:
        larger = _larger(one)
        for name, mine in (("larger", larger), ("smaller", ~larger)):
            rows = one.rows[mine]
            order = np.argsort(np.abs(np.abs(one.place[mine]) - 0.5), kind="stable")[:SHOWN]
            said = f"typical of the {name} group of '{short(names[one.label])}'"
            items += [Item(int(rows[at]), said) for at in order]
    return tuple(items)


def _parts(audited: Audited, two: list[Modes]) -> Array | None:
    """[N], the group of each item of a class with two; its copies under the same label are in the same one."""
    if not two:
        return None
    labels, families = audited.data.labels, audited.families
    parts = {}
    for one in two:
        for row, larger in zip(one.rows.tolist(), _larger(one).tolist(), strict=True):
            parts[int(labels[row]), int(families[row])] = "larger" if larger else "smaller"
    pairs = zip(labels.tolist(), families.tolist(), strict=True)
    return np.array([parts.get(pair, "") for pair in pairs], dtype=object)


KIND = Kind(
    "classes",
    "Classes that overlap or fall apart",
    "Classes that can hardly be told apart and may be one, and classes that hold two groups and may be two.",
    (),
    find,
    COLUMN,
)
