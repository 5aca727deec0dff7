"""Writes the cleaned data set: images beside a manifest, a manifest in its own format, or a list of names.

Texts, rows, and items for which a model of the user's spoke stand in a manifest. That manifest is written again with
other labels, and everything else of it stays. Items that a program held are named.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.data.reopening import Opening
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.cleaned import CleanedImage, place, read_again, target_names, write_manifest
from auditor.sources.base import IN_MEMORY, ImageTable
from auditor.sources.manifest import parse_spec
from auditor.sources.remote import Reach
from auditor.sources.writable import Annotations, Manifest
from auditor.system import files
from auditor.system.arrays import Array

_SAID_AGAIN = ("kind", "label", "columns", "classes", "features", "probabilities")
"""Settings without which a manifest in its own format would be read in another way."""


@dataclass(frozen=True)
class Written:
    """A cleaned data set in a folder.

    Attributes
    ----------
    targets
        The path by which the next audit knows each item, in the order of the items.
    name
        The manifest; empty where the folder itself is the data set.
    n_files
        How many files there are.
    choice, options
        What follows the manifest's name in SOURCE, and options that open it as it was opened for the audit.
    """

    targets: list[str]
    name: str
    n_files: int
    choice: str = ""
    options: str = ""


def held_by_a_program(result: AuditResult) -> bool:
    """Whether the data set was a program's own objects, which cannot be opened again."""
    return result.summary["dataset"]["source"] == IN_MEMORY


def write_cleaned(
    folder: Path, result: AuditResult, table: ImageTable | None, images: Sequence[CleanedImage], format: str
) -> Written:
    """Write the items that stay.

    Parameters
    ----------
    table
        The data set; None where a program held it.
    images
        The items that stay, sorted by path.
    format
        "manifest" or "folder".

    Raises
    ------
    DecisionsError
        The format does not suit these items, or the data set is not the one that was audited.
    """
    own = table is not None and table.origin is not None and (table.kind in ("text", "table") or bool(table.given))
    if table is not None and table.boxes is not None:
        return _as_boxes(folder, result, table, table.boxes, images, format)
    if format == "folder" and (own or table is None or table.kind != "image"):
        raise DecisionsError(
            f"only images can be written as a folder, and this audit is of {result.noun.many}",
            hint="leave out --format",
        )
    if table is None:
        targets = [image.path for image in images]
        return Written(targets, write_manifest(folder, images, targets), 1)
    if own:
        assert table.origin is not None
        return _in_own_format(folder, result, table, table.origin, images)
    if table.kind in ("text", "table"):
        return _as_lines(folder, table, images)
    if table.groups is not None:
        groups = dict(zip(table.frame["path"], table.groups, strict=True))
        images = [replace(image, group=groups.get(image.path, "")) for image in images]
    if table.address and format == "manifest":
        targets = [image.path for image in images]  # objects of a store stay there
        options = f" {shlex.join(['--root', table.address])}"
        return Written(targets, write_manifest(folder, images, targets), 1, options=options)
    targets = target_names(images, format)
    for image, target in zip(images, targets, strict=True):
        place(table, image.path, folder / target)
    name = write_manifest(folder, images, targets) if format == "manifest" else ""
    return Written(targets, name, len(images) + bool(name))


def _as_lines(folder: Path, table: ImageTable, images: Sequence[CleanedImage]) -> Written:
    """Texts or rows that have no file of their own, as JSON lines. A row's cells stand beside its label."""
    lines = []
    for image in images:
        content = read_again(table, image.path).decode("utf-8")
        cells = {"text": content} if table.kind == "text" else json.loads(content)
        lines.append(json.dumps({**cells, "id": image.path, "label": image.label, "split": image.split}) + "\n")
    files.write_text(folder / "cleaned.jsonl", "".join(lines))
    return Written([image.path for image in images], "cleaned.jsonl", 1, options=f" --kind {table.kind}")


