"""Reads a manifest file, CSV, JSON or Parquet, into rows of path, label and split.

The rows are as they stand in the file. `manifest` checks them.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.sources.manifest_columns import NoColumnError, Rows, locate_columns
from auditor.sources.manifest_json import read_json
from auditor.sources.manifest_parquet import read_parquet
from auditor.sources.unpack import unpack, without_packing
from auditor.system.files import read_regular, reason

MAX_MANIFEST_BYTES = 8 << 30
"""Larger manifests are refused, since they would not fit into memory."""

READERS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""The format of a manifest by the ending of its name."""

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*(?:\r\n|\r|\n)')
"""The line by which Excel is told the delimiter."""


def suffix_of(file: str) -> str:
    """The ending of a file name with its dot, in lower case. That of a compression is passed over."""
    return os.path.splitext(without_packing(file))[1].lower()


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
    data = unpack(data, file, shown)
    if not data.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0"):
        raise SourceError(f"the manifest {shown} is empty", hint="it needs the columns path and label")
    kind = READERS[suffix_of(file)]
    if kind == "parquet":
        return read_parquet(data, columns, shown)
    text = _decode(data, shown)
    del data
    if kind in ("json", "jsonl"):
        return read_json(text, columns, shown, lines=kind == "jsonl")
    return _read_csv(text, columns, shown, "\t" if suffix_of(file) == ".tsv" else ",;\t|")


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
    before = 0
    if said := _SEPARATOR_LINE.match(text):
        text, delimiters, before = text[said.end() :], said[1], 1
    for delimiter in delimiters:
        try:
            header = next(csv.reader(io.StringIO(text[:100_000], newline=""), delimiter=delimiter, strict=True))
            locate_columns(header, columns, shown)
        except (csv.Error, NoColumnError, StopIteration):
            continue
        # A blank after each comma stands in the header too. Elsewhere a blank may be meant.
        blanks = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
        return _parse_csv(text, _Dialect(delimiter, blanks, before), columns, shown)
    return _parse_csv(text, _Dialect(delimiters[0], False, before), columns, shown)


@dataclass(frozen=True)
class _Dialect:
    """How a CSV file is written: its delimiter, blanks behind it, and lines before the header."""

    delimiter: str
    blanks: bool
    before: int


def _parse_csv(text: str, dialect: _Dialect, columns: dict[str, str], shown: str) -> Rows:
    """Read in one dialect. csv.reader is as quick here as pandas' parser, which does not report short rows."""
    stream = io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=dialect.delimiter, skipinitialspace=dialect.blanks, strict=True)
    first = row_number = dialect.before + 1
    numbers, paths, labels, splits = list[int](), list[str](), list[str](), list[str]()
    try:
        header = next(reader)
        path_at, label_at, split_at = locate_columns(header, columns, shown, first)
        width = len(header)
        for row_number, row in enumerate(reader, start=first + 1):
            if len(row) != width:
                if not any(map(str.strip, row)):
                    continue
                if any(map(str.strip, row[width:])) or len(row) < width:
                    raise SourceError(
                        f"{shown}, row {row_number}: {len(row)} fields, but the header has {width}",
                        hint="put quotes around fields that hold the delimiter",
                    )
            if not row[path_at].strip() and not any(map(str.strip, row)):
                continue
            numbers.append(row_number)
            paths.append(row[path_at])
            labels.append(row[label_at])
            splits.append(row[split_at] if split_at is not None else "")
    except csv.Error as error:
        raise SourceError(
            f"{shown}: the row after row {row_number}, which ends at line {reader.line_num + dialect.before}, is not "
            f"valid CSV: {error}",
            hint="look for a quotation mark that is not closed, or not doubled inside quotes",
        ) from error
    except StopIteration:
        raise SourceError(f"the manifest {shown} is empty", hint="it needs the columns path and label") from None
    return Rows(numbers, paths, labels, splits)
