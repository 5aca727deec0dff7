"""Labels in a file beside the images: `metadata.csv` as Hugging Face's imagefolder has it, or the only manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from auditor.errors import SourceError
from auditor.sources.base import Columns, ImageTable, make_table, split_name
from auditor.sources.beside import joined, with_beside
from auditor.sources.manifest_columns import NoColumnError, Rows, nearly
from auditor.sources.manifest_formats import READERS, rows_of
from auditor.sources.manifest_rows import count, normalise_paths, normalise_splits, some, without_repeats
from auditor.sources.tree import Tree, join
from auditor.system.files import reason
from auditor.system.text import display

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Names of the file that imagefolder reads. It lies beside the images, or in the folder of each split."""

_PATH = "file_name"
"""Its column of paths. They begin in its own folder."""


def metadata_table(tree: Tree, spec: str) -> ImageTable | None:
    """The table of a tree with such files. None where there is none that has a column of labels.

    Raises
    ------
    SourceError
        A file cannot be read, or names images that are not there.
    """
    places = _places(tree)
    parts = [rows for place in places if (rows := _rows(tree, place, spec)) is not None]
    if not parts:
        return None
    said = f"The labels were read from {display(places[0])}" + (f" and {len(places) - 1} more" * (len(places) > 1))
    return tree_rows_table(tree, _joined(parts), spec, f"{said}.")


def only_manifest(tree: Tree) -> str:
    """The only manifest in the top folder of a tree. Empty where there is none, or more than one."""
    known = READERS.keys() - {".xml"}
    found = [name for name in tree.entries("", []).files if os.path.splitext(name)[1].lower() in known]
    return found[0] if len(found) == 1 else ""


def manifest_table(tree: Tree, path: str, spec: str) -> ImageTable:
    """The table of a manifest inside a tree, whose paths begin at the tree's top.

    Raises
    ------
    SourceError
        It cannot be read, or names images that are not there.
    """
    rows = _near_rows(_bytes(tree, path, spec), path, f"{display(path)} in {display(spec)}", {})
    return tree_rows_table(tree, rows, spec, f"The labels were read from {display(path)}.")


def tree_rows_table(tree: Tree, rows: Rows, spec: str, note: str) -> ImageTable:
    """The table of rows whose paths begin at the tree's top.

    Raises
    ------
    SourceError
        A row names an image that is not there, or a split that is none.
    """
    shown = display(spec)
    rows = replace(rows, places=range(len(rows.paths)))
    n_places = len(rows.paths)
    rows, skipped = without_repeats(normalise_splits(normalise_paths(rows, shown, tree), shown))
    problems = tree.problems(rows.paths)
    if problems:
        named = [f"row {n} ({display(path)[:80]}): {problems[path]}" for n, path in _bad(rows, problems)]
        raise SourceError(
            f"{shown}: {count(len(named), 'image')} cannot be used: {some(named)}",
            hint="correct or remove the rows; paths begin where the file of labels lies",
        )
    columns = Columns(rows.paths, rows.labels, rows.splits, rows.groups, rows.places, n_places)
    table = make_table(display(tree.title), shown, columns, read=tree.read, locate=tree.locate, skipped=skipped)
    return with_beside(replace(table, notes=(note, *rows.notes, *table.notes)), rows.beside)


def _places(tree: Tree) -> list[str]:
    """The metadata files: at the top, or else in the folders of splits."""
    top = tree.entries("", [])
    here = [name for name in METADATA if name in top.files][:1]
    if here:
        return here
    found = []
    for folder in (folder for folder in (*top.folders, *top.links) if split_name(folder)):
        files = tree.entries(folder, []).files
        found += [join(folder, name) for name in METADATA if name in files][:1]
    return found


def _rows(tree: Tree, place: str, spec: str) -> Rows | None:
    """The rows of a metadata file with paths from the tree's top. None where it has no column of labels."""
    shown = f"{display(place)} in {display(spec)}"
    folder, _, _ = place.rpartition("/")
    try:
        rows = _near_rows(_bytes(tree, place, spec), place, shown, {"path": _PATH})
    except NoColumnError:
        return None
    splits = rows.splits if any(rows.splits) else [split_name(folder) or ""] * len(rows.paths)
    return replace(rows, paths=[join(folder, path) for path in rows.paths], splits=splits)


def _near_rows(data: bytes, file: str, shown: str, columns: dict[str, str]) -> Rows:
    """The rows, with near names of columns where the roles' own are missing."""
    try:
        return rows_of(data, file, columns, shown)
    except NoColumnError as error:
        return nearly(lambda chosen: rows_of(data, file, chosen, shown), columns, error)


def _bytes(tree: Tree, path: str, spec: str) -> bytes:
    try:
        return tree.read(path)
    except OSError as error:
        raise SourceError(
            f"cannot read {display(path)} in {display(spec)}: {reason(error)}", hint="check the file"
        ) from error


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    grouped = all(part.groups is not None for part in parts)
    return Rows(
        [number for part in parts for number in part.numbers],
        [path for part in parts for path in part.paths],
        [label for part in parts for label in part.labels],
        [split for part in parts for split in part.splits],
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        groups=[group for part in parts for group in part.groups or ()] if grouped else None,
        beside=joined([part.beside for part in parts]),
    )


def _bad(rows: Rows, problems: Mapping[str, str]) -> list[tuple[int, str]]:
    return [(number, path) for number, path in zip(rows.numbers, rows.paths, strict=True) if path in problems]
