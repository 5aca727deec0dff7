"""Reads a manifest file, CSV, JSON or Parquet, into rows of path, label and split.

The rows are as they stand in the file. `manifest` checks them.
"""

from __future__ import annotations

import codecs
import os

from auditor.errors import SourceError
from auditor.sources.beside import Gathering
from auditor.sources.manifest_columns import Rows, locate_columns, locate_group, near_names
from auditor.sources.manifest_csv import csv_rows
from auditor.sources.manifest_excel import ENDINGS, sheet_as_csv
from auditor.sources.manifest_json import read_json
from auditor.sources.manifest_parquet import read_parquet
from auditor.sources.manifest_tools import cvat_as_csv
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
    ".xlsx": "csv",
    ".xlsm": "csv",
    ".xml": "csv",
}
"""The format of a manifest by the ending of its name. Workbooks and CVAT's XML are read as CSV."""


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
)
"""Byte order marks, the encoding that reads them, and the one that writes no mark of its own."""


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
    return rows_of(load(file, shown), file, columns, shown)


def rows_of(data: bytes, file: str, columns: dict[str, str], shown: str) -> Rows:
    """The rows of a manifest from its bytes. Its name tells the format; see `read_rows`."""
    kind = READERS[suffix_of(file)]
    data = _as_csv(data, file, shown)
    if kind == "parquet":
        return read_parquet(data, columns, shown)
    text = decode(data, shown)
    del data
    if kind in ("json", "jsonl"):
        return read_json(text, columns, shown, lines=kind == "jsonl")
    return _read_csv(text, columns, shown, delimiters(file))


def delimiters(file: str) -> str:
    """What may stand between the fields of a CSV file of this name, the likeliest first."""
    return "\t" if suffix_of(file) == ".tsv" else ",;\t|"


def load(file: str, shown: str) -> bytes:
    """The bytes of a manifest, unpacked.

    Raises
    ------
    SourceError
        The file cannot be read or unpacked, or is empty.
    """
    try:
        data = read_regular(file, limit=MAX_MANIFEST_BYTES)
    except OSError as error:
        raise SourceError(f"cannot read the manifest {shown}: {reason(error)}", hint="check the path") from error
    data = _as_csv(unpack(data, file, shown), file, shown)
    if not data.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0"):
        raise SourceError(f"the manifest {shown} is empty", hint="it needs the columns path and label")
    return data


def _as_csv(data: bytes, file: str, shown: str) -> bytes:
    """The sheet of a workbook, or CVAT's XML, as CSV; other bytes as they are."""
    if suffix_of(file) == ".xml" and data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return cvat_as_csv(data, shown)
    if suffix_of(file) not in ENDINGS or not data.startswith((b"PK", b"\xd0\xcf")):
        return data
    return sheet_as_csv(data, shown)


def decode(data: bytes, shown: str) -> str:
    """The text of a manifest: UTF-8 with or without a byte order mark, or UTF-16 or UTF-32 with one."""
    encoding = next((name for mark, name, _ in _MARKS if data.startswith(mark)), "utf-8-sig")
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


def encoded_as(data: bytes, text: str) -> bytes:
    """A text in the encoding of a manifest that `decode` read, with its byte order mark."""
    mark, encoding = next(((mark, plain) for mark, _, plain in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    return mark + text.encode(encoding)


def _read_csv(text: str, columns: dict[str, str], shown: str, delimiters: str) -> Rows:
    rows = csv_rows(text, delimiters, shown, lambda header, row: locate_columns(header, columns, shown, row))
    first, header = next(rows)
    path_at, label_at, split_at = locate_columns(header, columns, shown, first)
    group_at = locate_group(header, columns, f"{shown}, row {first}")
    numbers, paths, labels, splits, groups = list[int](), list[str](), list[str](), list[str](), list[str]()
    taken = (path_at, label_at, split_at)
    beside = Gathering({at: name.strip() for at, name in enumerate(header) if at not in taken})
    for number, row in rows:
        if not row[path_at].strip() and not any(map(str.strip, row)):
            continue
        numbers.append(number)
        paths.append(row[path_at])
        labels.append(row[label_at])
        splits.append(row[split_at] if split_at is not None else "")
        groups.append(row[group_at] if group_at is not None else "")
        beside.add(row)
    near = near_names(header, {"split": split_at, "group": group_at}, columns)
    named = None if group_at is None else groups
    return Rows(numbers, paths, labels, splits, groups=named, near=near, beside=beside.frame())
