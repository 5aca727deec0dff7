"""What is checked of a manifest's rows before their files are looked for: paths, splits, labels, repeats."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.base import Skipped, split_name
from auditor.sources.headers import read_so
from auditor.sources.manifest_columns import Rows
from auditor.sources.no_label import is_error_value
from auditor.sources.remote.address import is_address
from auditor.sources.root import ODD_PATH
from auditor.sources.spelling import merged
from auditor.sources.tree import Tree, is_utf8
from auditor.system.text import display, short

SHOWN = 3
"""How many bad rows an error names."""

_ADDRESS = re.compile(r"file:(?://(?:localhost)?)?(?=/)", re.IGNORECASE)
"""What stands before the path in the address of a file on this machine."""

_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+")
"""What stands before a path on another machine, with the slashes that are left when paths are put into one form."""


def normalise_paths(rows: Rows, shown: str, root: Tree) -> Rows:
    """The rows with one spelling for each path. Paths that lead out of the folder are refused unless allowed.

    An absolute path that begins with the folder is made relative to it. `file://` stands for an absolute path.
    """
    check_text(rows, shown)
    paths = list(rows.paths)
    outside: list[str] = []
    for index, written in enumerate(paths):
        path = _of_address(written)
        if (path.startswith("/") and not root.allow_outside) or is_address(path):
            path = root.below(path)
        paths[index] = path
        if not ODD_PATH.search(path):
            continue
        where = f"row {rows.numbers[index]}"
        if not path.strip() or "\0" in path or path.endswith("/"):
            raise SourceError(
                f"{shown}, {where}: {path[:80]!r} is no file path", hint="each row needs the path of an image"
            )
        absolute = path.startswith(("/", "\\")) or path[1:3] in (":/", ":\\")
        parts = path.split("/")
        if absolute or ".." in parts:
            outside.append(f"{where} ({display(path)[:80]})")
        kept = "/".join(part for part in parts if part not in ("", "."))
        paths[index] = "/" + kept if path.startswith("/") else kept
    if outside and not root.allow_outside:
        raise SourceError(
            f"{shown}: {count(len(outside), 'path')} {'is' if len(outside) == 1 else 'are'} absolute or "
            f"{'leads' if len(outside) == 1 else 'lead'} upwards: {some(outside)}",
            hint="make them relative to the manifest's folder, or allow them with --allow-outside",
        )
    return replace(rows, paths=paths)


def _of_address(path: str) -> str:
    """The path that a `file://` address stands for. Everything else as it is."""
    found = _ADDRESS.match(path)
    return path if found is None else unquote(path[found.end() :])


def check_text(rows: Rows, shown: str) -> None:
    """Refuse half characters. JSON escapes can hold them, and no file can be written with them."""
    for texts in (rows.paths, rows.labels, rows.splits, rows.groups or ()):
        if is_utf8("".join(texts)):
            continue
        bad = next(number for number, text in zip(rows.numbers, texts, strict=True) if not is_utf8(text))
        raise SourceError(f"{shown}, row {bad}: holds half a surrogate pair", hint="write the row again as UTF-8")


def normalise_splits(rows: Rows, shown: str) -> Rows:
    """The rows with one spelling for each split. A word that is not a split is refused."""
    known = {text: split_name(text) for text in set(rows.splits)}
    if None in known.values() and "split" in rows.near:
        name = short(rows.near["split"])
        note = f"The column '{name}' holds words that are no splits, so it was left aside."
        return replace(rows, splits=[""] * len(rows.splits), notes=(*rows.notes, note))
    if None in known.values():
        number, text = next((n, t) for n, t in zip(rows.numbers, rows.splits, strict=True) if known[t] is None)
        raise SourceError(
            f"{shown}, row {number}: '{short(text)}' is not a split",
            hint="use train, val, test or nothing; FILE::split=COLUMN names another column",
        )
    notes = (read_so(rows.near),) if rows.near else ()
    return replace(rows, splits=[known[text] or "" for text in rows.splits], notes=(*rows.notes, *notes))


def without_repeats(rows: Rows) -> tuple[Rows, list[Skipped]]:
    """One row with one label for each image, and why the other rows are left out."""
    skipped: list[Skipped] = []
    keep = np.ones(len(rows.paths), dtype=bool)
    errors = {label for label in set(rows.labels) if is_error_value(label)}
    for index, label in enumerate(rows.labels):
        if not label or label.isspace() or label in errors:
            keep[index] = False
            why = f": '{label.strip()}' is a spreadsheet's error" if label in errors else ""
            skipped.append(Skipped(rows.paths[index], f"row {rows.numbers[index]} has no label{why}"))
    repeated: dict[str, list[int]] = defaultdict(list)
    spellings, _ = merged(rows.labels)
    paths = pd.Series(rows.paths, dtype=object)
    for index in np.flatnonzero(keep & paths.where(keep).duplicated(keep=False).to_numpy()).tolist():
        repeated[rows.paths[index]].append(index)
    for path, indices in repeated.items():
        contradiction = _contradiction(rows, indices, spellings)
        keep[indices if contradiction else indices[1:]] = False
        first, *others = (rows.numbers[index] for index in indices)
        repeats = f"{_rows(others)} repeat{'s' * (len(others) == 1)} row {first}"
        skipped.append(Skipped(path, contradiction or repeats))
    if skipped:
        rows = replace(
            rows,
            numbers=list(itertools.compress(rows.numbers, keep)),
            paths=list(itertools.compress(rows.paths, keep)),
            labels=list(itertools.compress(rows.labels, keep)),
            splits=list(itertools.compress(rows.splits, keep)),
            places=list(itertools.compress(rows.places, keep)),
            groups=None if rows.groups is None else list(itertools.compress(rows.groups, keep)),
        )
    return rows, skipped


def _contradiction(rows: Rows, indices: Sequence[int], spellings: Mapping[str, str]) -> str:
    """How the rows of one path contradict each other. Empty if they agree. Two spellings of one label agree."""
    for name, column in (("label", rows.labels), ("split", rows.splits)):
        first: dict[str, int] = {}
        for index in indices:
            first.setdefault(spellings.get(column[index], column[index]), rows.numbers[index])
        if len(first) > 1:
            said = some([f"'{short(value)}' in row {number}" for value, number in first.items()])
            return f"the manifest gives several {name}s: {said}"
    return ""


def elsewhere(path: str) -> str:
    """What to do with the address of a file on another machine. Empty for a path on this one."""
    if _ELSEWHERE.match(path) is None:
        return ""
    return (
        "addresses in a manifest are not fetched: say where all of them begin, such as --root s3://BUCKET/PREFIX, or "
        "copy the files here and write their paths"
    )


def some(items: Sequence[str]) -> str:
    return "; ".join(items[:SHOWN]) + (f"; and {len(items) - SHOWN} more" if len(items) > SHOWN else "")


def _rows(numbers: Sequence[int]) -> str:
    return (
        ("row " if len(numbers) == 1 else "rows ")
        + ", ".join(map(str, numbers[:SHOWN]))
        + (" and more" if len(numbers) > SHOWN else "")
    )


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
