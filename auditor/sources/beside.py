"""Columns of a manifest that have no role, such as a camera, a site or an annotator: they can name groups of items."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.base import ImageTable
from auditor.system.text import did_you_mean, short

MOST_VALUES = 5000
"""Different values of a column that is kept. One with more names items."""

LONGEST_VALUE = 200
"""Characters of a value that are kept."""

EACH = 10
"""Items that each value of a column needs on average to be found without being named."""

FEW_NUMBERS = 10
"""Different numbers from which on a column measures something, and is not found without being named."""

MOST_FOUND = 30
"""Columns that are found without being named."""

_SAYS_SO = re.compile(
    r"annot|label+er|rater|worker|reviewer|reader|camera|scanner|device|sensor|site|hospital|center|centre|source|batch"
    r"|session|location|vendor|machine|lab(?!el)|station|operator",
    re.IGNORECASE,
)
"""Words in the name of a column that names groups, even where its values are numbers."""


class Gathering:
    """Takes the values of columns row by row. A column that turns out to have too many different values is let go.

    Parameters
    ----------
    names
        Columns by their place in a row. Those without a name, or with a name twice, are passed over.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        told = list(names.values())
        self._names = {at: name for at, name in names.items() if name.strip() and told.count(name) == 1}
        self._levels: dict[int, dict[str, int]] = {at: {} for at in self._names}
        self._codes: dict[int, list[int]] = {at: [] for at in self._names}

    @property
    def any(self) -> bool:
        """Whether a column is left."""
        return bool(self._levels)

    def add(self, row: Sequence[object]) -> None:
        """Take the values of one row."""
        for at, levels in list(self._levels.items()):
            value = row[at]
            text = "" if value is None else str(value).strip()[:LONGEST_VALUE]
            self._codes[at].append(levels.setdefault(text, len(levels)))
            if len(levels) > MOST_VALUES:
                del self._levels[at], self._codes[at]

    def frame(self) -> pd.DataFrame | None:
        """What was gathered, a column of categories for each that is left; None where none is."""
        columns = {self._names[at]: _categories(self._codes[at], levels) for at, levels in self._levels.items()}
        return pd.DataFrame(columns) if columns else None


def _categories(codes: Sequence[int], levels: Iterable[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(np.array(codes, np.int32), pd.Index(list(levels), dtype=object))


def gathered(columns: Mapping[str, Iterable[object]], taken: Iterable[str]) -> pd.DataFrame | None:
    """The columns that have no role. None where there is none.

    Parameters
    ----------
    columns
        N values for each column.
    taken
        The columns that have a role.
    """
    frames = [_gathered_one(name, columns[name]) for name in columns if name not in set(taken)]
    kept = [frame for frame in frames if frame is not None]
    return pd.concat(kept, axis=1) if kept else None


def _gathered_one(name: str, values: Iterable[object]) -> pd.DataFrame | None:
    gathering = Gathering({0: name})
    for value in values:
        gathering.add((value,))
        if not gathering.any:
            return None
    return gathering.frame()


def joined(parts: Sequence[pd.DataFrame | None]) -> pd.DataFrame | None:
    """The columns that all parts of a manifest have, one part behind the other. None where there are none."""
    frames = [part for part in parts if part is not None]
    if len(frames) < len(parts) or not frames:
        return None
    names = [name for name in frames[0].columns if all(name in frame for frame in frames)]
    return gathered({name: [value for frame in frames for value in frame[name].astype(str)] for name in names}, ())


def with_beside(table: ImageTable, columns: pd.DataFrame | None) -> ImageTable:
    """A table with columns that have no role: one row for each row of its source, in the source's order."""
    if columns is None or table.places is None:
        return table
    return replace(table, beside=columns.iloc[table.places].reset_index(drop=True))


@dataclass(frozen=True)
class Grouping:
    """The columns that name groups, N values each, and what was passed over, by the reason."""

    columns: Mapping[str, Sequence[str]]
    passed_over: Mapping[str, str]

    def of(self, table: ImageTable, paths: Sequence[str]) -> Grouping:
        """The same of some items of the table, by their paths."""
        rows = pd.Index(table.frame["path"]).get_indexer(pd.Index(paths)).tolist()
        return replace(self, columns={name: [values[at] for at in rows] for name, values in self.columns.items()})


def beside_digest(table: ImageTable, paths: Iterable[str]) -> str:
    """The sha256, in hexadecimal, over the columns without a role of some items; empty where there are none."""
    if table.beside is None:
        return ""
    rows = pd.Index(table.frame["path"]).get_indexer(pd.Index(list(paths)))
    digest = hashlib.sha256()
    for name in table.beside.columns:
        digest.update(json.dumps([str(name), list(map(str, table.beside[name].iloc[rows]))]).encode())
    return digest.hexdigest()


def grouping(table: ImageTable, named: Sequence[str]) -> Grouping:
    """The columns of a table by which its items fall into groups, and its splits.

    Parameters
    ----------
    named
        The columns that the user names; empty finds them.

    Raises
    ------
    SourceError
        A named column is not there, or has too many different values.
    """
    beside = table.frame.iloc[:, :0] if table.beside is None else table.beside
    splits = table.frame["split"]
    if (splits != splits.iloc[0]).any() and "split" not in beside:
        beside = beside.assign(split=pd.Categorical(splits))
    if named:
        for name in named:
            if name not in beside:
                raise _missing(name, list(beside.columns), table)
        return Grouping({name: list(map(str, beside[name])) for name in named}, {})
    classes = set(table.frame["label"])
    reasons = {name: _unfit(name, beside[name], classes) for name in beside.columns}
    found = [name for name, reason in reasons.items() if not reason]
    found = sorted(found, key=lambda name: not _SAYS_SO.search(name))
    for name in found[MOST_FOUND:]:
        reasons[name] = "there are many columns"
    kept = {name: list(map(str, beside[name])) for name in beside.columns if name in found[:MOST_FOUND]}
    return Grouping(kept, {str(name): reason for name, reason in reasons.items() if reason})


def _unfit(name: str, column: pd.Series, classes: set[str]) -> str:
    """Why a column is not taken for groups without the user's word; empty where it is."""
    counts = column.value_counts()
    values = [str(value) for value in counts.index[counts.to_numpy() > 0]]
    if len(values) < 2:
        return "it has one value"
    if len(column) < EACH * len(values):
        return "its values are many"
    filled = [value for value in values if value]
    if sum(value in classes for value in filled) * 2 >= len(filled):
        return "it holds names of classes"
    if len(filled) > FEW_NUMBERS and all(map(_is_number, filled)) and not _SAYS_SO.search(name):
        return "it holds numbers"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _missing(name: str, present: Sequence[str], table: ImageTable) -> SourceError:
    held = ", ".join(f"'{short(column)}'" for column in present[:12])
    return SourceError(
        f"{table.name} has no column '{short(name)}' that can name groups; it has {held or 'none'}",
        hint=did_you_mean(name, present) or f"a column of groups has at most {MOST_VALUES:,} different values",
    )