def _in_own_format(
    folder: Path, result: AuditResult, table: ImageTable, origin: Manifest, images: Sequence[CleanedImage]
) -> Written:
    before = dict(zip(table.frame["path"], table.frame["label"], strict=True))
    final = {image.path: image.label for image in images}
    labels = {path: label for path, label in final.items() if label != before.get(path)}
    dropped = frozenset(set(result.ranking["path"]) - set(final))
    name = f"cleaned{origin.ending}"
    # Features of the user's have a line for each row of the manifest, so no row may go.
    data = origin.amended(labels, dropped, keep_rows=table.given is not None)
    (folder / name).write_bytes(data)
    file, _ = parse_spec(table.source)
    choice = table.source[len(file) :]
    again = _opened(str(folder / name) + choice, result, table)
    wanted = {path: final.get(path, label) for path, label in before.items() if path not in dropped}
    renamed = dict(zip(_in_order(table, wanted), _in_order(again), strict=True))
    now = dict(zip(again.frame["path"], again.frame["label"], strict=True))
    if any(now[renamed[path]] != label for path, label in wanted.items()):
        raise _another(name)
    return Written([renamed[image.path] for image in images], name, 1, choice, _options(result, table))


def _as_boxes(
    folder: Path,
    result: AuditResult,
    table: ImageTable,
    origin: Annotations,
    images: Sequence[CleanedImage],
    format: str,
) -> Written:
    """The annotations in their own format. Pictures stay where they are."""
    if format == "folder":
        raise DecisionsError(
            "boxes are written as annotations in their own format, not as a folder of classes",
            hint="leave out --format",
        )
    before = dict(zip(table.frame["path"], table.frame["label"], strict=True))
    final = {image.path: image.label for image in images}
    labels = {path: label for path, label in final.items() if label != before.get(path)}
    dropped = frozenset(set(result.ranking["path"]) - set(final))
    name, contents = origin.amended(labels, dropped)
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    choice = table.source[len(parse_spec(table.source)[0]) :]
    opening = replace(Opening.of(result.settings), classes=(), root=table.root)
    reach = Reach() if table.address else None  # whoever opened the table named the store
    again = opening.open(str(folder / name if name else folder) + choice, reach=reach)
    kept = [path for path in origin.order if path in before and path not in dropped]
    now = dict(zip(again.frame["path"], again.frame["label"], strict=True))
    order = [] if again.boxes is None else [path for path in again.boxes.order if path in now]
    renamed = dict(zip(kept, order, strict=False))
    if len(order) != len(kept) or any(now[renamed[path]] != final.get(path, before[path]) for path in kept):
        raise _another(name or "the folder of annotations")
    return Written([renamed[image.path] for image in images], name, len(contents), choice, _options(result, table))


def _opened(spec: str, result: AuditResult, table: ImageTable) -> ImageTable:
    """The manifest that was just written, without the numbers that lie beside it."""
    opening = replace(Opening.of(result.settings), classes=(), features="", probabilities="", root="")
    return opening.open(spec, by_name=table.given is not None)


def _in_order(table: ImageTable, wanted: Collection[str] | None = None) -> list[str]:
    """Paths in the order of the manifest's rows: those wanted, or all."""
    places: Array | None = table.places
    assert places is not None
    paths = table.frame["path"].tolist()
    order = sorted(range(len(paths)), key=lambda row: int(places[row]))
    return [paths[row] for row in order if wanted is None or paths[row] in wanted]


def _another(name: str) -> DecisionsError:
    return DecisionsError(
        f"{name} does not come back with the labels that were decided", hint="audit the data set again"
    )


def _options(result: AuditResult, table: ImageTable) -> str:
    """The words that open the cleaned manifest as the audited one was opened, each with a blank before it."""
    words: list[str] = []
    for key in _SAID_AGAIN:
        value = dict(result.settings).get(key)
        if value:
            words += [f"--{key}", ",".join(value) if isinstance(value, list | tuple) else str(value)]
    if table.boxes is not None:
        words += ["--root", table.root]
    if table.given is not None and table.kind == "image":
        words += ["--root", result.root]
    return f" {shlex.join(words)}" if words else ""
