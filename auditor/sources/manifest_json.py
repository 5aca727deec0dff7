"""Reads a manifest in JSON: lines of objects, an array of objects, pandas' object of columns, or labels by path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from auditor.errors import SourceError
from auditor.sources.beside import gathered
from auditor.sources.manifest_columns import Rows, as_text, missing, optional
from auditor.sources.manifest_tools import tool_records
from auditor.sources.tree import has_image_suffix
from auditor.system.files import reason

_WANTED = 'write {"path": "...", "label": "..."}'


def read_json(text: str, columns: dict[str, str], shown: str, *, lines: bool) -> Rows:
    """The rows of a JSON text, in whichever form it has.

    Parameters
    ----------
    lines
        The file's name promises one object on each line. Otherwise the whole text is tried first.

    Raises
    ------
    SourceError
        It is not JSON, a row is not an object, or a column is missing.
    """
    return _rows(json_records(text, shown, lines=lines), columns, shown)


def json_records(text: str, shown: str, *, lines: bool) -> Iterable[tuple[int, object]]:
    """The records of a JSON text with their numbers; see `read_json`. A record can be anything that JSON holds.

    Raises
    ------
    SourceError
        It is not JSON.
    """
    array = text.lstrip()[:1] == "["
    if lines and not array:
        return _lines(text, shown)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not array:
            return _lines(text, shown)
        raise SourceError(f"{shown}: not valid JSON: {reason(error)}", hint="write an array of objects") from error
    return enumerate(tool_records(document, shown) or _records(document), start=1)


def _is_table(value: object) -> bool:
    """Whether a JSON object holds columns, as pandas' `to_json` writes them, rather than one row."""
    return isinstance(value, dict) and bool(value) and all(isinstance(column, dict | list) for column in value.values())


def _records(document: object) -> list[object]:
    by_path = labels_by_path(document)
    if by_path is not None:
        return [{"path": path, "label": label} for path, label in by_path]
    if isinstance(document, dict) and document.keys() == {"schema", "data"} and isinstance(document["data"], list):
        return document["data"]  # pandas' orient="table"
    if not _is_table(document):
        return document if isinstance(document, list) else [document]
    assert isinstance(document, dict)
    if document.keys() == {"columns", "index", "data"}:  # pandas' orient="split"
        return [dict(zip(document["columns"], row, strict=False)) for row in document["data"] if isinstance(row, list)]
    if all(isinstance(row, dict) and row.keys() == {"path", "label"} for row in document.values()):
        return list(document.values())  # pandas' orient="index"
    columns = {name: list(values.values()) if isinstance(values, dict) else values for name, values in document.items()}
    longest = max(map(len, columns.values()))
    return [{name: values[i] for name, values in columns.items() if i < len(values)} for i in range(longest)]


def labels_by_path(document: object) -> list[tuple[str, object]] | None:
    """Path and label of each image where an object has paths for names, or lists of paths. None for all others."""
    if not isinstance(document, dict) or not document:
        return None
    if all(map(has_image_suffix, document)):
        one_each = not any(isinstance(label, dict | list) for label in document.values())
        return list(document.items()) if one_each else None
    lists = [(path, label) for label, paths in document.items() if isinstance(paths, list) for path in paths]
    if not lists or not all(isinstance(paths, list) for paths in document.values()):
        return None
    return lists if all(isinstance(path, str) and has_image_suffix(path) for path, _ in lists) else None


def _lines(text: str, shown: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{shown}, row {number}: not valid JSON: {reason(error)}", hint="write one JSON object on each line"
            ) from error


def _rows(records: Iterable[tuple[int, object]], columns: dict[str, str], shown: str) -> Rows:
    names = {role: columns.get(role, role) for role in ("path", "label")}
    near: dict[str, str] = {}
    numbers, paths, labels, splits, groups = list[int](), list[str](), list[str](), list[str](), list[str]()
    grouped, read = False, list[Mapping[str, object]]()
    for number, record in records:
        where = f"{shown}, row {number}"
        if not isinstance(record, dict):
            raise SourceError(f"{where}: not a JSON object", hint=_WANTED)
        if "split" not in names:
            names |= {role: optional(role, columns, record) for role in ("split", "group")}
            near = {role: names[role] for role in ("split", "group") if names[role] not in (role, columns.get(role))}
        needed = ("path", "label", *(role for role in ("split", "group") if role in columns))
        lacking = {role: names[role] for role in needed if names[role] not in record}
        if lacking:
            raise missing(where, lacking, list(record))
        read.append(record)
        numbers.append(number)
        paths.append(as_text(record[names["path"]], where, names["path"]))
        labels.append(as_text(record[names["label"]], where, names["label"]))
        splits.append(as_text(record.get(names["split"]), where, names["split"]))
        grouped |= names["group"] in record
        groups.append(as_text(record.get(names["group"]), where, names["group"]))
    taken = {names[role] for role in ("path", "label", "split") if role in names}
    beside = gathered({name: [record.get(name) for record in read] for name in _plain_names(read)}, taken)
    return Rows(numbers, paths, labels, splits, groups=groups if grouped else None, near=near, beside=beside)


def _plain_names(records: Iterable[Mapping[str, object]]) -> list[str]:
    """The names of values that are text, numbers or truth values in every record that has them."""
    names: dict[str, bool] = {}
    for record in records:
        for name, value in record.items():
            names[name] = names.get(name, True) and not isinstance(value, dict | list)
    return [name for name, plain in names.items() if plain]
