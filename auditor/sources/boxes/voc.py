"""The source for Pascal VOC's annotations: a folder `Annotations` with an XML file for each picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from auditor.sources.base import ImageTable, Skipped
from auditor.sources.boxes.files import AnnotationFiles, Row
from auditor.sources.boxes.table import (
    Box,
    Found,
    absent,
    box_table,
    listed_pictures,
    margin_of,
    picture_path,
    refuse_layout,
)
from auditor.sources.boxes.voc_xml import MAX_BYTES, Annotated, NotReadable, Thing, changed_xml, read_xml
from auditor.sources.manifest_spec import AS_NAMED, Layout, split_margin
from auditor.sources.root import Root
from auditor.sources.tree import Tree, has_image_suffix, join
from auditor.system.files import reason
from auditor.system.text import counted, display

_FOLDER = "annotations"
"""The name of the folder of XML files, in lower case."""

_PICTURES = ("JPEGImages", "images", "Images", "imgs", "")
"""Where the pictures may lie, the first that holds the most of them."""

_SPLITS = ("train", "val", "test")
"""Lists in `ImageSets/Main` that say the split of each picture."""

_LISTS = "ImageSets/Main"

_TRIED = 20
"""Pictures that are looked for in a folder."""


class VocSource:
    """SOURCE is a folder with `Annotations/*.xml`. Each object of a file is an item.

    The pictures lie in `JPEGImages`, `images` or beside the folder of annotations, below `--root` or SOURCE.
    """

    name = "voc"
    looks_for = "Pascal VOC's annotations of boxes (a folder with Annotations/*.xml and JPEGImages/)"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is a folder with a folder of XML files."""
        place, _ = split_margin(spec)
        return os.path.isdir(place) and bool(annotations_in(above(place, _FOLDER, ".xml")))

    def open(self, spec: str, *, allow_outside: bool = False, layout: Layout = AS_NAMED) -> ImageTable:
        """List the boxes.

        Raises
        ------
        SourceError
            No box can be audited.
        """
        place, margin = margin_of(spec)
        refuse_layout(layout, display(place))
        place = above(place, _FOLDER, ".xml")
        root = layout.root or place
        near = Root(place, allow_outside=allow_outside)
        tree = listed_pictures(root, layout, allow_outside=allow_outside) if layout.root else near
        read = _Reading(near, tree, annotations_in(place))
        boxes = read.boxes()
        origin = AnnotationFiles(near, read.rows, read.files, read.lists, "", {}, changed_xml)
        found = Found(
            "Pascal VOC's",
            display(os.path.basename(os.path.abspath(place))),
            display(root),
            tree,
            boxes,
            read.sizes,
            False,
            read.skipped,
            read.notes(),
            origin,
        )
        return box_table(found, margin, layout)


def above(place: str, name: str, ending: str) -> str:
    """The folder above, where SOURCE is the folder of annotations itself; else SOURCE as it is."""
    whole = os.path.abspath(place)
    if os.path.basename(whole).lower() != name or not os.path.isdir(place):
        return place
    _, _, files = next(os.walk(whole), ("", [], []))
    if not any(file.lower().endswith(ending) for file in files):
        return place
    up = os.path.dirname(place.rstrip("/" + os.sep))
    return up or "." if os.path.basename(place.rstrip("/" + os.sep)) not in ("", ".", "..") else os.path.dirname(whole)


