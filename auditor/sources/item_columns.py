"""What the columns of a text manifest or a table are for, and what is checked of its labels and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.errors import SourceError
from auditor.sources.base import split_name
from auditor.sources.headers import alike, read_so, understood
from auditor.sources.manifest_columns import NoColumnError, missing
from auditor.sources.records import Records, Value
from auditor.sources.tree import is_utf8
from auditor.system.text import short

ROLES = ("label", "text", "split", "group", "id")
"""What a column can be for, beside a cell of a table. It has the name of its role unless the user chooses another."""

LONGEST_ID = 255
"""Characters of an item's own name. With a longer one items are called by their rows."""

MANY_NUMBERS = 50
"""Different numbers with fractions from which on they measure something. Fewer can be classes, such as half stars."""

FEW_EACH = 5
"""Items that each number needs on average to be a class, where there are many different numbers."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class Chosen:
    """The columns of a manifest by role, as the user names them, and the roles that must be there.

    `near` are columns whose names come near a role's.
    """

    columns: Mapping[str, str]
    needed: tuple[str, ...]
    shown: str
    near: Mapping[str, str] = field(default_factory=dict)

    def name(self, role: str) -> str:
        """The column that a role looks for."""
        return self.columns.get(role) or self.near.get(role, role)

    def fits(self, header: Sequence[str], row: int) -> None:
        """Refuse a header that lacks a column, or has two of one name where only one can be meant.

        Raises
        ------
        SourceError
        """
        names = [name.strip() for name in header]
        where = f"{self.shown}, row {row}"
        for role in (*self.needed, *(role for role in self.columns if role not in self.needed)):
            if self.name(role) not in names:
                raise self._missing(where, role, names)
        mine = {self.name(role) for role in ROLES}
        table = "text" not in self.needed
        for name, times in Counter(names).items():
            if times > 1 and name and (table or name in mine):
                raise SourceError(
                    f"{where}: there are {times} columns '{short(name)}'", hint="rename all but one of them"
                )

    def _missing(self, where: str, role: str, names: list[str]) -> NoColumnError:
        if role == "label" and role not in self.columns:
            shown = ", ".join(f"'{short(name)}'" for name in names[:12]) + (", ..." if len(names) > 12 else "")
            return NoColumnError(
                f"{where}: there is no column 'label'; it has {shown or 'none'}",
                hint="name the column of labels with --label COLUMN",
                present=names,
            )
        return missing(where, {role: self.name(role)}, names)

    def of(self, records: Records, role: str) -> Sequence[Value] | None:
        """The values of a role's column; None where the manifest has no such column."""
        return records.columns.get(self.name(role))


def read_nearly(chosen: Chosen, read: Callable[[Chosen], Records]) -> tuple[Chosen, Records, tuple[str, ...]]:
    """The records, and the columns with those whose names come near a role's: Label, Split, ID.

    Parameters
    ----------
    read
        Reads the records. It raises `NoColumnError` where a needed column is missing.

    Returns
    -------
    tuple
        The columns by role, the records, and the notes about near names.

    Raises
    ------
    SourceError
        As `read`.
    """
    near: dict[str, str] = {}
    try:
        records = read(chosen)
    except NoColumnError as error:
        columns, notes = understood(error.present, chosen.columns, chosen.needed)
        if not notes:
            raise
        near = {role: name for role, name in columns.items() if role not in chosen.columns}
        records = read(replace(chosen, near=near))
    for role in ("split", "group", "id"):
        name = alike(role, records.columns)
        if not name or role in chosen.columns or role in records.columns:
            continue
        if role != "split" or all(split_name(value or "") is not None for value in set(records.columns[name])):
            near[role] = name
    return replace(chosen, near=near), records, (read_so(near),) if near else ()


def as_labels(values: Sequence[Value], name: str, shown: str) -> list[str]:
    """Labels as text; '' for a missing one. Whole numbers that a library wrote as 1.0 are 1.

    Raises
    ------
    SourceError
        The column measures something: it has many different numbers.
    """
    labels = [(value or "").strip() and (value or "") for value in values]
    counts = Counter(label.strip() for label in labels if label)
    if not counts or not all(map(_NUMBER.fullmatch, counts)):
        return labels
    whole = all(map(_WHOLE.fullmatch, counts))
    n = sum(counts.values())
    if len(counts) > MANY_NUMBERS and (not whole or n < FEW_EACH * len(counts)):
        raise SourceError(
            f"{shown}: the label column '{short(name)}' holds {len(counts):,} different numbers in {n:,} rows, "
            "so it measures something and names no classes",
            hint="choose another column with --label COLUMN, or add one that puts the numbers into classes",
        )
    if not whole:
        return labels
    plain = {label: found[1] for label in set(labels) if (found := _WHOLE.fullmatch(label.strip()))}
    return [plain.get(label, label) for label in labels]


def as_splits(values: Sequence[Value] | None, records: Records, shown: str) -> list[str]:
    """One spelling for each split; '' where the manifest gives none.

    Raises
    ------
    SourceError
        A word is not a split.
    """
    if values is None:
        return [""] * len(records.numbers)
    known = {value: split_name(value or "") for value in set(values)}
    for number, value in zip(records.numbers, values, strict=True):
        if known[value] is None:
            raise SourceError(
                f"{shown}, row {number}: '{short(value or '')}' is not a split",
                hint="use train, val, test or nothing; --columns split=COLUMN names another column",
            )
    return [known[value] or "" for value in values]


def item_names(ids: Sequence[Value] | None, numbers: Sequence[int]) -> tuple[list[str], str]:
    """A name for each item, and a note where its own could not serve.

    The column `id` names the items, if each has another name that can stand in a path. Otherwise the rows do.
    """
    digits = max(6, len(str(numbers[-1] if len(numbers) else 0)))
    rows = [f"row-{number:0{digits}d}" for number in numbers]
    if ids is None:
        return rows, ""
    if len(set(ids)) == len(ids) and all(map(_is_name, ids)):
        return [str(value) for value in ids], ""
    return rows, (
        "The column of ids does not name each item once, with a name that can stand in a path. The items are called "
        "by their rows."
    )


def _is_name(value: Value) -> bool:
    """Whether a text can name an item: short, without control characters, and no step out of a folder."""
    if not value or value != value.strip() or len(value) > LONGEST_ID or _CONTROL.search(value) or not is_utf8(value):
        return False
    return ":" not in value.split("/")[0] and not {"", ".", ".."} & set(value.split("/"))
