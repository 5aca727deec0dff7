"""The source for COCO's annotations of objects: JSON files with images, annotations and categories."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, Skipped, split_name
from auditor.sources.boxes.coco_file import CocoFile, CocoFiles, read_coco
from auditor.sources.boxes.coco_reading import CocoReading, notes
from auditor.sources.boxes.table import Box, Found, box_table, margin_of, pictures_in, refuse_layout
from auditor.sources.manifest_spec import AS_NAMED, Layout, split_margin
from auditor.sources.root import Root
from auditor.system.files import UNWAITING
from auditor.system.text import display

EXPORTED = "_annotations.coco.json"
"""What Roboflow calls the annotations in each folder of an export."""

_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')

_PEEKED = 1 << 20
"""Bytes that are read at a time while the three keys are looked for."""

_TRIED = 20
"""Pictures that are looked for in a folder."""

_WORDS = re.compile(r"^(?:instances|_?annotations|labels|person_keypoints|coco|\W|_)+|(?:annotations|coco|\W|_)+$")
"""What stands around a split's name in the name of a file: instances_val2017, _annotations.coco."""


class CocoSource:
    """SOURCE is a `.json` file with the lists images, annotations and categories. Each box is an item.

    The pictures lie in `--root`, or in the one of the usual folders near the file that holds them. SOURCE can also be
    a folder as Roboflow exports it: `train`, `valid` and `test`, each with such a file and its pictures.
    """

    name = "coco"
    looks_for = (
        "COCO's annotations of boxes (a .json with images, annotations and categories, or a folder with "
        f"train/{EXPORTED})"
    )

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is a JSON file with these three lists, or a folder with such files."""
        file, _ = split_margin(spec)
        if os.path.isdir(file):
            return bool(exported_in(file))
        return file.lower().endswith(".json") and os.path.isfile(file) and _has_lists(file)

    def open(self, spec: str, *, allow_outside: bool = False, layout: Layout = AS_NAMED) -> ImageTable:
        """List the boxes.

        Raises
        ------
        SourceError
            A file cannot be read, or no box can be audited.
        """
        place, margin = margin_of(spec)
        refuse_layout(layout, display(place))
        if os.path.isdir(place):
            found = _of_folder(place, layout, allow_outside)
        else:
            found = _of_file(place, layout, allow_outside)
        return box_table(found, margin, layout)


def _of_file(file: str, layout: Layout, allow_outside: bool) -> Found:
    """The boxes of a file."""
    shown = display(file)
    document = read_coco(file, shown)
    root = layout.root or layout.begins or _folder(file, document)
    tree = pictures_in(root, layout, allow_outside=allow_outside)
    reading = CocoReading(document, tree, shown)
    boxes, places = reading.boxes()
    told = layout.root or layout.begins or os.path.dirname(file) or "."
    said = () if root == told else (f"The pictures were found in '{display(root)}'.",)
    return Found(
        "COCO's",
        display(os.path.basename(file)),
        display(root),
        tree,
        boxes,
        reading.sizes,
        False,
        reading.skipped,
        (*said, *notes([reading])),
        CocoFile(file, places, reading.ids),
    )


def exported_in(folder: str) -> dict[str, str]:
    """The split of each folder of an export that holds annotations, by its name. `valid` is val.

    Where none of them is for training, they say no split.
    """
    try:
        inner = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return {}
    found = {name: split_name(name) or "" for name in inner if os.path.isfile(os.path.join(folder, name, EXPORTED))}
    found = {name: split for name, split in found.items() if split}
    return found if "train" in found.values() else dict.fromkeys(found, "")


def _of_folder(folder: str, layout: Layout, allow_outside: bool) -> Found:
    """The boxes of all files of an export. Its pictures lie beside each file, or in the same folders below a root."""
    root = layout.root or folder
    tree, near = pictures_in(root, layout, allow_outside=allow_outside), Root(folder, allow_outside=allow_outside)
    boxes, skipped, sizes = list[Box](), list[Skipped](), dict[str, tuple[int, int]]()
    readings, files = list[CocoReading](), dict[str, CocoFile]()
    splits = exported_in(folder)
    for name, split in splits.items():
        path = f"{name}/{EXPORTED}"
        file = os.path.join(folder, path)
        if near.problems([path]):
            raise SourceError(
                f"{display(file)} {near.problems([path])[path]}", hint="--allow-outside follows links that lead out"
            )
        reading = CocoReading(read_coco(file, display(file)), tree, display(file), name, split)
        own, places = reading.boxes()
        boxes += own
        skipped += reading.skipped
        sizes |= reading.sizes
        files[path] = CocoFile(file, places, reading.ids)
        readings.append(reading)
    quoted = ", ".join(f"'{display(name)}'" for name in splits)
    said = f"The annotations of {quoted} were read together."
    return Found(
        "COCO's",
        display(os.path.basename(os.path.abspath(folder))),
        display(root),
        tree,
        boxes,
        sizes,
        False,
        skipped,
        (said * (len(splits) > 1), *notes(readings)),
        CocoFiles(files),
    )


def _has_lists(file: str) -> bool:
    """Whether the three lists stand in a file. It is read from its beginning, no further than needed."""
    seen, before = set[bytes](), b""
    try:
        with open(os.open(file, os.O_RDONLY | UNWAITING), "rb") as opened:
            while part := opened.read(_PEEKED):
                seen.update(_KEYS.findall(before + part))
                if len(seen) == 3:
                    return True
                before = part[-64:]
    except OSError:
        return False
    return False


def _folder(file: str, document: Mapping[str, Any]) -> str:
    """The folder that holds the most of the pictures: the file's own, or a usual one near it."""
    near = os.path.dirname(file) or "."
    split = _WORDS.sub("", os.path.basename(file).removesuffix(".json"))
    inner = ("images", "data", "JPEGImages", split, f"images/{split}")
    folders = [near, *(os.path.join(near, name) for name in inner), *(os.path.join(near, "..", name) for name in inner)]
    tried = [os.path.normpath(folder) for folder in folders]
    said = (image.get("file_name") for image in document["images"] if isinstance(image, dict))
    names = [name for name in said if isinstance(name, str) and "\0" not in name]
    names = names[:: max(1, len(names) // _TRIED)]
    counts = {folder: sum(os.path.isfile(os.path.join(folder, name)) for name in names) for folder in tried}
    best = max(counts, key=lambda folder: counts[folder])
    return best if counts[best] else near
