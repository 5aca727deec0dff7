"""The source for a data set as Hugging Face's `datasets` saves it to the disk: Arrow files with the images inside.

They are mapped into memory, not read: an image costs memory while it is looked at. The package `datasets` is not
needed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, split_name
from auditor.sources.manifest import table_of_rows
from auditor.sources.manifest_columns import Rows
from auditor.sources.manifest_parquet import choose, rows_of_table
from auditor.sources.manifest_spec import Layout
from auditor.sources.root import Root
from auditor.sources.tree import join
from auditor.system.files import reason
from auditor.system.text import display

_PARTS, _STATE = "dataset_dict.json", "state.json"
"""The files that name the splits of a folder, and the Arrow files of a split."""

_AGAIN = "save it again: dataset.save_to_disk(FOLDER)"


class SavedSource:
    """SOURCE is a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""

    name = "saved"
    looks_for = "a folder that Hugging Face's save_to_disk wrote, with images and a column of classes"

    def accepts(self, spec: str) -> bool:
        """Whether a folder has the files that name the parts of such a data set."""
        if not os.path.isdir(spec):
            return False
        inside = (_STATE, "dataset_info.json")
        whole = all(os.path.isfile(os.path.join(spec, name)) for name in inside)
        return whole or os.path.isfile(os.path.join(spec, _PARTS))

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the images of all splits.

        Raises
        ------
        SourceError
            pyarrow is missing, a file is missing or damaged, or there are no images or no classes.
        """
        root = Root(spec, allow_outside=allow_outside)
        splits = [""]
        if os.path.isfile(root.absolute(_PARTS)):
            splits = _texts(_document(root, _PARTS).get("splits"), _PARTS)
        parts = {split: _rows(root, split, f"{display(spec)}{'/' * bool(split)}{display(split)}") for split in splits}
        table = table_of_rows(_joined(parts), display(spec), spec, Layout(), allow_outside)
        title = os.path.basename(os.path.abspath(spec))
        return replace(table, name=display(title), root=display(spec))


def _document(root: Root, path: str) -> Mapping[str, Any]:
    try:
        value = json.loads(root.read(path))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read {display(path)}: {display(reason(error))[:120]}", hint=_AGAIN) from error
    return value if isinstance(value, dict) else {}


def _texts(value: object, path: str) -> list[str]:
    """Names in a folder: no paths."""
    names = value if isinstance(value, list) else []
    for name in names:
        if not isinstance(name, str) or not name or name in (".", "..") or {"/", "\\", "\0"} & set(name):
            raise SourceError(f"{display(path)} names something that is no file beside it", hint=_AGAIN)
    if not names:
        raise SourceError(f"{display(path)} names no part of the data set", hint=_AGAIN)
    return [str(name) for name in names]


def _rows(root: Root, split: str, shown: str) -> Rows:
    """The rows of a split. Its images stay where they are."""
    state = join(split, _STATE)
    listed = _document(root, state).get("_data_files")
    files = [entry.get("filename") if isinstance(entry, dict) else None for entry in listed or ()]
    paths = [join(split, name) for name in _texts(files, state)]
    problems = root.problems(paths)
    if problems:
        path, problem = next(iter(problems.items()))
        raise SourceError(f"{display(path)} cannot be used: {problem}", hint=_AGAIN)
    with _said(shown):
        import pyarrow as arrow

        tables = [_mapped(root.absolute(path)) for path in paths]
        chosen = choose(tables[0].schema, {}, shown)
        table = arrow.concat_tables([part.select(list(chosen.names)) for part in tables])
        table.validate(full=True)
    rows = rows_of_table(table, chosen, shown)
    if rows.read is None:
        raise SourceError(
            f"{shown} holds no images, but names of files", hint="save its columns as a manifest of path and label"
        )
    return rows


@contextlib.contextmanager
def _said(shown: str) -> Iterator[None]:
    """Errors of pyarrow in a sentence."""
    try:
        yield
    except ImportError as error:
        raise SourceError(f"reading {shown} needs pyarrow: {error}", hint="pip install 'auditor[parquet]'") from error
    except SourceError:
        raise
    except Exception as error:  # pyarrow raises many kinds for damaged files
        said = reason(error).splitlines()
        raise SourceError(
            f"{shown} is damaged: {display(said[0][:200]) if said else type(error).__name__}", hint=_AGAIN
        ) from error


def _mapped(file: str) -> Any:
    """A table whose values lie in a file."""
    import pyarrow as arrow

    source = arrow.memory_map(file)
    try:
        return arrow.ipc.open_stream(source).read_all()
    except arrow.ArrowInvalid:
        source.seek(0)
        return arrow.ipc.open_file(source).read_all()


@dataclass(frozen=True)
class _Reader:
    """Gives the bytes of an image by the split and the name in its path."""

    parts: Mapping[str, Rows]

    def __call__(self, path: str) -> bytes:
        split, _, name = path.partition("/")
        rows = self.parts.get("") or self.parts.get(split)
        if rows is None or rows.read is None:
            raise FileNotFoundError(errno.ENOENT, "the data set has no such image", path)
        return rows.read(path if "" in self.parts else name)


def _joined(parts: Mapping[str, Rows]) -> Rows:
    """The rows of all splits. Where there are several, a path begins with its split."""
    paths, labels, splits = list[str](), list[str](), list[str]()
    for split, rows in parts.items():
        paths += [join(split, path) for path in rows.paths]
        labels += rows.labels
        splits += [split_name(split) or ""] * len(rows.paths) if split else list(rows.splits)
    first = next(iter(parts.values()))
    groups: Sequence[str] | None = None
    if all(rows.groups is not None for rows in parts.values()):
        groups = [group for rows in parts.values() for group in rows.groups or ()]
    return Rows(range(1, len(paths) + 1), paths, labels, splits, read=_Reader(parts), notes=first.notes, groups=groups)
