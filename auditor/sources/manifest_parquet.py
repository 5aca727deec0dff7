"""Reads a manifest in Parquet: columns of text, or the images themselves as Hugging Face's `datasets` stores them.

There an image is a struct of `bytes` and `path`, labels are numbers, and the schema's metadata name the classes.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.beside import gathered
from auditor.sources.headers import read_so
from auditor.sources.manifest_columns import (
    ROLES,
    NoColumnError,
    Rows,
    as_text,
    locate_columns,
    locate_group,
    near_names,
)
from auditor.system.files import reason
from auditor.system.text import display

_LONGEST_NAME = 255


@contextlib.contextmanager
def opened(data: bytes, shown: str) -> Iterator[Any]:
    """A Parquet file, as pyarrow's `ParquetFile`, that is read inside the block.

    Raises
    ------
    SourceError
        pyarrow is missing, or the file turns out to be damaged.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SourceError(
            f"reading {shown} needs pyarrow: {error}", hint="pip install 'auditor[parquet]', or save it as CSV"
        ) from error
    try:
        yield parquet.ParquetFile(arrow.BufferReader(data))
    except SourceError:
        raise
    except Exception as error:  # pyarrow raises many kinds for damaged files
        raise SourceError(
            f"{shown} is not a readable Parquet file: {_first_line(error)}", hint="write the file again"
        ) from error


def read_parquet(data: bytes, columns: dict[str, str], shown: str) -> Rows:
    """The rows of a Parquet file.

    Raises
    ------
    SourceError
        pyarrow is missing, the file is damaged, or a column is missing or of another kind.
    """
    with opened(data, shown) as file:
        chosen = choose(file.schema_arrow, columns, shown)
        wanted = list(dict.fromkeys((*chosen.names, *chosen.beside)))
        return rows_of_table(file.read(columns=wanted, use_threads=False), chosen, shown)


@dataclass(frozen=True)
class Chosen:
    """The columns of a table that are read.

    Attributes
    ----------
    names
        Those of path, label, and where there are any of split and group.
    split, group
        Whether there are such columns.
    classes
        The names of the classes by column.
    notes, near
        See `Rows`.
    beside
        Other columns of words, whole numbers or truth values.
    """

    names: tuple[str, ...]
    split: bool
    group: bool
    classes: Mapping[str, list[str]]
    notes: tuple[str, ...]
    near: Mapping[str, str]
    beside: tuple[str, ...] = ()


def choose(schema: Any, columns: dict[str, str], shown: str) -> Chosen:
    """The columns of a schema of pyarrow that a table of images needs.

    Raises
    ------
    SourceError
        A column is missing.
    """
    classes = class_names(schema.metadata)
    columns, notes = _usual(schema, classes, columns)
    located = _located(schema, columns, shown)
    group_at = locate_group(schema.names, columns, shown)
    near = near_names(schema.names, {"split": located[2], "group": group_at}, columns)
    names = tuple(schema.names[at] for at in (*located, group_at) if at is not None)
    roles = {schema.names[at] for at in located if at is not None}
    beside = tuple(
        field.name
        for field in schema
        if field.name not in roles and schema.names.count(field.name) == 1 and _is_plain_type(field.type)
    )
    return Chosen(names, located[2] is not None, group_at is not None, classes, notes, near, beside)


def rows_of_table(table: Any, chosen: Chosen, shown: str) -> Rows:
    """The rows of a table of pyarrow that has the chosen columns.

    Raises
    ------
    SourceError
        A column is of another kind.
    """
    images = _Images.of(table.column(chosen.names[0]))
    lists = [table.column(name).to_pylist() for name in (chosen.names if images is None else chosen.names[1:])]
    if images is not None:
        lists.insert(0, images.names)
    texts = [
        [
            value if isinstance(value, str) else as_text(value, f"{shown}, row {number}", name)
            for number, value in enumerate(values, start=1)
        ]
        for name, values in zip(chosen.names, lists, strict=True)
    ]
    labels = named(texts[1], chosen.classes.get(chosen.names[1]))
    splits = texts[2] if chosen.split else [""] * len(labels)
    groups = texts[-1] if chosen.group else None
    read = None if images is None else images.read
    numbers = range(1, len(labels) + 1)
    others = {name: table.column(name).to_pylist() for name in chosen.beside if name in table.column_names}
    beside = gathered({name: named(_words(values), chosen.classes.get(name)) for name, values in others.items()}, ())
    return Rows(numbers, texts[0], labels, splits, read, chosen.notes, groups=groups, near=chosen.near, beside=beside)


