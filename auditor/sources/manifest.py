"""The source for a manifest: a CSV, JSON lines or Parquet file with the columns path, label and, if wanted, split."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from auditor.errors import SourceError
from auditor.sources.amended import Origin
from auditor.sources.base import Columns, ImageTable, make_table
from auditor.sources.beside import with_beside
from auditor.sources.groups import as_families
from auditor.sources.headers import understood
from auditor.sources.item_columns import Chosen
from auditor.sources.items import NEEDED, open_items
from auditor.sources.manifest_columns import NoColumnError, Rows, nearly
from auditor.sources.manifest_formats import READERS, read_rows, suffix_of
from auditor.sources.manifest_rows import (
    SHOWN,
    check_text,
    count,
    elsewhere,
    normalise_paths,
    normalise_splits,
    some,
    without_repeats,
)
from auditor.sources.manifest_spec import AS_NAMED, Layout, chosen_columns, parse_spec, told_kind
from auditor.sources.missing import Finder
from auditor.sources.named import named_files, read_named
from auditor.sources.records import read_records
from auditor.sources.remote import is_address
from auditor.sources.remote.place import Prefix, WebPlace, in_store, place_at
from auditor.sources.root import Root
from auditor.sources.spelling import same
from auditor.sources.tree import Tree
from auditor.system.text import display

__all__ = ["AS_NAMED", "Layout", "ManifestSource", "parse_spec"]


class ManifestSource:
    """SOURCE is `FILE` or `FILE::label=COLUMN,path=COLUMN,split=COLUMN`. Paths are relative to the file's folder, or to
    another root that the user names. A manifest can also hold its items itself: texts, or the rows of a table.

    Some faults are errors that name file and row: an image that is missing, a path that leads out of the folder, a row
    of another length, an unknown split.

    Some rows are left out with their reason: a row without a label, a row that repeats another, and all rows of a path
    with several labels or several splits.
    """

    name = "manifest"
    looks_for = (
        "a manifest (.csv, .tsv, .json, .jsonl, .parquet or .xlsx, also .gz) with the columns path, label, split"
    )

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE has the ending of a manifest and is no folder."""
        file, _ = parse_spec(spec)
        return suffix_of(file) in READERS and not os.path.isdir(file)

    def open(self, spec: str, *, allow_outside: bool = False, layout: Layout = AS_NAMED) -> ImageTable:
        """List the manifest's rows.

        Raises
        ------
        SourceError
            See the class. Or the manifest cannot be read or lacks a column, or pyarrow is missing for a Parquet file.
        """
        file, columns = chosen_columns(spec, layout)
        shown = display(file)
        rows = _image_rows(file, columns, layout)
        if isinstance(rows, ImageTable):
            return rows
        rows = with_families(rows, named="group" in columns)
        table = table_of_rows(
            rows, shown, layout.root or layout.begins or os.path.dirname(file) or ".", layout, allow_outside
        )
        assert table.places is not None
        items = zip(table.frame["path"], table.places.tolist(), strict=True)
        where = {path: (rows.numbers[place], rows.labels[place]) for path, place in items}
        label = rows.columns.get("label", columns.get("label", "label"))
        return replace(table, origin=Origin(file, label, where))


def table_of_rows(rows: Rows, shown: str, begins: str, layout: Layout, allow_outside: bool) -> ImageTable:
    """The table of rows that name images, or items with features.

    Parameters
    ----------
    shown
        What the rows come from, for messages.
    begins
        The folder where their paths begin.

    Raises
    ------
    SourceError
        See `ManifestSource`.
    """
    rows = replace(rows, places=range(len(rows.paths)))
    n_places = len(rows.paths)
    root = _tree(begins, rows, layout, allow_outside)
    if layout.by_name:
        check_text(rows, shown)
    elif rows.read is None:
        rows = normalise_paths(rows, shown, root)
    rows = normalise_splits(rows, shown)
    rows, skipped = without_repeats(rows)
    notes = rows.notes
    kind, read = "image", rows.read or root.read
    if layout.by_name and rows.read is None:
        read, whole = named_files(root, rows.paths)
        kind = "image" if whole else "features"
    if rows.read is None and not layout.by_name:
        rows, more = _as_on_disk(root, rows, shown) if isinstance(root, Root) else (_in_store(root, rows, shown), ())
        notes += more
        if more:
            rows, repeats = without_repeats(rows)
            skipped += repeats
    table = make_table(
        os.path.basename(shown),
        display(begins),
        Columns(rows.paths, rows.labels, rows.splits, rows.groups, rows.places, n_places),
        read=read,
        locate=root.locate if rows.read is None and not layout.by_name else None,
        skipped=skipped,
    )
    return in_store(with_beside(replace(table, notes=(*notes, *table.notes), kind=kind), rows.beside), root)


def _tree(begins: str, rows: Rows, layout: Layout, allow_outside: bool) -> Root | Prefix | WebPlace:
    """The place where paths begin. Rows that hold the images themselves need none."""
    if is_address(begins):
        return place_at(begins, layout.reach) if rows.read is None else Root(".")
    return Root(begins, allow_outside=allow_outside)


def _in_store(root: Tree, rows: Rows, shown: str) -> Rows:
    """The rows, whose images all lie in a store.

    Raises
    ------
    SourceError
        Some do not.
    """
    problems = root.problems(rows.paths)
    bad = [(number, path) for number, path in zip(rows.numbers, rows.paths, strict=True) if path in problems]
    if bad:
        named = some([f"row {number} ({display(path)[:80]}): {problems[path]}" for number, path in bad])
        advice = next(filter(None, (elsewhere(path) for _, path in bad[:SHOWN])), "")
        raise SourceError(
            f"{shown}: {count(len(bad), 'image')} cannot be used: {named}",
            hint=advice or "paths begin where the manifest lies, or at --root; correct or remove the rows",
        )
    return rows


