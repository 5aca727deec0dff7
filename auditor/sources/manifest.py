"""A manifest: a CSV, JSON lines or Parquet file with the columns path, label and, if wanted, split."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import itertools
import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.regular import display, read_regular, reason
from auditor.sources.base import ImageTable, Skipped
from auditor.sources.files import Root, is_utf8
from auditor.sources.listing import make_table, split_name

MAX_MANIFEST_BYTES = 8 << 30
"""Larger manifests are refused: they would not fit into memory."""

_READERS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_ROLES = ("path", "label", "split")
_ODD_PATH = re.compile(r"^[/\\]|^[A-Za-z]:[/\\]|(?:^|/)\.{0,2}(?:/|$)|\0")
_SHOWN = 3
"""So many bad rows an error names."""


class ManifestSource:
    """SOURCE is `FILE` or `FILE::label=COLUMN,path=COLUMN,split=COLUMN`; paths are relative to the file's folder.

    Row numbers in messages count as a spreadsheet does, a CSV's header being row 1; in JSON lines they are lines.

    What bad rows get: a missing file, a path that leads out of the folder, a row of another length, or an unknown split
    is an error that names file and row. A row without a label, a row that repeats another one, and all rows of a path
    that has several labels or splits are left out with their reason.
    """

    name = "manifest"
    looks_for = "a manifest (.csv, .tsv, .jsonl, .ndjson, .parquet) with the columns path, label and optionally split"

    def accepts(self, spec: str) -> bool:
        file, _ = parse_spec(spec)
        return _suffix(file) in _READERS and not os.path.isdir(file)

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the manifest's rows.

        Raises
        ------
        SourceError
            See the class; the manifest cannot be read or lacks a column; pyarrow is missing for a Parquet file.
        """
        file, columns = parse_spec(spec)
        shown = display(file)
        rows = _read(file, columns, shown)
        root = Root(os.path.dirname(file) or ".", allow_outside=allow_outside)
        rows = _normalise_paths(rows, shown, allow_outside)
        rows = _normalise_splits(rows, shown)
        kept, skipped = _settle(rows)
        _check_files(root, kept, shown)
        return make_table(
            os.path.basename(shown), display(os.path.dirname(file) or "."),
            kept.paths, kept.labels, kept.splits,
            read=root.read, locate=root.locate, skipped=skipped,
        )  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """A manifest's columns that matter; `numbers` are the rows as a user counts them."""

    numbers: Sequence[int]
    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]


def parse_spec(spec: str) -> tuple[str, dict[str, str]]:
    """`FILE::label=a,path=b` as the file and its chosen columns; a file of that very name comes first.

    Raises
    ------
    SourceError
        What follows the `::` is not a list of path=, label= and split=.
    """
    file, separator, choice = spec.rpartition("::")
    if not separator or _suffix(file) not in _READERS or os.path.exists(spec):
        return spec, {}
    columns: dict[str, str] = {}
    for part in re.split(r",(?=(?:path|label|split)=)", choice):
        role, equals, column = part.partition("=")
        if role not in _ROLES or not equals or not column or role in columns:
            raise SourceError(
                f"cannot understand '{display(part)}' in the source {display(spec)}",
                hint="write it as FILE::label=COLUMN,path=COLUMN,split=COLUMN, each at most once",
            )
        columns[role] = column
    return file, columns


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _read(file: str, columns: dict[str, str], shown: str) -> Rows:
    try:
        data = read_regular(file, limit=MAX_MANIFEST_BYTES)
    except OSError as error:
        raise SourceError(f"cannot read the manifest {shown}: {reason(error)}", hint="check the path") from error
    if not data.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0"):
        raise SourceError(f"the manifest {shown} is empty", hint="it needs the columns path and label")
    kind = _READERS[_suffix(file)]
    if kind == "parquet":
        return _read_parquet(data, columns, shown)
    text = _decode(data, shown)
    del data
    if kind == "jsonl":
        return _read_json_lines(text, columns, shown)
    return _read_csv(text, columns, shown, "\t" if _suffix(file) == ".tsv" else ",;\t")


def _decode(data: bytes, shown: str) -> str:
    """Text of a manifest: UTF-8 with or without byte order mark, or UTF-16/32 with one."""
    encoding = "utf-8-sig"
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
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
            hint="save the manifest as UTF-8; other encodings such as Windows-1252 cannot be told apart safely",
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        raise SourceError(
            f"{shown}, row {text.count(chr(10), 0, nul) + 1}: holds a NUL character",
            hint="save the manifest as UTF-8; UTF-16 needs its byte order mark",
        )
    return text


