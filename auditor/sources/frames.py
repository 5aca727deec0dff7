"""A pandas DataFrame as a data set: the columns of a manifest, texts, or the cells of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.base import IN_MEMORY, ImageTable
from auditor.sources.beside import gathered
from auditor.sources.item_columns import Chosen, read_nearly
from auditor.sources.items import NEEDED, labels_of, table_of_records
from auditor.sources.manifest import table_of_rows, with_families
from auditor.sources.manifest_columns import Rows, locate_group
from auditor.sources.manifest_spec import Layout, chosen_columns, told_kind
from auditor.sources.named import NAMES
from auditor.sources.records import Records, Value, as_cell
from auditor.system.text import display, short

SHOWN = "the DataFrame"
"""What messages call it."""


def frame_table(frame: pd.DataFrame, layout: Layout, allow_outside: bool = False) -> ImageTable:
    """The table of a DataFrame, by the columns of a manifest.

    A column of paths makes its rows images, and a column of texts makes them texts. Otherwise they are rows of a table.
    Paths begin in the current folder unless the layout names a root.

    Raises
    ------
    SourceError
        A column is missing, or the rows cannot be used as those of a manifest.
    """
    frame = frame.rename(columns=str)
    _, columns = chosen_columns("frame", layout)
    if not len(frame):
        raise SourceError(f"{SHOWN} has no rows")
    named = {role: columns.get(role, role) for role in ("path", "text", "label")}
    kind = told_kind(columns, layout)
    if not kind:
        kind = next((kind for kind, role in (("image", "path"), ("text", "text")) if named[role] in frame), "table")
    if kind == "image" or (layout.by_name and kind == "table" and not layout.kind):
        at = locate_group(list(frame.columns), columns, SHOWN)
        groups = None if at is None else [str(value or "") for value in _cells(frame.iloc[:, at])]
        taken = {columns.get(role, role) for role in ("path", "label", "split")}
        beside = gathered({name: _cells(frame[name]) for name in frame.columns if _is_plain(frame[name])}, taken)
        rows = Rows(range(1, len(frame) + 1), *_manifest(frame, columns, layout), groups=groups, beside=beside)
        rows = with_families(rows, named="group" in columns)
        table = table_of_rows(rows, SHOWN, layout.root or ".", layout, allow_outside)
    else:

        def records_of(chosen: Chosen) -> Records:
            chosen.fits(list(frame.columns), 1)
            return Records(range(1, len(frame) + 1), {name: _cells(frame[name]) for name in frame.columns})

        chosen, records, notes = read_nearly(Chosen(columns, NEEDED[kind], SHOWN), records_of)
        table = table_of_records(records, labels_of(records, chosen), chosen, kind, SHOWN, IN_MEMORY)
        table = replace(table, notes=(*notes, *table.notes))
    return replace(table, name=SHOWN, source=IN_MEMORY)


def _is_plain(column: pd.Series | pd.DataFrame) -> bool:
    """Whether there is one column of this name, and it holds words, numbers or truth values."""
    return isinstance(column, pd.Series) and not any(
        isinstance(value, dict | list | tuple | bytes | np.ndarray) for value in column.head(100)
    )


def _manifest(
    frame: pd.DataFrame, columns: dict[str, str], layout: Layout
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The columns of paths, labels and splits, as texts. With features given the index can name the items."""
    label, path, split = (columns.get(role, role) for role in ("label", "path", "split"))
    for role, name in (("label", label), ("path", path)):
        if name not in frame and not (role == "path" and layout.by_name and role not in columns):
            held = ", ".join(f"'{short(column)}'" for column in frame.columns[:12])
            raise SourceError(
                f"{SHOWN} has no column '{display(name)}'; it has {held}",
                hint='say which one it is: audit(frame, label=COLUMN), or columns="path=A,label=B"',
            )
        if isinstance(frame.get(name), pd.DataFrame):
            raise SourceError(f"{SHOWN} has several columns '{display(name)}'", hint="rename all but one of them")
    labels = [value or "" for value in _cells(frame[label])]
    splits = [value or "" for value in _cells(frame[split])] if split in frame else [""] * len(frame)
    own = next((name for name in (path, *NAMES) if name in frame), None)
    if own is not None:
        return [value or "" for value in _cells(frame[own])], labels, splits
    digits = max(6, len(str(len(frame) - 1)))
    if isinstance(frame.index, pd.RangeIndex) or not frame.index.is_unique:
        return [f"{row:0{digits}d}" for row in range(len(frame))], labels, splits
    return [str(name) for name in frame.index], labels, splits


def _cells(column: pd.Series) -> list[Value]:
    """The values of a column as a CSV file has them. Whole numbers beside missing ones are whole numbers again."""
    missing = column.isna().to_numpy()
    values = column.tolist()
    whole = column.dtype.kind == "f" and all(
        value.is_integer() for value, gone in zip(values, missing, strict=True) if not gone
    )
    return [None if gone else as_cell(int(v) if whole else v) for v, gone in zip(values, missing, strict=True)]
