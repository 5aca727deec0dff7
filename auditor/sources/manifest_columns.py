"""The columns of a manifest: where they stand, and their values as text."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from auditor.errors import SourceError
from auditor.sources.headers import alike, understood
from auditor.sources.tree import has_image_suffix
from auditor.system.text import display, short

ROLES = ("path", "label", "split")
"""What a column can be for. A column has the name of its role unless the user chooses another."""


@dataclass(frozen=True)
class Rows:
    """The N rows of a manifest, one sequence a column. `numbers` are the row numbers for messages.

    A spreadsheet counts in the same way: the header of a CSV file is row 1. In JSON lines a row is a line.

    Where the table holds the images themselves, `read` gives their bytes by path. `notes` say what was understood.
    `places` count the rows of the file from 0; they are filled in when all rows have been read. `groups` name what
    belongs together; None where there is no such column. `near` are columns that were taken for a role because
    their names come near it, and `columns` those of the needed roles. `beside` has the columns without a role; None
    where there are none.
    """

    numbers: Sequence[int]
    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    read: Callable[[str], bytes] | None = None
    notes: tuple[str, ...] = ()
    places: Sequence[int] = ()
    groups: Sequence[str] | None = None
    near: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    beside: pd.DataFrame | None = None


def nearly(read: Callable[[dict[str, str]], Rows], columns: Mapping[str, str], error: NoColumnError) -> Rows:
    """The rows by columns whose names come near those of path and label.

    Parameters
    ----------
    read
        Gives the rows by chosen columns.
    columns
        Those that were chosen before.
    error
        Says which columns there are.

    Raises
    ------
    NoColumnError
        `error`, where no names come near.
    """
    better, notes = understood(error.present, columns, ("path", "label"))
    if not notes:
        raise error
    rows = read(better)
    return replace(rows, columns=better, notes=(*rows.notes, *notes))


_EXACT = 2.0**53
"""Beyond this a float does not hold every whole number."""


def as_text(value: object, where: str, column: str) -> str:
    """A JSON or Parquet value as text. Whole numbers and truth values are common as labels. A missing value is ''.

    Libraries make floats of whole numbers beside a missing one. 1.0 is the number 1 here, and NaN is a missing value.
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, int):  # True and False too
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return str(int(value))
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    if isinstance(value, dict) and "bytes" in value:
        raise SourceError(
            f"{where}: the column '{display(column)}' holds image files themselves, which a manifest only names",
            hint="write the images as files and give a table of path and label, or choose another column of paths",
        )
    raise SourceError(
        f"{where}: '{display(column)}' must be text or a whole number, not {type(value).__name__}",
        hint="save the column as text or whole numbers, or name another column with FILE::label=COLUMN",
    )


class NoColumnError(SourceError):
    """A wanted column is not there. With another delimiter it can be.

    `present` are the names of the columns that are there. Empty where nothing can be guessed from them.
    """

    def __init__(self, message: str, *, hint: str = "", present: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.present = tuple(present)


def missing(where: str, wanted: Mapping[str, str], present: Sequence[str]) -> NoColumnError:
    """The error for columns that are not there, `wanted` by role. It names the first, and its hint all of them."""
    shown = ", ".join(f"'{short(name)}'" for name in present[:12]) + (", ..." if len(present) > 12 else "")
    guesses = ",".join(f"{role}={display(_guess(column, present))}" for role, column in wanted.items())
    return NoColumnError(
        f"{where}: there is no column '{display(next(iter(wanted.values())))}'; it has {shown or 'none'}",
        hint=f"say which column{'s' * (len(wanted) > 1)} to use, for example FILE::{guesses}",
        present=present,
    )


def _guess(column: str, present: Sequence[str]) -> str:
    near = difflib.get_close_matches(column.lower(), [name.lower() for name in present], n=1)
    return next((name for name in present if near and name.lower() == near[0]), "COLUMN")


def optional(role: str, columns: Mapping[str, str], present: Iterable[str]) -> str:
    """The name of the column for a role that need not have one: the user's, the role's own, or the only near one."""
    names = list(present)
    return columns.get(role) or (role if role in names else alike(role, names) or role)


def near_names(header: Sequence[str], places: Mapping[str, int | None], columns: Mapping[str, str]) -> dict[str, str]:
    """The columns at these places by role, where neither the user nor the role's own name chose them."""
    found = {role: header[at].strip() for role, at in places.items() if at is not None and role not in columns}
    return {role: name for role, name in found.items() if name != role}


def locate_group(header: Sequence[str], columns: Mapping[str, str], where: str) -> int | None:
    """Where the column of groups stands in the header. None where there is none, or several and none was chosen.

    Raises
    ------
    NoColumnError
        The user chose a column that is not there once.
    """
    names = [text.strip() for text in header]
    name = optional("group", columns, names)
    if names.count(name) == 1:
        return names.index(name)
    if "group" in columns:
        raise missing(where, {"group": name}, names)
    return None


def locate_columns(header: list[str], columns: dict[str, str], shown: str, row: int = 1) -> tuple[int, int, int | None]:
    """Where path, label and split stand in the header. A split is not needed."""
    names = [name.strip() for name in header]
    found: list[int | None] = []
    lacking: dict[str, str] = {}
    for role in ROLES:
        column = optional("split", columns, names) if role == "split" else columns.get(role, role)
        if names.count(column) > 1:
            raise SourceError(
                f"{shown}, row {row}: there are {names.count(column)} columns '{display(column)}'",
                hint=f"rename all but one of them, or name another column with FILE::{role}=COLUMN",
            )
        if column in names:
            found.append(names.index(column))
        elif role == "split" and role not in columns:
            found.append(None)
        else:
            lacking[role] = column
            found.append(None)
    if lacking:
        if not columns and any(map(has_image_suffix, names)):
            raise NoColumnError(
                f"{shown}, row {row}: this row looks like data, not like the names of columns",
                hint="put a row with the names path and label before it, in the order of the columns",
            )
        raise missing(f"{shown}, row {row}", lacking, names)
    path, label, split = found
    assert path is not None and label is not None
    return path, label, split
