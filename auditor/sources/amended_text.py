"""Changes labels in the text of a CSV or JSON manifest. Every other character stays as it is."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.sources.manifest_columns import NoColumnError
from auditor.sources.manifest_csv import Dialect, dialect_of
from auditor.sources.manifest_json import json_records, labels_by_path
from auditor.sources.records import long_fields

Edits = Mapping[int, object]
"""The new value of the label by row number, as the file spells it; `DROPPED` for a row that goes."""

DROPPED = object()
"""In place of a label: the row goes."""

_BLANK = re.compile(r"[ \t\r\n]*")


def csv_with(text: str, delimiters: str, label: str, edits: Callable[[Mapping[int, Any]], Edits]) -> str:
    """The text of a CSV file with other labels.

    Parameters
    ----------
    label
        The name of the label's column.
    edits
        Gives the changes, from the labels as they are spelled, by row number.
    """
    dialect = dialect_of(text, delimiters, _names(label))
    with long_fields():
        rows = list(_csv_rows(text[dialect.start :], dialect))
    at = [name.strip() for name in rows[0].fields].index(label)
    changes = edits({row.number: row.fields[at] for row in rows[1:] if len(row.fields) > at})
    kept = [text[: dialect.start]]
    for row in rows:
        new = changes.get(row.number)
        if new is None:
            kept.append(row.text)
        elif new is not DROPPED:
            kept.append(_with_field(row, at, str(new), dialect))
    return "".join(kept)


def _names(label: str) -> Callable[[list[str], int], None]:
    def fits(header: list[str], row: int) -> None:
        if label not in [name.strip() for name in header]:
            raise NoColumnError(f"row {row}: there is no column '{label}'")

    return fits


@dataclass(frozen=True)
class _Row:
    """A row of a CSV file: its number, the line on which it begins, its own characters, and its fields."""

    number: int
    line: int
    text: str
    fields: list[str]


def _csv_rows(text: str, dialect: Dialect) -> Iterator[_Row]:
    lines = list(io.StringIO(text, newline=""))
    reader, before = _reader(iter(lines), dialect), 0
    for number, fields in enumerate(reader, start=dialect.before + 1):
        yield _Row(number, before + 1, "".join(lines[before : reader.line_num]), fields)
        before = reader.line_num


def _reader(lines: Iterator[str], dialect: Dialect) -> Any:
    return csv.reader(lines, delimiter=dialect.delimiter, skipinitialspace=dialect.blanks, strict=True)


def _with_field(row: _Row, at: int, value: str, dialect: Dialect) -> str:
    """The row with another value in one field. It is written anew where its own quotes cannot be kept."""
    wanted = [*row.fields[:at], value, *row.fields[at + 1 :]]
    spans = list(_spans(row.text, dialect))
    if at < len(spans):
        begin, end = spans[at]
        quoted = row.text[begin:end].startswith('"') or value != value.strip() or not value.isprintable()
        quoted = quoted or any(c in value for c in (dialect.delimiter, '"'))
        field = '"' + value.replace('"', '""') + '"' if quoted else value
        text = row.text[:begin] + field + row.text[end:]
        if list(_reader(io.StringIO(text, newline=""), dialect)) == [wanted]:
            return text
    out, end_of_line = io.StringIO(), row.text[len(row.text.rstrip("\r\n")) :]
    csv.writer(out, delimiter=dialect.delimiter, lineterminator=end_of_line).writerow(wanted)
    return out.getvalue()


def _spans(text: str, dialect: Dialect) -> Iterator[tuple[int, int]]:
    """Where each field of a row begins and ends, its quotes with it."""
    at, end = 0, len(text.rstrip("\r\n"))
    while True:
        while dialect.blanks and text[at : at + 1] == " ":
            at += 1
        begin = at
        if text[at : at + 1] == '"':
            at += 1
            while at < end and (text[at] != '"' or text[at + 1 : at + 2] == '"'):
                at += 2 if text[at] == '"' else 1
            at += 1
        stop = text.find(dialect.delimiter, at, end)
        yield begin, end if stop < 0 else stop
        if stop < 0:
            return
        at = stop + 1


def csv_lines(text: str, delimiters: str, label: str) -> dict[int, int]:
    """The line of the text on which each row begins, by row number. Both count from 1."""
    dialect = dialect_of(text, delimiters, _names(label))
    with long_fields():
        return {row.number: dialect.before + row.line for row in _csv_rows(text[dialect.start :], dialect)}


def json_lines(text: str, *, lines: bool) -> dict[int, int]:
    """The line on which each record begins, by its number; empty where the text holds columns."""
    first = text.lstrip()[:1]
    if first == "[":
        found, line, before = {}, 1, 0
        for number, (begin, _) in enumerate(elements(text, text.index("[") + 1), start=1):
            line, before = line + text.count("\n", before, begin), begin
            found[number] = line
        return found
    return {number: number for number in range(1, text.count("\n") + 2)} if lines else {}


def json_with(text: str, label: str, edits: Callable[[Mapping[int, Any]], Edits], *, lines: bool) -> str:
    """The text of a JSON manifest with other labels: lines of objects, an array of objects, or columns.

    Parameters
    ----------
    label, edits
        See `csv_with`.
    lines
        The file's name promises one object on each line.
    """
    records = dict(json_records(text, "the manifest", lines=lines))
    changes = edits({number: row[label] for number, row in records.items() if isinstance(row, dict) and label in row})
    first = text.lstrip()[:1]
    with contextlib.suppress(ValueError):
        document = json.loads(text) if first == "{" and not lines else None
        if labels_by_path(document) is not None:
            return _by_path(document, list(records.items()), changes)
    if first == "[":
        return array_with(text, label, changes)
    rows = text.split("\n")
    if first == "{" and all(_is_row(rows[number - 1], records[number]) for number in records if number <= len(rows)):
        kept = (_object_with(line, label, changes.get(number)) for number, line in enumerate(rows, start=1))
        return "\n".join(line for line in kept if line is not None)
    whole = [_changed(row, label, changes.get(number)) for number, row in records.items()]
    return json.dumps([row for row in whole if row is not None], ensure_ascii=False, indent=1) + "\n"


def _by_path(document: Any, records: list[tuple[int, Any]], changes: Edits) -> str:
    """Labels by path, or paths by label, in the form that they had."""
    kept = [(row["path"], changes.get(number, row["label"])) for number, row in records]
    kept = [(path, label) for path, label in kept if label is not DROPPED]
    if not any(isinstance(paths, list) for paths in document.values()):
        return json.dumps(dict(kept), ensure_ascii=False, indent=1) + "\n"
    lists: dict[str, list[str]] = {label: [] for label in document}
    for path, label in kept:
        lists.setdefault(str(label), []).append(path)
    return json.dumps(lists, ensure_ascii=False, indent=1) + "\n"


def _is_row(line: str, record: object) -> bool:
    try:
        return bool(json.loads(line) == record)
    except ValueError:
        return False


def _changed(record: Any, label: str, new: object) -> Any:
    return None if new is DROPPED else record if new is None else {**record, label: new}


def array_with(text: str, label: str, changes: Edits) -> str:
    """An array of objects. What goes takes the comma before it along; the first one, the comma after it."""
    kept: list[str] = []
    opened = text.index("[") + 1
    head, before, at = text[:opened], opened, opened
    for number, (begin, end) in enumerate(elements(text, opened), start=1):
        row = _object_with(text[begin:end], label, changes.get(number))
        if row is not None:
            gap = text[before:begin]
            kept.append((gap.replace(",", "", 1) if not kept else gap) + row)
        before = at = end
    return head + "".join(kept) + text[at:]


def elements(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Where the elements of an array begin and end."""
    decoder = json.JSONDecoder()
    at = _past_blanks(text, at)
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        yield at, end
        at = _past_blanks(text, end)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)


def _object_with(text: str, label: str, new: object) -> str | None:
    """A JSON object with another value behind one name; None where it goes."""
    if new is None:
        return text
    if new is DROPPED:
        return None
    span = members(text).get(label, (0, 0))
    escaped = text.isascii()
    return text[: span[0]] + json.dumps(new, ensure_ascii=escaped) + text[span[1] :]


def members(text: str) -> dict[str, tuple[int, int]]:
    """Where the values of a JSON object begin and end, by name. Of a name that stands twice, the last counts."""
    decoder, found = json.JSONDecoder(), dict[str, tuple[int, int]]()
    at = _past_blanks(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        begin = _past_blanks(text, _past_blanks(text, at) + 1)
        _, end = decoder.raw_decode(text, begin)
        found[name] = (begin, end)
        at = _past_blanks(text, end)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)
    return found


def _past_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()
