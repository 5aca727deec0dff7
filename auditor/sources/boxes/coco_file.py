"""COCO's JSON file: reads it, and writes it again with other categories. Every other character stays as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.amended_text import DROPPED, array_with, elements, members
from auditor.sources.manifest_formats import decode, encoded_as, load
from auditor.system.text import display, short

MAX_BYTES = 2 << 30
"""A larger file is refused: as objects of Python it would take tens of gigabytes."""

LISTS = ("images", "annotations", "categories")


def read_coco(file: str, shown: str) -> dict[str, Any]:
    """The document of a file. Outlines and masks of things are left out of it.

    Raises
    ------
    SourceError
        The file is too large, cannot be read, or is no such document.
    """
    text = _text(file, shown)
    try:
        document = json.loads(text, object_hook=_without_outline)
    except RecursionError as error:
        raise SourceError(f"{shown} is nested too deep to be read", hint="export the annotations again") from error
    except ValueError as error:
        raise SourceError(
            f"{shown} is no valid JSON: {display(str(error))[:120]}", hint="export the annotations again"
        ) from error
    for name in LISTS:
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise SourceError(
                f"{shown} has no list '{name}'", hint="COCO's annotations have images, annotations and categories"
            )
    return dict(document)


def _text(file: str, shown: str) -> str:
    size = os.path.getsize(file) if os.path.isfile(file) else 0
    if size > MAX_BYTES:
        raise SourceError(
            f"{shown} has {size >> 20:,} MiB, more than the limit of {MAX_BYTES >> 20:,}",
            hint="split it by pictures into several files",
        )
    return decode(load(file, shown), shown)


def _without_outline(entry: dict[str, Any]) -> dict[str, Any]:
    """An object without what takes the most memory and says nothing of its class."""
    for name in ("segmentation", "keypoints"):
        entry.pop(name, None)
    return entry


@dataclass(frozen=True)
class CocoFile:
    """The file in which boxes stand.

    Attributes
    ----------
    file
        Its name.
    rows
        The place of each box in the list of annotations, counted from 1, by name.
    ids
        The id of each category by its name.
    """

    file: str
    rows: Mapping[str, int]
    ids: Mapping[str, Any]

    @property
    def order(self) -> Sequence[str]:
        """The names of the boxes in the order of the file."""
        return list(self.rows)

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str]) -> tuple[str, dict[str, bytes]]:
        """The file with other categories for some boxes, and without some others.

        Raises
        ------
        SourceError
            The file cannot be read any more, is another one, or has no category for a class.
        """
        shown = display(self.file)
        unknown = sorted(set(labels.values()) - set(self.ids))
        if unknown:
            raise SourceError(
                f"{shown} has no category '{short(unknown[0])}', which a box of it should have",
                hint="add the category there, and audit it again",
            )
        data = load(self.file, shown)
        text = decode(data, shown)
        try:
            changes: dict[int, object] = {self.rows[name]: self.ids[label] for name, label in labels.items()}
            changes |= {self.rows[name]: DROPPED for name in dropped}
            begin, end = members(text)["annotations"]
            new = text[:begin] + array_with(text[begin:end], "category_id", changes) + text[end:]
        except (KeyError, ValueError, IndexError) as error:
            raise SourceError(
                f"{shown} does not hold the annotations that were audited", hint="audit it again"
            ) from error
        return "cleaned.json", {"cleaned.json": encoded_as(data, new)}

    def places(self) -> dict[str, tuple[str, int]]:
        """The file and the line on which each box begins, by name.

        Raises
        ------
        SourceError
            The file cannot be read any more.
        """
        text = decode(load(self.file, display(self.file)), display(self.file))
        begin, _ = members(text)["annotations"]
        lines, line, before = list[int](), 1, 0
        for at, _ in elements(text, begin + 1):
            line, before = line + text.count("\n", before, at), at
            lines.append(line)
        return {name: (self.file, lines[place - 1]) for name, place in self.rows.items() if place <= len(lines)}


@dataclass(frozen=True)
class CocoFiles:
    """The files of several splits.

    Attributes
    ----------
    parts
        Each by its path below their folder.
    """

    parts: Mapping[str, CocoFile]

    @property
    def order(self) -> Sequence[str]:
        """The names of the boxes in the order of the files."""
        return [name for part in self.parts.values() for name in part.order]

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str]) -> tuple[str, dict[str, bytes]]:
        """All files, with other categories for some boxes, and without some others.

        Raises
        ------
        SourceError
            See `CocoFile.amended`.
        """
        written = dict[str, bytes]()
        for path, part in self.parts.items():
            own = {box: label for box, label in labels.items() if box in part.rows}
            name, contents = part.amended(own, dropped & part.rows.keys())
            written[path] = contents[name]
        return "", written

    def places(self) -> dict[str, tuple[str, int]]:
        """The file and the line on which each box begins, by name.

        Raises
        ------
        SourceError
            A file cannot be read any more.
        """
        return {name: place for part in self.parts.values() for name, place in part.places().items()}
