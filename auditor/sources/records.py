"""Reads a manifest with all its columns, for data sets whose items stand in the file itself: texts and tables.

Every value is text, as CSV has it. So a row has the same content in CSV, JSON and Parquet.
"""

from __future__ import annotations

import contextlib
import csv
import decimal
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.manifest_csv import Fits, csv_rows
from auditor.sources.manifest_formats import READERS, decode, delimiters, load, suffix_of
from auditor.sources.manifest_json import json_records
from auditor.sources.manifest_parquet import class_names, named, opened

LONGEST_FIELD = 2**31 - 1
"""Characters of a CSV field that are read. The limit of an item comes after that, and names the item."""

Value = str | None
"""A value as text; None where it is missing."""


@dataclass(frozen=True)
class Records:
    """The N rows of a manifest.

    Attributes
    ----------
    numbers
        N row numbers for messages. The header of a CSV file is row 1.
    columns
        N values for each column, by the column's name, in the order of the file.
        A list or an object is written as JSON.
    """

    numbers: Sequence[int]
    columns: Mapping[str, Sequence[Value]]


def read_records(file: str, shown: str, fits: Fits) -> Records:
    """Read a manifest with all its columns.

    Parameters
    ----------
    shown
        The file's name in messages.
    fits
        Refuses columns that will not do.

    Raises
    ------
    SourceError
        The file cannot be read, is empty or damaged, or its columns do not fit.
    """
    data = load(file, shown)
    kind = READERS[suffix_of(file)]
    if kind == "parquet":
        return _of_parquet(data, shown, fits)
    text = decode(data, shown)
    del data
    if kind in ("json", "jsonl"):
        return _of_json(text, shown, fits, lines=kind == "jsonl")
    with long_fields():
        return _of_csv(csv_rows(text, delimiters(file), shown, fits))


@contextlib.contextmanager
def long_fields() -> Iterator[None]:
    """Let CSV fields be as long as a text can be. The module's own limit is 131,072 characters, for all of Python."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _of_csv(rows: Iterator[tuple[int, list[str]]]) -> Records:
    _, header = next(rows)
    numbers, kept = list[int](), list[list[str]]()
    for number, row in rows:
        if any(map(str.strip, row)):
            numbers.append(number)
            kept.append(row)
    names = _apart([name.strip() for name in header])
    return Records(numbers, {name: [row[at] or None for row in kept] for at, name in enumerate(names)})


def _apart(names: Sequence[str]) -> list[str]:
    """A name of its own for each column: one without a name gets its place, one that repeats another a number."""
    apart = list[str]()
    for place, name in enumerate(names, start=1):
        wanted = name or f"column {place}"
        tries = (f"{wanted} ({number})" for number in range(2, len(names) + 2))
        apart.append(wanted if wanted not in apart else next(name for name in tries if name not in apart))
    return apart


def _of_json(text: str, shown: str, fits: Fits, *, lines: bool) -> Records:
    numbers, records, names = list[int](), list[dict[str, Any]](), dict[str, None]()
    for number, record in json_records(text, shown, lines=lines):
        if not isinstance(record, dict):
            raise SourceError(
                f"{shown}, row {number}: not a JSON object", hint='write {"label": "...", "COLUMN": "..."}'
            )
        numbers.append(number)
        records.append(record)
        names.update(dict.fromkeys(record))
    fits(list(names), numbers[0] if numbers else 1)
    return _of_values(numbers, {name: [record.get(name) for record in records] for name in names})


def _of_parquet(data: bytes, shown: str, fits: Fits) -> Records:
    with opened(data, shown) as file:
        fits(list(file.schema_arrow.names), 1)
        table = file.read(use_threads=False)
        classes = class_names(file.schema_arrow.metadata)
        columns = {
            name: table.column(at).to_pylist() for at, name in enumerate(_apart(list(map(str, table.column_names))))
        }
    read = _of_values(range(1, table.num_rows + 1), columns)
    named_columns = {
        name: [value or None for value in named([value or "" for value in read.columns[name]], names)]
        for name, names in classes.items()
        if name in read.columns
    }
    return Records(read.numbers, {**read.columns, **named_columns})


def _of_values(numbers: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> Records:
    return Records(numbers, {name: list(map(as_cell, values)) for name, values in columns.items()})


def as_cell(value: Any) -> Value:
    """A value of JSON or Parquet as a CSV file has it; None for a missing one. Bytes that are no UTF-8 stay visible."""
    if value is None or value != value or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(value)  # dates and times, as ISO 8601 writes them