def _read_csv(text: str, columns: dict[str, str], shown: str, delimiters: str) -> Rows:
    """The first delimiter whose header has the columns; the first of all where none has."""
    for delimiter in delimiters:
        try:
            header = next(csv.reader(io.StringIO(text[:100_000], newline=""), delimiter=delimiter, strict=True))
            _locate_columns(header, columns, shown)
        except (csv.Error, _NoColumnError):
            continue
        return _parse_csv(text, delimiter, columns, shown)
    return _parse_csv(text, delimiters[0], columns, shown)


def _parse_csv(text: str, delimiter: str, columns: dict[str, str], shown: str) -> Rows:
    """csv.reader is as quick as pandas' parser here, and unlike it reports rows that are too short."""
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
                    f"{shown}, row {row_number}: {len(row)} fields where the header has {width}",
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
    names = {role: columns.get(role, role) for role in _ROLES}
    numbers, paths, labels, splits = list[int](), list[str](), list[str](), list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{shown}, row {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{where}: not valid JSON: {reason(error)}", hint="one object a line") from error
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
    """A JSON or Parquet value as text: whole numbers are common as labels, nothing given is ''."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise SourceError(f"{where}: '{column}' must be text or a whole number, not {type(value).__name__}")


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
        raise SourceError(f"{shown} is not a readable Parquet file: {_first_line(error)}") from error
    texts = [
        [value if isinstance(value, str) else _text(value, f"{shown}, row {number}", name)
         for number, value in enumerate(values, start=1)]
        for name, values in zip(chosen, lists, strict=True)
    ]  # fmt: skip
    count = len(texts[0])
    return Rows(range(1, count + 1), texts[0], texts[1], texts[2] if len(texts) == 3 else [""] * count)


def _first_line(error: BaseException) -> str:
    lines = reason(error).splitlines()
    return display(lines[0][:200]) if lines else type(error).__name__


class _NoColumnError(SourceError):
    """A wanted column is not there; with another delimiter it might be."""


def _missing(where: str, column: str, role: str, present: list[str]) -> _NoColumnError:
    near = difflib.get_close_matches(column.lower(), [name.lower() for name in present], n=1)
    shown = ", ".join(f"'{display(name)[:60]}'" for name in present[:12]) + (", ..." if len(present) > 12 else "")
    guess = next((name for name in present if near and name.lower() == near[0]), "COLUMN")
    return _NoColumnError(
        f"{where}: there is no column '{display(column)}'; it has {shown or 'none'}",
        hint=f"say which column to use, such as FILE::{role}={display(guess)}",
    )


def _locate_columns(header: list[str], columns: dict[str, str], shown: str) -> tuple[int, int, int | None]:
    names = [name.strip() for name in header]
    found: list[int | None] = []
    for role in _ROLES:
        column = columns.get(role, role)
        if names.count(column) > 1:
            raise SourceError(f"{shown}, row 1: there are {names.count(column)} columns '{display(column)}'")
        if column in names:
            found.append(names.index(column))
        elif role == "split" and role not in columns:
            found.append(None)
        else:
            raise _missing(f"{shown}, row 1", column, role, names)
    path, label, split = found
    assert path is not None and label is not None
    return path, label, split


def _normalise_paths(rows: Rows, shown: str, allow_outside: bool) -> Rows:
    """Paths in one spelling each; what says that it leads out of the folder is refused unless allowed."""
    _check_text(rows, shown)
    paths = list(rows.paths)
    outside: list[str] = []
    for index, path in enumerate(paths):
        if not _ODD_PATH.search(path):
            continue
        where = f"row {rows.numbers[index]}"
        if not path.strip() or "\0" in path or path.endswith("/"):
            raise SourceError(f"{shown}, {where}: {path[:80]!r} is no file path", hint="each row needs an image's path")
        absolute = path.startswith(("/", "\\")) or path[1:3] in (":/", ":\\")
        parts = path.split("/")
        if absolute or ".." in parts:
            outside.append(f"{where} ({display(path)[:80]})")
        kept = "/".join(part for part in parts if part not in ("", "."))
        paths[index] = "/" + kept if path.startswith("/") else kept
    if outside and not allow_outside:
        raise SourceError(
            f"{shown}: {_count(len(outside), 'path')} {'is' if len(outside) == 1 else 'are'} absolute or "
            f"{'leads' if len(outside) == 1 else 'lead'} upwards: {_some(outside)}",
            hint="make them relative to the manifest's folder, or allow them with --allow-outside",
        )
    return Rows(rows.numbers, paths, rows.labels, rows.splits)


def _check_text(rows: Rows, shown: str) -> None:
    """JSON escapes can smuggle in half characters that no file can be written with."""
    for texts in (rows.paths, rows.labels, rows.splits):
        if is_utf8("".join(texts)):
            continue
        bad = next(number for number, text in zip(rows.numbers, texts, strict=True) if not is_utf8(text))
        raise SourceError(f"{shown}, row {bad}: holds half a surrogate pair", hint="write the row again as UTF-8")


def _normalise_splits(rows: Rows, shown: str) -> Rows:
    known = {text: split_name(text) for text in set(rows.splits)}
    if None in known.values():
        number, text = next((n, t) for n, t in zip(rows.numbers, rows.splits, strict=True) if known[t] is None)
        raise SourceError(
            f"{shown}, row {number}: '{display(text)[:60]}' is not a split",
            hint="use train, val, test or nothing; FILE::split=COLUMN names another column",
        )
    return Rows(rows.numbers, rows.paths, rows.labels, [known[text] or "" for text in rows.splits])


def _settle(rows: Rows) -> tuple[Rows, list[Skipped]]:
    """Rows that say one thing about one image, and why the others are left out."""
    skipped: list[Skipped] = []
    keep = np.ones(len(rows.paths), dtype=bool)
    for index, label in enumerate(rows.labels):
        if not label or label.isspace():
            keep[index] = False
            skipped.append(Skipped(rows.paths[index], f"row {rows.numbers[index]} has no label"))
    repeated: dict[str, list[int]] = defaultdict(list)
    paths = pd.Series(rows.paths, dtype=object)
    for index in np.flatnonzero(keep & paths.where(keep).duplicated(keep=False).to_numpy()).tolist():
        repeated[rows.paths[index]].append(index)
    for path, indices in repeated.items():
        words = _disagreement(rows, indices)
        keep[indices if words else indices[1:]] = False
        first, *others = (rows.numbers[index] for index in indices)
        skipped.append(Skipped(path, words or f"{_rows(others)} repeat{'s' * (len(others) == 1)} row {first}"))
    if skipped:
        rows = Rows(
            numbers=list(itertools.compress(rows.numbers, keep)),
            paths=list(itertools.compress(rows.paths, keep)),
            labels=list(itertools.compress(rows.labels, keep)),
            splits=list(itertools.compress(rows.splits, keep)),
        )
    return rows, skipped


def _disagreement(rows: Rows, indices: Sequence[int]) -> str:
    """Why rows of one path contradict each other, '' where they agree."""
    for name, column in (("label", rows.labels), ("split", rows.splits)):
        first: dict[str, int] = {}
        for index in indices:
            first.setdefault(column[index], rows.numbers[index])
        if len(first) > 1:
            said = _some([f"'{display(value)[:60]}' in row {number}" for value, number in first.items()])
            return f"the manifest gives several {name}s: {said}"
    return ""


def _check_files(root: Root, rows: Rows, shown: str) -> None:
    problems = root.problems(rows.paths)
    if not problems:
        return
    bad = [(number, path) for number, path in zip(rows.numbers, rows.paths, strict=True) if path in problems]
    named = _some([f"row {number} ({path[:80]}): {problems[path]}" for number, path in bad])
    outside = any("outside the root" in problem for problem in problems.values())
    raise SourceError(
        f"{shown}: {_count(len(bad), 'image')} cannot be used: {named}",
        hint="paths are relative to the manifest's folder and use forward slashes; correct or remove the rows"
        + (", or allow files outside it with --allow-outside" if outside else ""),
    )


def _some(items: Sequence[str]) -> str:
    return "; ".join(items[:_SHOWN]) + (f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _rows(numbers: Sequence[int]) -> str:
    return (
        ("row " if len(numbers) == 1 else "rows ")
        + ", ".join(map(str, numbers[:_SHOWN]))
        + (" and more" if len(numbers) > _SHOWN else "")
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
