"""Manifests of names: items with features or probabilities of the user's, which need not be files."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence
from dataclasses import replace

from auditor.sources.manifest_columns import NoColumnError, Rows
from auditor.sources.manifest_formats import read_rows
from auditor.sources.root import ODD_PATH
from auditor.sources.tree import Tree
from auditor.system.text import display

NAMES = ("id", "item", "name", "file_name", "filename")
"""Columns that name the items where features are given for them and no column is called path."""


def read_named(file: str, columns: dict[str, str], shown: str) -> Rows:
    """Read a manifest of names. It needs no column of them: then the number of a row is its name.

    Raises
    ------
    SourceError
        As `manifest_formats.read_rows`, but for a missing column of paths.
    """
    try:
        return read_rows(file, columns, shown)
    except NoColumnError:
        if "path" in columns:
            raise
    for name in NAMES:
        with contextlib.suppress(NoColumnError):
            return read_rows(file, {**columns, "path": name}, shown)
    rows = read_rows(file, {**columns, "path": columns.get("label", "label")}, shown)
    digits = max(6, len(str(len(rows.paths))))
    return replace(rows, paths=[f"{place:0{digits}d}" for place in range(1, len(rows.paths) + 1)])


def named_files(root: Tree, paths: Sequence[str]) -> tuple[Callable[[str], bytes], bool]:
    """Reads the files below a root that some names belong to, where there are any; and whether each name has one.

    What reads raises `FileNotFoundError` for a name without a file, and for one that leads out of the root.
    """
    plain = [path for path in paths if not ODD_PATH.search(path)]
    there = set(plain) - root.problems(plain).keys()

    def read(path: str) -> bytes:
        if path not in there:
            raise FileNotFoundError(errno.ENOENT, "there is no file of this name", display(path))
        return root.read(path)

    return read, len(there) == len(set(paths))
