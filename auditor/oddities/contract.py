"""What a kind of oddity gets and what it gives back: `Audited` goes in, an `Oddity` comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from auditor.data.dataset import Dataset
from auditor.data.near_pairs import NearPairs
from auditor.data.picture_facts import PictureFacts
from auditor.detection import Detection
from auditor.sources.beside import Grouping
from auditor.system.arrays import Array, Ints

Cell = str | float | int | None
"""What a table of an oddity holds."""

Need = Literal["features", "pictures", "estimate"]
"""What a kind cannot do without."""

ITEMS = 24
"""Items that an oddity names one by one, at most."""

ROWS = 100
"""Rows of an oddity's table, at most."""


def worth(folds: int) -> float:
    """What an item counts in an interval, where each of `folds` is judged by what the others taught.

    Folds teach each other, so their results are not independent (Nadeau and Bengio, 2003, equation 9).
    """
    return (1 / folds) / (1 / folds + 1 / (folds - 1))


@dataclass(frozen=True)
class Audited:
    """What an audit knows of its N items. Every array is in the order of `data.paths`.

    Attributes
    ----------
    data
        Labels, splits, features, names and hashes. Nothing of it was ever true labels.
    families
        int64 [N], the family of copies of each item (`data.families`).
    facts
        What the picture files show without a network; None where the items are no pictures.
    detection
        What was found about the labels.
    seed
        The audit's seed. Draws take it, so equal audits give equal bytes.
    grouping
        The columns of the source that name groups of items; None where nobody looked for any.
    near
        Near copies.
    """

    data: Dataset
    families: Ints
    facts: PictureFacts | None
    detection: Detection
    seed: int
    grouping: Grouping | None = None
    near: NearPairs = field(default_factory=NearPairs.none)

    def lacks(self, need: Need) -> str:
        """Why this audit has not what a kind needs, as the end of a sentence; empty where it has it."""
        if need == "features":
            given = self.data.table.given
            return "" if given is None or given.features is not None else "it needs features of the images"
        if need == "pictures":
            return "" if self.facts is not None else "it needs pixels"
        return "" if self.detection.p_mislabelled is not None else "it needs an estimate of wrong labels"


@dataclass(frozen=True)
class Column:
    """A column of `ranking.csv`, behind all others.

    Attributes
    ----------
    name
        Small letters and underscores. No two kinds share one.
    holds
        Whether it holds numbers or words.
    meaning
        What it says, a sentence.
    """

    name: str
    holds: Literal["numbers", "words"]
    meaning: str


@dataclass(frozen=True)
class Item:
    """An item that an oddity names: its row, and what is odd about it, in a few words."""

    row: int
    said: str


@dataclass(frozen=True)
class Oddity:
    """What a kind found.

    Sentences are about images, and `Noun.of` tells them of other kinds. Names stand in quotes.

    Attributes
    ----------
    summary
        The finding, a sentence or two. Where the data cannot tell, it says so, and what would.
    told
        False where the data cannot tell. A rule of the gate is then undecided.
    value, interval
        The figure that a rule of the gate reads, and its 95% interval. None where there is none.
    heads, rows
        A table: the heads of its columns, and its rows, the most serious first. At most `ROWS` are kept.
    items
        Items one by one, the oddest first. At most `ITEMS` are kept, and the report shows what they look like.
    notes
        Further sentences: how it was measured, what it rests on.
    values
        [N] of the kind's column: numbers where NaN says nothing, or words where an empty one says nothing. None where
        the kind has no column, or says nothing of any item.
    """

    summary: str
    told: bool = True
    value: float | None = None
    interval: tuple[float, float] | None = None
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    items: tuple[Item, ...] = ()
    notes: tuple[str, ...] = ()
    values: Array | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of oddity.

    Attributes
    ----------
    name
        The key in `audit.json`, and the name of its rule of the gate: small letters and underscores.
    title, about
        Its name for people, and what it looks for, a sentence.
    needs
        What it cannot do without. Where an audit lacks that, the kind is left out, and this is said.
    find
        Looks for it.
    column
        The column of `ranking.csv` that it fills; None where it does not speak of single items.
    """

    name: str
    title: str
    about: str
    needs: tuple[Need, ...]
    find: Callable[[Audited], Oddity]
    column: Column | None = None
