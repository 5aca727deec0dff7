"""What the columns of a table are: numbers, dates, two values, levels, texts; and which are left out, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.system.arrays import Array
from auditor.system.text import display, short

MOSTLY = 0.9
"""The part of a column's values that must be numbers, or dates, for it to be one of these. The others are missing."""

FEWEST = 3
"""Rows that a level needs for a column of its own. Rarer levels share one."""

MOST_LEVELS = 50
"""Levels of a column that are told apart, the most frequent first."""

WORDS_OF_TEXT = 4
"""Words that the values of a column have on average, from which on they are texts."""

SHOWN = 5
"""Columns that a note names."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "missing", "?", "-", "--", "#n/a"})
"""How a number or a date is written that is not there, in lower case."""

DATE_FORMATS = ("ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")

EMPTY, CONSTANT, NAMES, NESTED, RARE = "empty", "constant", "names", "nested", "rare"
"""Why a column is left out."""

_SAID = {
    EMPTY: "Columns without a value were left out: {}.",
    CONSTANT: "Columns with one value alone tell nothing and were left out: {}.",
    NAMES: "Columns in which nearly every row has a value of its own name the rows and were left out: {}.",
    NESTED: "Columns of lists or objects are shown, and were left out of the features: {}. Give each value its own "
    "column to use it.",
    RARE: "Columns in which no value stands in " + str(FEWEST) + " rows were left out: {}.",
    "date": "Columns of dates were read as numbers of days: {}.",
    "text": "Columns of texts were read by their words: {}.",
    "pooled": "Columns with many different values: {}. Rare values share one column, and so do those beyond the "
    f"{MOST_LEVELS - 1} most frequent.",
    "mixed": "Columns of numbers or dates that hold other values too, which were read as missing: {}.",
    "infinite": "Columns with infinite numbers, which were read as missing: {}.",
    "missing": "Columns with missing values: {}. The median stands in for each, and a column of its own says where.",
}
"""What is said of columns, in this order."""


@dataclass(frozen=True)
class Column:
    """How a column is read.

    Attributes
    ----------
    name
        Its name in the table.
    kind
        `number`, `date`, `truth` (two values), `level` or `text`.
    form
        The format of its dates, or the value that counts as 1 of two.
    """

    name: str
    kind: str
    form: str = ""

    def numbers(self, values: Sequence[str | None]) -> Array:
        """float64 [N] of a column of numbers, dates or two values; NaN where there is none."""
        if self.kind == "truth":
            return np.array([np.nan if value is None else float(value == self.form) for value in values])
        read = as_dates(values, self.form) if self.kind == "date" else as_numbers(values)
        return np.where(np.isfinite(read), read, np.nan)


@dataclass(frozen=True)
class Plan:
    """How a table is read: its columns in order, and what must be said of them."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    def named(self, *kinds: str) -> list[Column]:
        """The columns of some kinds."""
        return [column for column in self.columns if column.kind in kinds]


def plan(cells: pd.DataFrame) -> Plan:
    """Look at every column of a table. No label is used.

    Parameters
    ----------
    cells
        N rows of text, None where a value is missing.
    """
    columns, said = list[Column](), dict[str, list[str]]()
    for name in cells.columns:
        kind, more = _look(str(name), cells[name].tolist())
        if isinstance(kind, Column):
            columns.append(kind)
        for word, detail in more:
            said.setdefault(word, []).append(f"'{short(str(name))}'" + detail)
    notes = tuple(text.format(listed(said[word])) for word, text in _SAID.items() if word in said)
    return Plan(tuple(columns), notes)