def annotations_in(folder: str) -> str:
    """The folder of XML files in a folder; empty where there is none."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name.lower() == _FOLDER)
        inside = [name for name in names if any(_is_xml(entry) for entry in os.listdir(os.path.join(folder, name)))]
    except OSError:
        return ""
    return inside[0] if inside else ""


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml") and not name.startswith(".")


@dataclass
class _Reading:
    """Goes through the files once."""

    near: Root
    tree: Tree
    folder: str
    skipped: list[Skipped] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    lists: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    n_empty: int = 0

    def boxes(self) -> list[Box]:
        """The boxes of all files, in the order of the files' names."""
        read = dict(self._documents())
        pictures = self._pictures({file: document.filename for file, document in read.items()})
        splits, used, found = self._splits(), dict[str, str](), list[Box]()
        for file, document in read.items():
            self.files.append(file)
            picture = pictures[file]
            if picture in used:
                self.skipped.append(Skipped(file, f"'{display(used[picture])[:200]}' is of the same picture"))
                continue
            used[picture] = file
            size = [
                int(text) if text.isascii() and text.isdigit() else 0 for text in map(document.size.get, _WIDE) if text
            ]
            if len(size) == 2 and min(size) > 0:
                self.sizes[picture] = (size[0], size[1])
            self.n_empty += not document.things
            stem = os.path.splitext(os.path.basename(file))[0]
            found += self._boxes_of(file, picture, splits.get(stem, ""), document.things)
        return found

    def _documents(self) -> Iterator[tuple[str, Annotated]]:
        for name in self.near.entries(self.folder, self.skipped).files:
            file = join(self.folder, name)
            if not _is_xml(name):
                continue
            try:
                data = self.near.read(file)
                if len(data) > MAX_BYTES:
                    raise NotReadable(f"it has more than {MAX_BYTES >> 20} MiB")
                yield file, read_xml(data)
            except (OSError, NotReadable) as error:
                why = reason(error) if isinstance(error, OSError) else str(error)
                self.skipped.append(Skipped(file, f"its boxes are left out: {display(why)[:150]}"))

    def _pictures(self, names: dict[str, str]) -> dict[str, str]:
        """The path of each file's picture: as it is named there, or as the file itself is called."""
        place = self._place(names)
        paths = {file: picture_path(join(place, _file_name(file, named)), self.tree) for file, named in names.items()}
        lost = absent(paths.values(), self.tree)
        for file in [file for file, path in paths.items() if path in lost and "\0" not in path]:
            stem = join(place, os.path.splitext(os.path.basename(file))[0])
            tried = [stem + end for end in (".jpg", ".jpeg", ".png", ".JPG", ".bmp", ".tif", ".webp")]
            bad = absent(tried, self.tree)
            paths[file] = next((path for path in tried if path not in bad), paths[file])
        return paths

    def _place(self, names: dict[str, str]) -> str:
        """The folder of the pictures: the one that holds the most of some of them."""
        some = [_file_name(file, named) for file, named in list(names.items())[:: max(1, len(names) // _TRIED)]]
        folders = (*_PICTURES, self.folder)
        lost = {folder: len(absent([join(folder, name) for name in some], self.tree)) for folder in folders}
        return min(folders, key=lambda folder: lost[folder])

    def _splits(self) -> dict[str, str]:
        """The split of each picture by its stem, from the lists."""
        found: dict[str, str] = {}
        for split in (*_SPLITS, "trainval"):
            path = f"{_LISTS}/{split}.txt"
            try:
                self.lists[path] = self.near.read(path)
                lines = self.lists[path].decode("utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                continue
            for line in lines:
                if line.split() and split in _SPLITS:
                    found.setdefault(line.split()[0], split)
        return found if set(found.values()) != {"val"} else {}

    def _boxes_of(self, file: str, picture: str, split: str, things: list[Thing]) -> Iterator[Box]:
        for number, thing in enumerate(things, start=1):
            name = f"{picture}#{number}"
            numbers = [_number(thing.sides.get(side, "")) for side in _BOX]
            why = "" if None not in numbers else "its box is not four finite numbers"
            if not thing.name:
                why = "it has no name"
            if why:
                self.skipped.append(Skipped(display(name)[:300], why))
                continue
            left, top, right, bottom = (value or 0.0 for value in numbers)
            self.rows[name] = Row(file, number, thing.line)
            yield Box(name, picture, thing.name, split, (left - 1, top - 1, right, bottom))  # pixels count from 1 there

    def notes(self) -> tuple[str, ...]:
        """What people should know."""
        if not self.n_empty:
            return ()
        return (f"{counted(self.n_empty, 'picture has', 'pictures have')} no box. Missing boxes are not looked for.",)


_WIDE, _BOX = ("width", "height"), ("xmin", "ymin", "xmax", "ymax")


def _number(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e12 else None


def _file_name(file: str, named: str) -> str:
    """The name of a file's picture; some tools leave out its ending, or name no picture."""
    stem = os.path.splitext(os.path.basename(file))[0]
    name = named.replace("\\", "/") or stem
    return name if has_image_suffix(name) else f"{name}.jpg"
