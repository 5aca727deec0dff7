"""The source for COCO's annotations of objects: one JSON file with images, annotations and categories."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, Skipped
from auditor.sources.boxes.coco_file import CocoFile, read_coco
from auditor.sources.boxes.table import Box, Found, box_table, margin_of, picture_path, refuse_layout
from auditor.sources.manifest_spec import AS_NAMED, Layout, split_margin
from auditor.sources.root import Root
from auditor.system.files import UNWAITING
from auditor.system.text import counted, display

_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')

_PEEKED = 1 << 20
"""Bytes that are read at a time while the three keys are looked for."""

_TRIED = 20
"""Pictures that are looked for in a folder."""

_WORDS = re.compile(r"^(?:instances|_?annotations|labels|person_keypoints|coco|\W|_)+|(?:annotations|coco|\W|_)+$")
"""What stands around a split's name in the name of a file: instances_val2017, _annotations.coco."""


class CocoSource:
    """SOURCE is a `.json` file with the lists images, annotations and categories. Each box is an item.

    The pictures lie in `--root`, or in the one of the usual folders near the file that holds them.
    """

    name = "coco"
    looks_for = "COCO's annotations of boxes (a .json with images, annotations and categories)"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is a JSON file with these three lists."""
        file, _ = split_margin(spec)
        return file.lower().endswith(".json") and os.path.isfile(file) and _has_lists(file)

    def open(self, spec: str, *, allow_outside: bool = False, layout: Layout = AS_NAMED) -> ImageTable:
        """List the boxes.

        Raises
        ------
        SourceError
            The file cannot be read, or no box can be audited.
        """
        file, margin = margin_of(spec)
        shown = display(file)
        refuse_layout(layout, shown)
        document = read_coco(file, shown)
        root = layout.root or _folder(file, document)
        tree = Root(root, allow_outside=allow_outside)
        read = _Reading(document, tree, shown)
        boxes, places = read.boxes()
        near = os.path.dirname(file) or "."
        said = () if layout.root or root == near else (f"The pictures were found in '{display(root)}'.",)
        ids = {name: number for number, name in read.categories.items()}
        origin = CocoFile(file, places, {name: ids[name] for name in sorted(ids)})
        found = Found(
            "COCO's",
            display(os.path.basename(file)),
            display(root),
            tree,
            boxes,
            read.sizes,
            False,
            read.skipped,
            (*said, *read.notes()),
            origin,
        )
        return box_table(found, margin, layout)


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


@dataclass
class _Reading:
    """Goes through a document once."""

    document: Mapping[str, Any]
    tree: Root
    shown: str

    def __post_init__(self) -> None:
        self.skipped: list[Skipped] = []
        self.categories = _categories(self.document["categories"], self.shown)
        self.pictures, self.sizes, self.twice = self._pictures()
        self._used: set[Any] = set()

    def _pictures(self) -> tuple[dict[Any, str], dict[str, tuple[int, int]], set[Any]]:
        """The path of each picture by its id, their sizes by path, and the ids that stand for several pictures."""
        paths, sizes, twice = dict[Any, str](), dict[str, tuple[int, int]](), set[Any]()
        for image in self.document["images"]:
            if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
                continue
            key, path = _key(image.get("id")), picture_path(image["file_name"], self.tree)
            if key is None:
                continue
            if paths.setdefault(key, path) != path:
                twice.add(key)
            width, height = image.get("width"), image.get("height")
            if type(width) is int and type(height) is int and width > 0 and height > 0:
                sizes[path] = (width, height)
        return paths, sizes, twice

    def boxes(self) -> tuple[list[Box], dict[str, int]]:
        """The boxes that have a picture and a class, and the place in the file of each, counted from 1."""
        entries = self.document["annotations"]
        self._ids = _ids(entries)
        found, places = list[Box](), dict[str, int]()
        for place, entry in enumerate(entries, start=1):
            name, why = self._name(entry, place), self._problem(entry)
            if why:
                self.skipped.append(Skipped(display(name)[:300], why))
                continue
            left, top, wide, high = entry["bbox"]
            sides = (left, top, left + wide, top + high)
            picture = self.pictures[_key(entry["image_id"])]
            self._used.add(_key(entry["image_id"]))
            found.append(Box(name, picture, self.categories[_key(entry["category_id"])], "", sides))
            places[name] = place
        return found, places

    def _name(self, entry: Any, place: int) -> str:
        """The picture and the annotation's id; its place where the ids of the file cannot name it."""
        picture = self.pictures.get(_key(entry.get("image_id")), "") if isinstance(entry, dict) else ""
        return f"{picture}#{self._ids[place - 1] if self._ids else place}"

    def _problem(self, entry: Any) -> str:
        """Why an annotation is no item; empty if it is one."""
        if not isinstance(entry, dict):
            return "it is no JSON object"
        picture, category = _key(entry.get("image_id")), _key(entry.get("category_id"))
        if picture in self.twice:
            return "its image id stands for several pictures"
        if picture is None or picture not in self.pictures:
            return "its image id is not among the images"
        self._used.add(picture)
        if entry.get("iscrowd") not in (None, 0, False):
            return "it marks a crowd, not one thing"
        if category is None or category not in self.categories:
            return "its category id is not among the categories"
        if not self.categories[category]:
            return "its category has no name"
        box = entry.get("bbox")
        if not isinstance(box, list) or not box:
            return "it has no box"
        return _box_problem(box)

    def notes(self) -> tuple[str, ...]:
        """What people should know of the file."""
        empty = sum(key not in self._used for key in self.pictures)
        said = []
        if empty:
            said.append(
                f"{counted(empty, 'picture has', 'pictures have')} no box. Whether one is missing was not looked at."
            )
        if not self._ids and self.document["annotations"]:
            said.append(
                "Ids of annotations are missing or stand twice, so boxes are called by their place in the file."
            )
        return tuple(said)


