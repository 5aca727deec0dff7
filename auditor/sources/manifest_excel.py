"""Sheets of Excel as manifests. A sheet becomes the text of a CSV file, so it is read, checked and written as one.

openpyxl reads the values that were saved. No formula is computed, and no macro runs.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from auditor.errors import SourceError
from auditor.sources.headers import meant
from auditor.system.files import reason
from auditor.system.text import display

ENDINGS = frozenset({".xlsx", ".xlsm"})

MOST_UNPACKED = 1 << 30
"""A workbook that unpacks to more bytes is refused."""

MOST_COLUMNS = 256
"""Columns that are read. A cell far to the right would otherwise make every row long."""

_EXACT = 2.0**53

_START = 4096
"""Bytes at the beginning of a part in which its first element must begin."""

_BEFORE = re.compile(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
"""What may stand before the first element."""

_AS_CSV = "save the sheet as CSV (UTF-8), and give that"


def sheet_as_csv(data: bytes, shown: str) -> bytes:
    """The sheet of a workbook that holds the columns, as CSV in UTF-8. Its rows keep their numbers.

    Hidden sheets do not count. Of several sheets, the only one with a column of labels is meant.

    Raises
    ------
    SourceError
        openpyxl is missing. Or the workbook is damaged, encrypted or too large, or no single sheet is meant.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise SourceError(
            f"reading {shown} needs openpyxl: {error}", hint=f"pip install 'auditor[excel]', or {_AS_CSV}"
        ) from error
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceError(f"{shown} is encrypted, or an older kind of workbook", hint=_AS_CSV)
    try:
        _check(data, shown)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            return _text(_meant_sheet(book, shown)).encode("utf-8", "surrogatepass")
        finally:
            book.close()
    except SourceError:
        raise
    except Exception as error:  # damaged workbooks raise nearly every kind of error
        said = reason(error).splitlines() or [type(error).__name__]
        raise SourceError(f"{shown} is not a readable workbook: {display(said[0][:120])}", hint=_AS_CSV) from error


def _check(data: bytes, shown: str) -> None:
    """Refuse what unpacks to too much, and parts that declare a document type: entities can grow without end."""
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        if sum(part.file_size for part in parts.infolist()) > MOST_UNPACKED:
            raise SourceError(f"{shown} unpacks to more than {MOST_UNPACKED} bytes", hint=_AS_CSV)
        for part in parts.infolist():
            if not part.filename.lower().endswith((".xml", ".rels")):
                continue
            with parts.open(part) as stream:
                first = _BEFORE.sub(b"", stream.read(_START).replace(b"\0", b""))
            if first[:9].upper().startswith((b"<!DOCTYPE", b"<!ENTITY")):
                raise SourceError(f"{shown} declares a document type, as no workbook does", hint=_AS_CSV)
            if first[:2] == b"<!" or first[:1] != b"<":
                raise SourceError(f"{shown} has a part that does not begin with an element", hint=_AS_CSV)


def _rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # what a file says of its size need not be true
    for row in sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True):
        yield [_cell(value) for value in row]


def _meant_sheet(book: Any, shown: str) -> Any:
    headers: dict[str, Sequence[str]] = {}
    for sheet in book.worksheets:
        if sheet.sheet_state == "visible":
            filled = (row for row in itertools.islice(_rows(sheet), 1000) if any(map(str.strip, row)))
            headers[sheet.title] = [name.strip() for name in next(filled, []) if name.strip()]
    tables = [title for title, header in headers.items() if len(header) > 1]
    labelled = [title for title in tables if "label" in headers[title] or meant("label", headers[title])]
    found = tables if len(tables) == 1 else labelled
    if len(found) != 1:
        named = ", ".join(f"'{display(title)[:40]}'" for title in (found or list(headers))[:6])
        what = "several sheets with labels" if len(found) > 1 else "no sheet with a header of path and label"
        raise SourceError(f"{shown} has {what}: {named or 'all are hidden or empty'}", hint=_AS_CSV)
    return book[found[0]]


def _text(sheet: Any) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    width = 0
    for row in _rows(sheet):
        while row and not row[-1]:
            row.pop()
        width = width or len(row)
        writer.writerow([*row, *[""] * (width - len(row))] if row else [])
    return made.getvalue()


def _cell(value: object) -> str:
    """A value as it would stand in a CSV file. Whole numbers have no point."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)
