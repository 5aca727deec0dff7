"""Reads CSV with a guessed delimiter, row by row, and names every fault with its row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.sources.manifest_columns import NoColumnError

Fits = Callable[[list[str], int], object]
"""`fits(header, row)` raises `NoColumnError` where a column is missing, and another `SourceError` for other faults."""

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*(?:\r\n|\r|\n)')
"""The line by which Excel is told the delimiter."""

EMPTY = "it needs a row with the names of its columns"


def csv_rows(text: str, delimiters: str, shown: str, fits: Fits) -> Iterator[tuple[int, list[str]]]:
    """The rows with their numbers, the header first. Blank rows are passed over.

    The first delimiter that finds the wanted columns is taken. If none does, the one with most columns gives the error.

    Raises
    ------
    SourceError
        A column is missing, a row has another length than the header, or the text is no CSV.
    """
    dialect = dialect_of(text, delimiters, fits)
    return _parsed(text[dialect.start :], dialect, shown, fits)


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written: its delimiter, blanks behind it, lines before the header and their characters."""

    delimiter: str
    blanks: bool
    before: int
    start: int


def dialect_of(text: str, delimiters: str, fits: Fits) -> Dialect:
    """How a text is written: with the first delimiter that finds the wanted columns, or else that of most columns."""
    before = start = 0
    if said := _SEPARATOR_LINE.match(text):
        start, delimiters, before = said.end(), said[1], 1
    for delimiter in delimiters:
        try:
            begin = io.StringIO(text[start : start + 100_000], newline="")
            header = next(csv.reader(begin, delimiter=delimiter, strict=True))
            fits(header, 1)
        except (csv.Error, NoColumnError, StopIteration):
            continue
        # A blank after each comma stands in the header too. Elsewhere a blank may be meant.
        blanks = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
        return Dialect(delimiter, blanks, before, start)
    return Dialect(_widest(text[start : start + 100_000], delimiters), False, before, start)


def _widest(text: str, delimiters: str) -> str:
    """The delimiter that gives the most columns, the first one among equals."""

    def width(delimiter: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
        except (csv.Error, StopIteration):
            return 0

    return max(delimiters, key=width)


def _parsed(text: str, dialect: Dialect, shown: str, fits: Fits) -> Iterator[tuple[int, list[str]]]:
    """Read in one dialect. csv.reader is as quick here as pandas' parser, which does not report short rows."""
    stream = io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=dialect.delimiter, skipinitialspace=dialect.blanks, strict=True)
    first = row_number = dialect.before + 1
    try:
        header = next(reader)
        fits(header, first)
        yield first, header
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
            yield row_number, row
    except csv.Error as error:
        raise SourceError(
            f"{shown}: the row after row {row_number}, which ends at line {reader.line_num + dialect.before}, is not "
            f"valid CSV: {error}",
            hint="look for a quotation mark that is not closed, or not doubled inside quotes",
        ) from error
    except StopIteration:
        raise SourceError(f"the manifest {shown} is empty", hint=EMPTY) from None