def _box_problem(box: Sequence[Any]) -> str:
    numbers = [value for value in box if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(box) != 4 or len(numbers) != 4 or not all(abs(value) < 1e12 for value in numbers):
        return "its box is not four finite numbers"
    return ""


def _key(value: Any) -> Any:
    """An id: a whole number or a text. None for anything else. 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)) else None


def _ids(entries: Sequence[Any]) -> list[str]:
    """The ids of all annotations as text; empty where one is missing, odd or stands twice."""
    keys = [_key(entry.get("id")) if isinstance(entry, dict) else None for entry in entries]
    texts = [str(key) for key in keys if key is not None]
    odd = any(not re.fullmatch(r"[\w.-]{1,80}", text) for text in texts)
    return texts if len(texts) == len(keys) and len(set(texts)) == len(texts) and not odd else []


def _categories(entries: Sequence[Any], shown: str) -> dict[Any, str]:
    """The name of each category by its id. Empty for one without a name.

    Raises
    ------
    SourceError
        An id stands for two names, or a name for two ids.
    """
    found: dict[Any, str] = {}
    for entry in entries:
        key = _key(entry.get("id")) if isinstance(entry, dict) else None
        if key is None:
            continue
        said = entry.get("name")
        name = said.strip() if isinstance(said, str) else ""
        if found.setdefault(key, name) != name:
            raise SourceError(
                f"{shown}: the category id {display(str(key))[:40]} stands for '{display(found[key])[:60]}' and for "
                f"'{display(name)[:60]}'",
                hint="give each category an id of its own",
            )
    name, times = Counter(filter(None, found.values())).most_common(1)[0] if any(found.values()) else ("", 0)
    if times > 1:
        raise SourceError(
            f"{shown}: {times} categories are called '{display(name)[:60]}'", hint="give each a name of its own"
        )
    return found