def listed(names: Sequence[str]) -> str:
    """Some of the names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _look(name: str, values: Sequence[str | None]) -> tuple[Column | None, list[tuple[str, str]]]:
    """How to read a column, None for not at all; and what to say of it, as pairs of a word of `_SAID` and a detail."""
    present = [value for value in values if value is not None and value.strip()]
    levels = set(present)
    if not present:
        return None, [(EMPTY, "")]
    if len(levels) == 1 and len(present) == len(values):
        return None, [(CONSTANT, "")]
    if sum(map(_is_nested, present)) > MOSTLY * len(present):
        return None, [(NESTED, "")]
    if found := _measure(name, values):
        return found
    if len(levels) <= 2:
        return Column(name, "truth", max(levels)), _absent(len(values) - len(present))
    if len(levels) > MOST_LEVELS and len(" ".join(levels).split()) >= WORDS_OF_TEXT * len(levels):
        return Column(name, "text"), [("text", "")]
    if len(levels) > MOSTLY * len(present) and len(levels) > SHOWN:
        return None, [(NAMES, "")]
    counts = pd.Series(present).value_counts()
    if (counts < FEWEST).all():
        return None, [(RARE, "")]
    many = len(levels) > MOST_LEVELS
    return Column(name, "level"), [("pooled", f" ({len(levels):,})")] if many else []


def _measure(name: str, values: Sequence[str | None]) -> tuple[Column | None, list[tuple[str, str]]] | None:
    """A column of numbers or dates; None for any other."""
    wanted = np.array([value is not None and value.strip().lower() not in MISSING for value in values])
    total = int(wanted.sum())
    if not total:
        return None
    numbers = as_numbers(values)
    column = Column(name, "number")
    known = wanted & ~np.isnan(numbers)
    if known.sum() < MOSTLY * total:
        dated = _dates(name, values, wanted)
        if dated is None:
            return None
        column, numbers = dated
        known = wanted & ~np.isnan(numbers)
    finite = known & np.isfinite(numbers)
    said = [("date", "")] if column.kind == "date" else []
    if (other := int((wanted & ~known).sum())) > 0:
        example = next(value for value, odd in zip(values, wanted & ~known, strict=True) if odd)
        said.append(("mixed", f" ({other:,}, such as '{display(str(example))[:30]}')"))
    if (infinite := int((known & ~finite).sum())) > 0:
        said.append(("infinite", f" ({infinite:,})"))
    if not finite.any():
        return None, [(EMPTY, "")]
    if np.ptp(numbers[finite]) == 0 and finite.all():
        return None, [(CONSTANT, "")]
    if _counts_rows(numbers, finite):
        return None, [(NAMES, "")]
    return column, [*said, *_absent(int((~wanted).sum()))]


def _absent(n: int) -> list[tuple[str, str]]:
    return [("missing", f" ({n:,})")] if n else []


def _counts_rows(numbers: Array, finite: Array) -> bool:
    """Whether a column numbers the rows: whole numbers, each once, with hardly a gap."""
    n = len(numbers)
    if n <= SHOWN or not finite.all() or (numbers != np.round(numbers)).any():
        return False
    return len(np.unique(numbers)) == n and bool(np.ptp(numbers) < 1.5 * n)


def as_numbers(values: Iterable[str | None]) -> Array:
    """float64 [N]; NaN for a value that is no number. Infinities stay."""
    series = pd.Series([None if value is None else value.strip() for value in values], dtype=object)
    return np.asarray(pd.to_numeric(series, errors="coerce"), np.float64)


def as_dates(values: Iterable[str | None], form: str) -> Array:
    """float64 [N], days since 1970 in Universal Time; NaN for a value that is no date of this format."""
    series = pd.Series([None if value is None else value.strip() for value in values], dtype=object)
    times = pd.to_datetime(series, format=form, errors="coerce", utc=True)
    seconds = times.dt.tz_localize(None).to_numpy().astype("datetime64[s]") - np.datetime64(0, "s")
    return np.asarray(seconds / np.timedelta64(1, "D"), np.float64)


def _dates(name: str, values: Sequence[str | None], wanted: Array) -> tuple[Column, Array] | None:
    """The column as dates and days, in the first format that fits; None where none does."""
    some = [value for value, there in zip(values, wanted, strict=True) if there][:100]
    if not all(any(map(str.isdigit, str(value))) for value in some):
        return None
    for form in DATE_FORMATS:
        if np.isfinite(as_dates(some, form)).mean() < MOSTLY:
            continue
        days = as_dates(values, form)
        if (wanted & np.isfinite(days)).sum() >= MOSTLY * wanted.sum():
            return Column(name, "date", form), days
    return None


def _is_nested(value: str) -> bool:
    """Whether a value is a list or an object in JSON."""
    if value.strip()[:1] not in ("{", "["):
        return False
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False