def with_families(rows: Rows, *, named: bool) -> Rows:
    """The rows without groups that can be no families, and a note about them."""
    groups, note = as_families(rows.groups, named=named)
    return replace(rows, groups=groups, notes=(*rows.notes, *filter(None, [note])))


def _image_rows(file: str, columns: dict[str, str], layout: Layout) -> Rows | ImageTable:
    """The rows of a manifest of images or names; its whole table, where the items stand in the manifest itself.

    Raises
    ------
    SourceError
        The manifest cannot be read, or neither its columns nor the user's words tell what its rows are.
    """
    kind, shown = told_kind(columns, layout), display(file)
    if kind in ("text", "table"):
        return _items(file, columns, kind, layout)
    try:
        return read_rows(file, columns, shown)
    except NoColumnError as error:
        if layout.kind == "image":
            return nearly(lambda chosen: read_rows(file, chosen, shown), columns, error)
        with contextlib.suppress(NoColumnError):
            read_records(file, shown, Chosen(columns, NEEDED["text"], shown).fits)
            kind = "text"
        if not kind and layout.label:
            kind = "table"
        if kind in ("text", "table"):
            return _items(file, columns, kind, layout)
        if layout.by_name:
            with contextlib.suppress(NoColumnError):
                return read_named(file, columns, shown)
        with contextlib.suppress(NoColumnError):
            return nearly(lambda chosen: read_rows(file, chosen, shown), columns, error)
        if understood(error.present, columns, NEEDED["text"])[1]:
            return _items(file, columns, "text", layout)
        hint = f"{error.hint}; for a table whose rows are the items, say --kind table --label COLUMN"
        raise NoColumnError(error.message, hint=hint) from None


def _items(file: str, columns: Mapping[str, str], kind: str, layout: Layout) -> ImageTable:
    """The table of a manifest of texts or rows. It says how it was understood, where the user did not."""
    table = open_items(file, columns, kind, display(file), display(os.path.dirname(file) or "."))
    if layout.root:
        raise SourceError(
            f"the items of {display(file)} stand in the file itself, so they have no root", hint="leave out --root"
        )
    if layout.kind:
        return table
    what = "texts: a column holds them" if kind == "text" else "a table: each row is an item"
    note = f"The manifest was read as {what}, and no column is called path. --kind says otherwise."
    return replace(table, notes=(note, *table.notes))


def _as_on_disk(root: Root, rows: Rows, shown: str) -> tuple[Rows, tuple[str, ...]]:
    """The rows with each path as the disk spells it, and what was changed.

    Raises
    ------
    SourceError
        Images are missing, are not files, or lie outside the root.
    """
    notes: list[str] = []
    problems = root.problems(rows.paths)
    if problems:
        finder = Finder(root)
        spelled = {path: finder.spelled(path) for path in problems}
        found = {path: name for path, name in spelled.items() if name is not None and name != path}
        for path in root.problems(found.values()):
            found = {old: new for old, new in found.items() if new != path}
        left = {path: problem for path, problem in problems.items() if path not in found}
        if left:
            raise _unusable(finder, left, rows, shown)
        rows = replace(rows, paths=[found.get(path, path) for path in rows.paths])
        old, new = next(iter(found.items()))
        notes.append(
            f"{count(len(found), 'path')} of the manifest {'is' if len(found) == 1 else 'are'} spelled in another way "
            f"on the disk, in Unicode form, blanks or slashes, such as {old[:80]!r} for {new[:80]!r}. These files were "
            "read."
        )
    same_file = _one_file(root, rows.paths)
    if same_file:
        rows = replace(rows, paths=[same_file.get(path, path) for path in rows.paths])
        old, new = next(iter(same_file.items()))
        notes.append(
            f"{count(len(same_file), 'path')} of the manifest {'leads' if len(same_file) == 1 else 'lead'} to a file "
            f"that it names in another case too, such as {old[:80]!r} and {new[:80]!r}. Each file counts once."
        )
    return rows, tuple(notes)


def _one_file(root: Root, paths: Sequence[str]) -> dict[str, str]:
    """Paths that differ in case or Unicode form only and lead to one file, as disks that ignore case have them."""
    if "".join(paths).isascii() and len({path.lower() for path in paths}) == len(set(paths)):
        return {}
    groups: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        groups[same(path).casefold()].append(path)
    found: dict[str, str] = {}
    for group in groups.values():
        first: dict[tuple[int, int], str] = {}
        for path in group if len(group) > 1 else ():
            with contextlib.suppress(OSError):
                status = os.stat(root.absolute(path))
                kept = first.setdefault((status.st_dev, status.st_ino), path)
                if kept != path:
                    found[path] = kept
    return found


def _unusable(finder: Finder, problems: Mapping[str, str], rows: Rows, shown: str) -> SourceError:
    bad = [(number, path) for number, path in zip(rows.numbers, rows.paths, strict=True) if path in problems]
    named = some([f"row {number} ({path[:80]}): {problems[path]}" for number, path in bad])
    outside = any("outside the root" in problem for problem in problems.values())
    advice = next(filter(None, (elsewhere(path) or finder.advice(path) for _, path in bad[:SHOWN])), "")
    hint = "paths begin in the manifest's folder, or in --root, and use forward slashes; correct or remove the rows"
    return SourceError(
        f"{shown}: {count(len(bad), 'image')} cannot be used: {named}",
        hint=(display(advice) or hint) + (", or allow files outside it with --allow-outside" if outside else ""),
    )
