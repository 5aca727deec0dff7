"""Reads a manifest file, CSV, JSON lines or Parquet, into rows of path, label and split.

The rows are as they stand in the file. `manifest` checks them.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.system.files import read_regular, reason
from auditor.system.text import display

MAX_MANIFEST_BYTES = 8 << 30
"""Larger manifests are refused, since they would not fit into memory."""

READERS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""The format of a manifest by the ending of its name."""

ROLES = ("path", "label", "split")
"""What a column can be for. A column has the name of its role unless the user chooses another."""


@dataclass(frozen=True)
class Rows:
    """The N rows of a manifest, one sequence a column. `numbers` are the row numbers for messages.

    A spreadsheet counts in the same way: the header of a CSV file is row 1. In JSON lines a row is a line.
    """

    numbers: Sequence[int]
    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]


def suffix_of(file: str) -> str:
    """The ending of a file name with its dot, in lower case."""
    return os.path.splitext(file)[1].lower()


def read_rows(file: str, columns: dict[str, str], shown: str) -> Rows:
    """Read a manifest.

    Parameters
    ----------
    columns
        The name of the column for each role, where the user chose one.
    shown
        The file's name in messages.

    Raises
    ------
    SourceError
        The file cannot be read, is empty, is damaged, or lacks a column.
    """
    try:
        data = read_regular(file, limit=MAX_MANIFEST_BYTES)
    except OSError as error:
        raise SourceError(f"cannot read the manifest {shown}: {reason(error)}", hint="check the path") from error
    if not data.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0"):
        raise SourceError(f"the manifest {shown} is empty", hint="it needs the columns path and label")
    kind = READERS[suffix_of(file)]
    if kind == "parquet":
        return _read_parquet(data, columns, shown)
    text = _decode(data, shown)
    del data
    if kind == "jsonl":
        return _read_json_lines(text, columns, shown)
    return _read_csv(text, columns, shown, "\t" if suffix_of(file) == ".tsv" else ",;\t")