def _words(values: Sequence[object]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def _is_plain_type(kind: Any) -> bool:
    """Whether values of a type of pyarrow can name groups: words, whole numbers, truth values."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(kind):
        return _is_plain_type(kind.value_type)
    tests = (arrow.types.is_string, arrow.types.is_large_string, arrow.types.is_integer, arrow.types.is_boolean)
    return any(test(kind) for test in tests)


def _located(schema: Any, columns: dict[str, str], shown: str) -> tuple[int, int, int | None]:
    """See `locate_columns`. Of two columns with images none can be guessed."""
    try:
        return locate_columns(schema.names, columns, shown)
    except NoColumnError as error:
        if sum(_holds_images(field.type) for field in schema) > 1:
            error.present = ()
        raise


class _Images:
    """Images inside a column. Each has a name: its own path if all rows have a plain one, otherwise its row."""

    def __init__(self, column: Any, names: list[str]) -> None:
        self._column = column
        self.names = names
        self._rows = {name: row for row, name in enumerate(names)}

    @classmethod
    def of(cls, column: Any) -> _Images | None:
        """The images of a column, or None if it holds none."""
        if not _holds_images(column.type):
            return None
        digits = max(5, len(str(len(column))))
        names = [f"{row:0{digits}d}" for row in range(1, len(column) + 1)]
        if hasattr(column.type, "num_fields") and column.type.num_fields and column.type.get_field_index("path") >= 0:
            own = [(value.as_py() or {}).get("path") for value in _field(column, "path")]
            if all(map(_is_plain, own)) and len(set(own)) == len(own):
                names = list(map(str, own))
        return cls(column, names)

    def read(self, name: str) -> bytes:
        """The bytes of an image file."""
        row = self._rows.get(name)
        value = None if row is None else self._column[row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise FileNotFoundError(errno.ENOENT, "the table has no image there", display(name))
        return data


def _field(column: Any, name: str) -> Any:
    """A struct column without its other fields, as scalars. The image bytes are not copied."""
    import pyarrow as arrow

    for chunk in column.chunks:
        part = arrow.StructArray.from_arrays([chunk.field(name)], [name])
        yield from part


def _is_plain(path: object) -> bool:
    """Whether a path can name an image everywhere: relative, no steps upwards, no empty part."""
    if not isinstance(path, str) or not path or len(path) > _LONGEST_NAME or "\\" in path or "\0" in path:
        return False
    return ":" not in path.split("/")[0] and not {"", ".", ".."} & set(path.split("/"))


def _holds_images(kind: Any) -> bool:
    import pyarrow as arrow

    if arrow.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _holds_images(kind.field(at).type)
    return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))


def _usual(
    schema: Any, classes: dict[str, list[str]], columns: dict[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The columns, and those that only one column can be for: the only one with images, the only one with classes."""
    images = [field.name for field in schema if _holds_images(field.type) and schema.names.count(field.name) == 1]
    found = {"path": images, "label": [name for name in classes if name in schema.names]}
    taken = {
        role: names[0]
        for role, names in found.items()
        if role not in columns and role not in schema.names and len(names) == 1
    }
    assert set(taken) <= set(ROLES)
    return {**columns, **taken}, (read_so(taken),) if taken else ()


def class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of the classes by column, as `datasets` keeps them in the metadata. Empty where there are none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: feature.get("names") for column, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {
        column: names
        for column, names in found.items()
        if isinstance(names, list) and names and all(isinstance(name, str) and name.strip() for name in names)
    }


def named(labels: list[str], names: list[str] | None) -> list[str]:
    """Numbers of classes as names. -1 is no label there. Other texts stay as they are."""
    if names is None:
        return labels
    by_number = {str(number): name for number, name in enumerate(names)} | {"-1": ""}
    return [by_number.get(label, label) for label in labels]


def _first_line(error: BaseException) -> str:
    lines = reason(error).splitlines()
    return display(lines[0][:200]) if lines else type(error).__name__
