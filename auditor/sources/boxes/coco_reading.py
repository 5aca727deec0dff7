"""Goes through a document of COCO's: which annotations are boxes of a class, and what their pictures are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.base import Skipped
from auditor.sources.boxes.table import Box, picture_path
from auditor.sources.tree import Tree
from auditor.system.text import counted, display, short


@dataclass
class CocoReading:
    """Goes through a document once.

    Parameters
    ----------
    document
        As `read_coco` gives it.
    tree
        Where its pictures lie.
    shown
        The file, for messages.
    folder
        The folder of the tree that its pictures are named from; empty for the tree itself.
    split
        The split of its pictures; empty where it says none.
    """

    document: Mapping[str, Any]
    tree: Tree
    shown: str
    folder: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        self.skipped: list[Skipped] = []
        self.categories = _categories(self.document["categories"], self._classes_used(), self.shown)
        self.pictures, self.sizes, self.twice = self._pictures()
        self._used: set[Any] = set()
        self._ids: list[str] = []

    @property
    def n_empty(self) -> int:
        """Pictures without a box."""
        return sum(key not in self._used for key in self.pictures)

    @property
    def by_place(self) -> bool:
        """Whether boxes are called by their place, for ids cannot name them."""
        return not self._ids and bool(self.document["annotations"])

    @property
    def ids(self) -> dict[str, Any]:
        """The id of each category by its name."""
        found = {name: number for number, name in self.categories.items()}
        return {name: found[name] for name in sorted(found)}

    def _classes_used(self) -> set[Any]:
        return {_key(entry.get("category_id")) for entry in self.document["annotations"] if isinstance(entry, dict)}

    def _pictures(self) -> tuple[dict[Any, str], dict[str, tuple[int, int]], set[Any]]:
        """The path of each picture by its id, their sizes by path, and the ids that stand for several pictures."""
        paths, sizes, twice = dict[Any, str](), dict[str, tuple[int, int]](), set[Any]()
        for image in self.document["images"]:
            if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
                continue
            key, path = _key(image.get("id")), picture_path(image["file_name"], self.tree, self.folder)
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
            found.append(Box(name, picture, self.categories[_key(entry["category_id"])], self.split, sides))
            places[name] = place
        return found, places

    def _name(self, entry: Any, place: int) -> str:
        """The picture and the annotation's id; its place where the ids of the file cannot name it."""
        picture = (
            self.pictures.get(_key(entry.get("image_id")), self.folder) if isinstance(entry, dict) else self.folder
        )
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


def notes(readings: Sequence[CocoReading]) -> tuple[str, ...]:
    """What people should know of the files together."""
    empty = sum(reading.n_empty for reading in readings)
    said = []
    if empty:
        said.append(
            f"{counted(empty, 'picture has', 'pictures have')} no box. Whether one is missing was not looked at."
        )
    if any(reading.by_place for reading in readings):
        said.append("Ids of annotations are missing or stand twice, so boxes are called by their place in the file.")
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


def _categories(entries: Sequence[Any], used: Set[Any], shown: str) -> dict[Any, str]:
    """The name of each category by its id. Empty for one without a name.

    Roboflow puts a category before the others that groups them and that no box has. It may carry a class's name.

    Parameters
    ----------
    used
        The ids of categories that annotations have.

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
                f"{shown}: the category id {display(str(key))[:40]} stands for '{short(found[key])}' and for "
                f"'{short(name)}'",
                hint="give each category an id of its own",
            )
    times, had = Counter(found.values()), {name for key, name in found.items() if key in used}
    found = {key: name for key, name in found.items() if times[name] == 1 or key in used or name not in had}
    name, n = Counter(filter(None, found.values())).most_common(1)[0] if any(found.values()) else ("", 0)
    if n > 1:
        raise SourceError(f"{shown}: {n} categories are called '{short(name)}'", hint="give each a name of its own")
    return found
