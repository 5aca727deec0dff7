"""Data sets whose items stand in the manifest itself: texts, and the rows of a table."""

from __future__ import annotations

import errno
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from auditor.errors import SourceError
from auditor.sources.amended import Origin
from auditor.sources.base import Columns, ImageTable, Skipped, make_table
from auditor.sources.beside import gathered, with_beside
from auditor.sources.groups import as_families
from auditor.sources.item_columns import ROLES, Chosen, as_labels, as_splits, item_names, read_nearly
from auditor.sources.no_label import is_error_value
from auditor.sources.records import Records, Value, read_records
from auditor.sources.tree import is_utf8
from auditor.system.text import display

LONGEST_TEXT = 1_000_000
"""Characters of a text, or of a row's cells together. A longer item is left out."""

CELL_SHOWN = 200
"""Characters of a cell that people read."""

NEEDED = {"text": ("text", "label"), "table": ("label",)}
"""The columns that a manifest of each kind must have."""

EMPTY_TEXT, EMPTY_ROW, NO_LABEL, NOT_UTF8 = (
    "the text is empty",
    "every cell of the row is empty",
    "it has no label",
    "it holds bytes or half characters that are not UTF-8",
)


@dataclass(frozen=True)
class Items:
    """N texts or rows of a table, in any order, before anything is checked.

    Attributes
    ----------
    name, root
        What a report calls the data set, and its place.
    names, labels, splits
        N strings each. The names differ. A split is one of `base.SPLITS` or empty.
    texts
        N texts; None for a table.
    cells
        The columns of a table, N values each; None for texts.
    groups
        N names of what belongs together, an empty one says nothing; None where there are none.
    notes
        What was understood, a sentence each.
    """

    name: str
    root: str
    names: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    texts: Sequence[str] | None = None
    cells: Mapping[str, Sequence[Value]] | None = None
    groups: Sequence[str] | None = None
    notes: tuple[str, ...] = ()


def open_items(file: str, columns: Mapping[str, str], kind: str, shown: str, root: str) -> ImageTable:
    """The table of a manifest of texts, or of a table's rows.

    Parameters
    ----------
    columns
        The name of the column for each role, where the user chose one.
    kind
        `text` or `table`.
    shown, root
        The file's name, and that of its folder, as people read them.

    Raises
    ------
    SourceError
        The file cannot be read, a column is missing, a word is not a split, or no item is left.
    """
    chosen, records, notes = read_nearly(
        Chosen(columns, NEEDED[kind], shown), lambda chosen: read_records(file, shown, chosen.fits)
    )
    labels = labels_of(records, chosen)
    title = display(file.replace("\\", "/").rpartition("/")[2])
    table = table_of_records(records, labels, chosen, kind, title, root)
    assert table.places is not None
    items = zip(table.frame["path"], table.places.tolist(), strict=True)
    rows = {path: (records.numbers[place], labels[place]) for path, place in items}
    return replace(table, origin=Origin(file, chosen.name("label"), rows), notes=(*notes, *table.notes))


def labels_of(records: Records, chosen: Chosen) -> list[str]:
    """The labels of records, whose columns fit, as text.

    Raises
    ------
    SourceError
        They measure something.
    """
    return as_labels(chosen.of(records, "label") or (), chosen.name("label"), chosen.shown)


def table_of_records(
    records: Records, labels: Sequence[str], chosen: Chosen, kind: str, title: str, root: str
) -> ImageTable:
    """The table of records, whose columns fit.

    Parameters
    ----------
    labels
        As `labels_of` gives them.
    kind
        `text` or `table`.
    title, root
        What the data set is called, and where it lies.

    Raises
    ------
    SourceError
        A word is not a split, or no item is left.
    """
    names, note = item_names(chosen.of(records, "id"), records.numbers)
    said = chosen.of(records, "group")
    groups, unused = as_families(
        None if said is None else [name or "" for name in said], named="group" in chosen.columns
    )
    texts = [value or "" for value in chosen.of(records, "text") or ()]
    table = items_table(
        Items(
            name=title,
            root=root,
            names=names,
            labels=labels,
            splits=as_splits(chosen.of(records, "split"), records, chosen.shown),
            texts=texts if kind == "text" else None,
            cells=_cells(records, chosen, grouped=groups is not None) if kind == "table" else None,
            groups=groups,
            notes=tuple(filter(None, [note, unused])),
        )
    )
    taken = {chosen.name(role) for role in ROLES if role != "group"}
    return with_beside(table, gathered(records.columns, taken))


