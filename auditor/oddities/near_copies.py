"""Near copies: pictures that were saved anew, resized, cropped, mirrored or brightened.

Under two labels one of them is wrong, or nobody can tell what is right. On two sides of a split they make a model look
better than it is. Copies that are equal byte for byte have rules of their own: `leakage`, `conflicting_duplicates`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.data.dataset import Dataset
from auditor.data.near_pairs import BY_CHANCE
from auditor.oddities.contract import ROWS, Audited, Cell, Column, Item, Kind, Oddity
from auditor.system.text import counted

SEEDED = "seeded"
"""The audit drew the splits itself. Copies on two sides are then no fault of the data set's own splits."""

COLUMN = Column("near_copy", "words", "The nearest copy of the image that is not equal byte for byte, if there is one.")

HEADS = ("image", "label", "split", "near copy", "its label", "its split")


@dataclass(frozen=True)
class _Pair:
    """Two rows, the chance of so near a pair, and whether labels and sides of the split differ."""

    one: int
    other: int
    chance: float
    labels_differ: bool
    sides_differ: bool

    @property
    def order(self) -> tuple[bool, bool, float, int, int]:
        """The most serious first."""
        return not self.labels_differ, not self.sides_differ, self.chance, self.one, self.other


def find(audited: Audited) -> Oddity:
    """The pairs, those with two labels first, then those on two sides of a split."""
    data = audited.data
    drawn = data.split_origin == SEEDED
    pairs = sorted(
        (
            _Pair(
                int(one),
                int(other),
                float(chance),
                bool(data.labels[one] != data.labels[other]),
                bool((data.splits[one] == "train") != (data.splits[other] == "train")),
            )
            for (one, other), chance in zip(audited.near.pairs, audited.near.chance, strict=True)
        ),
        key=lambda pair: pair.order,
    )
    labels, sides = sum(pair.labels_differ for pair in pairs), sum(pair.sides_differ for pair in pairs)
    serious = sum(pair.labels_differ or (pair.sides_differ and not drawn) for pair in pairs)
    return Oddity(
        _summary(len(pairs), labels, sides, drawn=drawn),
        value=float(serious),
        heads=HEADS,
        rows=tuple(_row(data, pair) for pair in pairs[:ROWS]),
        items=_items(data, pairs),
        notes=(
            f"Features and layout of the pictures say together that so near a pair is no chance: about {BY_CHANCE:g} "
            "pairs of the whole list would be, if images lie evenly. Series of nearly equal pictures are found too.",
            "Each pair is a family: no model learns from one and judges the other, and the estimate counts them so.",
        ),
        values=_nearest(data, pairs),
    )


def _summary(n: int, labels: int, sides: int, *, drawn: bool) -> str:
    if not n:
        return "No near copies were found. Turned pictures, parts of a picture and many small crops would not be."
    said = f"{counted(n, 'pair of images is', 'pairs of images are')} near copies: {labels} with two labels, "
    said += f"{sides} in both training and another split."
    return said + (" The audit drew the splits, so those are no fault of the data set." if drawn and sides else "")


def _row(data: Dataset, pair: _Pair) -> tuple[Cell, ...]:
    return tuple(
        cell
        for row in (pair.one, pair.other)
        for cell in (data.paths[row], data.classes[data.labels[row]], str(data.splits[row]))
    )


def _items(data: Dataset, pairs: list[_Pair]) -> tuple[Item, ...]:
    """Both images of each pair side by side. An image of several pairs stands there once."""
    said: dict[int, str] = {}
    for pair in pairs:
        for row, other in ((pair.one, pair.other), (pair.other, pair.one)):
            said.setdefault(row, f"near copy of '{data.paths[other]}', '{data.classes[data.labels[other]]}'")
    return tuple(Item(row, words) for row, words in said.items())


def _nearest(data: Dataset, pairs: list[_Pair]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """[N] paths of each image's nearest copy; empty where there is none."""
    values = np.full(len(data.paths), "", dtype=object)
    for pair in sorted(pairs, key=lambda pair: (pair.chance, pair.one, pair.other)):
        for row, other in ((pair.one, pair.other), (pair.other, pair.one)):
            values[row] = values[row] or data.paths[other]
    return values


KIND = Kind(
    name="near_copies",
    title="Near copies",
    about="Pairs of images that show the same picture, saved anew, resized, cropped, mirrored or brightened.",
    needs=("pictures",),
    find=find,
    column=COLUMN,
)