def _decode(data: bytes, shown: str) -> str:
    """The text of a manifest: UTF-8 with or without a byte order mark, or UTF-16 or UTF-32 with one."""
    encoding = "utf-8-sig"
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            encoding = name
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        wanted = encoding.removesuffix("-sig").upper()
        raise SourceError(
            f"{shown}, row {row}: byte {error.start + 1} (0x{data[error.start]:02x}) is not {wanted}",
            hint="save the manifest as UTF-8; other encodings, for example Windows-1252, cannot be told apart safely",
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        raise SourceError(
            f"{shown}, row {text.count(chr(10), 0, nul) + 1}: holds a NUL character",
            hint="save the manifest as UTF-8; UTF-16 needs its byte order mark",
        )
    return text


def _read_csv(text: str, columns: dict[str, str], shown: str, delimiters: str) -> Rows:
    """Read with the first delimiter that finds the wanted columns. If none does, the first one gives the error."""
    for delimiter in delimiters:
        try:
            header = next(csv.reader(io.StringIO(text[:100_000], newline=""), delimiter=delimiter, strict=True))
            _locate_columns(header, columns, shown)
        except (csv.Error, _NoColumnError):
            continue
        return _parse_csv(text, delimiter, columns, shown)
    return _parse_csv(text, delimiters[0], columns, shown)


def _parse_csv(text: str, delimiter: str, columns: dict[str, str], shown: str) -> Rows:
    """Read with one delimiter. csv.reader is as quick here as pandas' parser, which does not report short rows."""
    stream = io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    row_number = 1
    numbers, paths, labels, splits = list[int](), list[str](), list[str](), list[str]()
    try:
        header = next(reader)
        path_at, label_at, split_at = _locate_columns(header, columns, shown)
        width = len(header)
        for row_number, row in enumerate(reader, start=2):
            if len(row) != width:
                if not row:
                    continue
                raise SourceError(
                    f"{shown}, row {row_number}: {len(row)} fields, but the header has {width}",
                    hint="put quotes around fields that hold the delimiter",
                )
            numbers.append(row_number)
            paths.append(row[path_at])
            labels.append(row[label_at])
            splits.append(row[split_at] if split_at is not None else "")
    except csv.Error as error:
        raise SourceError(
            f"{shown}: the row after row {row_number}, which ends at line {reader.line_num}, is not valid CSV: {error}",
            hint="look for a quotation mark that is not closed, or not doubled inside quotes",
        ) from error
    return Rows(numbers, paths, labels, splits)


def _read_json_lines(text: str, columns: dict[str, str], shown: str) -> Rows:
    names = {role: columns.get(role, role) for role in ROLES}
    numbers, paths, labels, splits = list[int](), list[str](), list[str](), list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{shown}, row {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{where}: not valid JSON: {reason(error)}", hint="write one JSON object on each line"
            ) from error
        if not isinstance(record, dict):
            raise SourceError(f"{where}: not a JSON object", hint='write {"path": "...", "label": "..."}')
        for role in ("path", "label") + (("split",) if "split" in columns else ()):
            if names[role] not in record:
                raise _missing(where, names[role], role, list(record))
        numbers.append(number)
        paths.append(_text(record[names["path"]], where, names["path"]))
        labels.append(_text(record[names["label"]], where, names["label"]))
        splits.append(_text(record.get(names["split"]), where, names["split"]))
    return Rows(numbers, paths, labels, splits)


def _text(value: object, where: str, column: str) -> str:
    """A JSON or Parquet value as text. Whole numbers are common as labels. A missing value is ''."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise SourceError(
        f"{where}: '{column}' must be text or a whole number, not {type(value).__name__}",
        hint="correct the value, or name another column with FILE::label=COLUMN",
    )


def _read_parquet(data: bytes, columns: dict[str, str], shown: str) -> Rows:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SourceError(
            f"reading {shown} needs pyarrow: {error}", hint="pip install 'auditor[parquet]', or save it as CSV"
        ) from error
    try:
        file = parquet.ParquetFile(arrow.BufferReader(data))
        located = _locate_columns(file.schema_arrow.names, columns, shown)
        chosen = [file.schema_arrow.names[at] for at in located if at is not None]
        table = file.read(columns=chosen, use_threads=False)
        lists = [table.column(name).to_pylist() for name in chosen]
    except SourceError:
        raise
    except Exception as error:  # pyarrow raises many kinds for damaged files
        raise SourceError(
            f"{shown} is not a readable Parquet file: {_first_line(error)}", hint="write the file again"
        ) from error
    texts = [
        [
            value if isinstance(value, str) else _text(value, f"{shown}, row {number}", name)
            for number, value in enumerate(values, start=1)
        ]
        for name, values in zip(chosen, lists, strict=True)
    ]
    count = len(texts[0])
    return Rows(range(1, count + 1), texts[0], texts[1], texts[2] if len(texts) == 3 else [""] * count)


def _first_line(error: BaseException) -> str:
    lines = reason(error).splitlines()
    return display(lines[0][:200]) if lines else type(error).__name__


class _NoColumnError(SourceError):
    """A wanted column is not there. With another delimiter it can be."""


def _missing(where: str, column: str, role: str, present: list[str]) -> _NoColumnError:
    near = difflib.get_close_matches(column.lower(), [name.lower() for name in present], n=1)
    shown = ", ".join(f"'{display(name)[:60]}'" for name in present[:12]) + (", ..." if len(present) > 12 else "")
    guess = next((name for name in present if near and name.lower() == near[0]), "COLUMN")
    return _NoColumnError(
        f"{where}: there is no column '{display(column)}'; it has {shown or 'none'}",
        hint=f"say which column to use, for example FILE::{role}={display(guess)}",
    )


def _locate_columns(header: list[str], columns: dict[str, str], shown: str) -> tuple[int, int, int | None]:
    """Where path, label and split stand in the header. A split is not needed."""
    names = [name.strip() for name in header]
    found: list[int | None] = []
    for role in ROLES:
        column = columns.get(role, role)
        if names.count(column) > 1:
            raise SourceError(
                f"{shown}, row 1: there are {names.count(column)} columns '{display(column)}'",
                hint=f"rename all but one of them, or name another column with FILE::{role}=COLUMN",
            )
        if column in names:
            found.append(names.index(column))
        elif role == "split" and role not in columns:
            found.append(None)
        else:
            raise _missing(f"{shown}, row 1", column, role, names)
    path, label, split = found
    assert path is not None and label is not None
    return path, label, split