def items_table(items: Items) -> ImageTable:
    """The table of some items. Those that cannot be judged are skipped, each for its reason.

    Raises
    ------
    SourceError
        No item is left, or a table has no column beside its labels.
    """
    kind = "text" if items.cells is None else "table"
    cells = items.cells or {}
    if kind == "table" and not cells:
        raise SourceError(
            f"{items.name} has no column beside its labels", hint="a table needs columns that tell the items apart"
        )
    contents = _rows(cells, len(items.names)) if items.texts is None else items.texts
    problems = [_problem(content, label, kind) for content, label in zip(contents, items.labels, strict=True)]
    keep = [at for at, problem in enumerate(problems) if not problem]
    skipped = [Skipped(items.names[at], problem) for at, problem in enumerate(problems) if problem]
    if not keep:
        first = f"; the first, {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise SourceError(
            f"{items.name} holds no labelled item{first}", hint="each row needs a label, and what it names"
        )
    kept = {items.names[at]: contents[at] for at in keep}
    groups = None if items.groups is None else [items.groups[at] for at in keep]
    table = make_table(
        items.name,
        items.root,
        Columns(
            list(kept),
            [items.labels[at] for at in keep],
            [items.splits[at] for at in keep],
            groups=groups,
            places=keep,
            n_places=len(items.names),
        ),
        read=_reader(kept),
        skipped=skipped,
    )
    order = sorted(keep, key=items.names.__getitem__)
    return replace(
        table,
        kind=kind,
        excerpt=_shower(kept, kind, list(cells)),
        cells=None if kind == "text" else _frame(cells, order),
        notes=(*items.notes, *table.notes),
    )


def _cells(records: Records, chosen: Chosen, *, grouped: bool) -> dict[str, Sequence[Value]]:
    """The columns that say something of a row: neither its label, nor its split, group or id."""
    taken = {chosen.name(role) for role in ROLES if role != "text" and (grouped or role != "group")}
    return {name: values for name, values in records.columns.items() if name not in taken}


def _frame(cells: Mapping[str, Sequence[Value]], order: Sequence[int]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([values[at] for at in order], dtype=object) for name, values in cells.items()})


def _rows(cells: Mapping[str, Sequence[Value]], n: int) -> list[str]:
    """Each row as JSON with sorted names, so that the order of the columns does not count. '' for an empty row."""
    names = sorted(cells)
    columns = [cells[name] for name in names]
    values = zip(*columns, strict=True) if columns else iter([()] * n)
    return [_json(dict(zip(names, row, strict=True))) if any(map(_said, row)) else "" for row in values]


def _said(value: Value) -> bool:
    return value is not None and bool(value.strip())


def _json(row: Mapping[str, Value]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _problem(content: str, label: str, kind: str) -> str:
    """Why an item takes no part; empty if it does."""
    if not label or not label.strip():
        return NO_LABEL
    if is_error_value(label):
        return f"{NO_LABEL}: '{label.strip()}' is a spreadsheet's error"
    if len(content) > LONGEST_TEXT:
        return f"it has {len(content):,} characters, more than the limit of {LONGEST_TEXT:,}"
    if not is_utf8(content) or not is_utf8(label):
        return NOT_UTF8
    if not _visible(content):
        return EMPTY_TEXT if kind == "text" else EMPTY_ROW
    return ""


def _visible(text: str) -> bool:
    """Whether a person sees anything of a text. Blanks, controls and marks of direction cannot be seen."""
    return any(not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") for c in text)


def _reader(contents: Mapping[str, str]) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        try:
            return contents[path].encode("utf-8")
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "the manifest has no such item", display(path)) from None

    return read


def _shower(contents: Mapping[str, str], kind: str, names: Sequence[str]) -> Callable[[str], str]:
    """What people read of an item: its text, or a line for each cell."""

    def text(path: str) -> str:
        return contents.get(path, "")

    def row(path: str) -> str:
        values = json.loads(contents[path]) if path in contents else {}
        return "\n".join(f"{_line(name)}: {_line(values[name] or '')}" for name in names if name in values)

    return text if kind == "text" else row


def _line(value: str) -> str:
    """A cell on one line."""
    line = " ".join(value[: 10 * CELL_SHOWN].split())
    return line[:CELL_SHOWN] + "…" * (len(line) > CELL_SHOWN or len(value) > 10 * CELL_SHOWN)
