"""The source for YOLO's annotations: pictures in `images`, and for each a text in `labels` with a line for each box."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from auditor.errors import SourceError
from auditor.sources.amended_text import DROPPED
from auditor.sources.base import ImageTable, Skipped
from auditor.sources.boxes.crops import Sides
from auditor.sources.boxes.files import AnnotationFiles, Row
from auditor.sources.boxes.table import Box, Found, box_table, listed_pictures, margin_of, refuse_layout
from auditor.sources.boxes.voc import above, annotations_in
from auditor.sources.boxes.yolo_names import NAME_FILES, Described, described, described_keys, names_of_lines
from auditor.sources.boxes.yolo_places import DARKNET, label_of, pictures_of, root_of
from auditor.sources.manifest_spec import AS_NAMED, Layout, split_margin
from auditor.sources.root import Root
from auditor.sources.tree import Tree, is_litter, join
from auditor.system.files import reason
from auditor.system.text import counted, display

DESCRIPTIONS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
"""Names of the file that describes a data set, at the top of its folder."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class YoloSource:
    """SOURCE is a `.yaml` that describes a data set for YOLO, its folder, or a folder with `images` and `labels`.

    The pictures lie in `--root`, or beside the description.
    """

    name = "yolo"
    looks_for = "YOLO's annotations of boxes (data.yaml, or a folder with images/ and labels/*.txt)"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is such a file or folder."""
        place, _ = split_margin(spec)
        if place.lower().endswith((".yaml", ".yml")):
            return os.path.isfile(place)
        if not os.path.isdir(place):
            return False
        return bool(_description(place)) or _darknet(place) or _parallel(above(place, "labels", ".txt"))

    def open(self, spec: str, *, allow_outside: bool = False, layout: Layout = AS_NAMED) -> ImageTable:
        """List the boxes.

        Raises
        ------
        SourceError
            The description cannot be read, or no box can be audited.
        """
        place, margin = margin_of(spec)
        shown = display(place)
        refuse_layout(layout, shown)
        named, place = place, above(place, "labels", ".txt")
        file = place if os.path.isfile(place) else _description(place)
        other = "" if os.path.isfile(place) or named != place else annotations_in(place)
        if other and not file:
            raise SourceError(
                f"{shown} holds boxes in YOLO's form and in Pascal VOC's",
                hint=f"give {shown}/labels or {shown}/{display(other)}",
            )
        base = (os.path.dirname(file) or ".") if file else place
        known = described(file, display(file)) if file else Described()
        root = layout.root or root_of(base, known.path, allow_outside=allow_outside)
        near = Root(base, allow_outside=allow_outside)
        here = near if layout.root else Root(root, allow_outside=allow_outside)
        tree = listed_pictures(root, layout, allow_outside=allow_outside) if layout.root else here
        read = _Reading(tree, near if layout.root else here, known)
        boxes = read.boxes()
        extras = {os.path.basename(file): known.data} if file else {}
        extras |= {name: data for name, data in read.name_files.items() if name not in extras}
        main = os.path.basename(file) if file else DESCRIPTIONS[0]
        if not file:
            listed = {number: read.name(number) for number in sorted(read.numbers)}
            extras[main] = f"names: {json.dumps(listed)}\n".encode()
        origin = AnnotationFiles(read.labels, read.rows, read.files, extras, main, read.spelled(), edited)
        title = os.path.basename(os.path.abspath(place))
        found = Found(
            "YOLO's",
            display(title),
            display(root),
            tree,
            boxes,
            {},
            True,
            read.skipped,
            (*other_form(other), *read.notes()),
            origin,
        )
        return box_table(found, margin, layout)


def other_form(folder: str) -> tuple[str, ...]:
    """A note where a description leads to texts, and a folder of XML files lies beside it."""
    if not folder:
        return ()
    return (f"The folder '{display(folder)}' of Pascal VOC's form was not read. To audit it, give it as SOURCE.",)


def _description(folder: str) -> str:
    """The file that describes a folder; empty where there is none. One that names classes alone needs texts there."""
    files = [file for name in DESCRIPTIONS if os.path.isfile(file := os.path.join(folder, name))]
    keys = {file: described_keys(file) for file in files}
    return next((file for file in files if "names" in keys[file] and (len(keys[file]) > 1 or _parallel(folder))), "")


def _darknet(folder: str) -> bool:
    """Whether a folder has Darknet's names, and pictures with their texts beside them, as CVAT exports them."""
    try:
        inner = [entry.name for entry in os.scandir(folder) if entry.is_dir() and DARKNET.fullmatch(entry.name)]
    except OSError:
        return False
    return bool(inner) and os.path.isfile(os.path.join(folder, "obj.names"))


def _parallel(folder: str) -> bool:
    """Whether a folder, or one of its own, holds `images` and `labels` with a text in it."""
    try:
        inner = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return False
    return any(_has_labels(join(folder, name)) for name in ("", *inner))


def _has_labels(folder: str) -> bool:
    labels = os.path.join(folder, "labels")
    if not os.path.isdir(os.path.join(folder, "images")) or not os.path.isdir(labels):
        return False
    for _, folders, files in os.walk(labels):
        folders.sort()
        if any(name.endswith(".txt") for name in files):
            return True
    return False


@dataclass
class _Reading:
    """Goes through pictures and their texts once."""

    pictures: Tree
    labels: Root
    known: Described
    skipped: list[Skipped] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    name_files: dict[str, bytes] = field(default_factory=dict)
    n_empty: int = 0

    def boxes(self) -> list[Box]:
        """The boxes of all pictures, in the order of the pictures' names."""
        splits = pictures_of(self.pictures, self.labels, self.known.parts, self.skipped)
        texts = {picture: label_of(picture) for picture in splits}
        if isinstance(self.pictures, Root) and not any(map(self._there, texts.values())):
            self.labels = self.pictures
        if not self.known.names:
            self.known = replace(self.known, names=self._names())
        found, used = list[Box](), dict[str, str]()
        for picture in sorted(splits):
            text = texts[picture]
            if text in used:
                self.skipped.append(Skipped(picture, f"'{used[text]}' has the same name, so its boxes are not known"))
            elif not self._there(text):
                self.n_empty += 1
            else:
                used[text] = picture
                found += self._boxes_of(picture, text, splits[picture])
        self._strays(set(used))
        return found

    def _there(self, text: str) -> bool:
        return os.path.lexists(self.labels.absolute(text))

    def _boxes_of(self, picture: str, text: str, split: str) -> Iterator[Box]:
        try:
            lines = self.labels.read(text).decode("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = reason(error) if isinstance(error, OSError) else "it holds more than numbers"
            self.skipped.append(Skipped(text, f"cannot be read: {why}"))
            return
        self.files.append(text)
        self.n_empty += not any(map(str.split, lines))
        for number, line in enumerate(lines, start=1):
            name = f"{picture}#{number}"
            if not line.split():
                continue
            sides, kind, why = parsed(line)
            if not why and self.known.names and kind not in self.known.names:
                why = "its class number is not among the names"
            if not why and not self.name(kind):
                why = "its class has no name"
            if why:
                self.skipped.append(Skipped(name, why))
                continue
            self.numbers.add(kind)
            self.rows[name] = Row(text, number, number)
            yield Box(name, picture, self.name(kind), split, sides)

    def name(self, number: int) -> str:
        """What a class is called: its number where nothing names it."""
        return self.known.names.get(number, "") if self.known.names else str(number)

    def spelled(self) -> dict[str, object]:
        """The number of each class by its name."""
        return {self.name(number): number for number in sorted(self.known.names or self.numbers, reverse=True)}

    def _names(self) -> dict[int, str]:
        """The classes of a list beside the texts, a line each. Empty where there is none."""
        for name in NAME_FILES:
            try:
                self.name_files[name] = self.labels.read(name)
            except OSError:
                continue
            return names_of_lines(self.name_files[name], name)
        return {}

    def _strays(self, used: set[str]) -> None:
        """Name the texts that no picture belongs to, in the folders of those that were read."""
        for folder in sorted({text.rpartition("/")[0] for text in used}):
            for name in self.labels.entries(folder, []).files:
                path = join(folder, name)
                if name.endswith(".txt") and path not in used and name not in NAME_FILES and not is_litter(name):
                    self.skipped.append(Skipped(path, "no picture has its name, so its boxes are left out"))

    def notes(self) -> tuple[str, ...]:
        """What people should know."""
        said = []
        if self.n_empty:
            said.append(
                f"{counted(self.n_empty, 'picture has', 'pictures have')} no box. Missing boxes are not looked for."
            )
        if not self.known.names:
            said.append("Nothing names the classes, so they are called by their numbers.")
        return tuple(said)


def parsed(line: str) -> tuple[Sides, int, str]:
    """The sides of a line's box as shares of the picture, its class, and why it is none.

    A line is a class and a box (middle, width and height), or a class and the corners of an outline.
    """
    words, nothing = line.split(), (0.0, 0.0, 0.0, 0.0)
    if not all(_NUMBER.fullmatch(word) for word in words):
        return nothing, -1, "its line holds more than finite numbers"
    values = [float(word) for word in words]
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        return nothing, -1, f"its line has {len(values)} numbers, not 5"
    if not values[0].is_integer() or not 0 <= values[0] < 1e6:
        return nothing, -1, "its class is no whole number"
    if max(map(abs, values[1:])) > 1e6:
        return nothing, -1, "its box is not four finite numbers"
    if len(values) == 5:
        x, y, wide, high = values[1:]
        return (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), int(values[0]), ""
    across, down = values[1::2], values[2::2]
    return (min(across), min(down), max(across), max(down)), int(values[0]), ""


def edited(data: bytes, changes: Mapping[int, object]) -> bytes:
    """A text with other classes by line, and without some lines. Everything else stays, line ends too."""
    lines = data.decode("ascii").splitlines(keepends=True)
    kept = list[str]()
    for number, line in enumerate(lines, start=1):
        new = changes.get(number)
        if new is None:
            kept.append(line)
        elif new is not DROPPED:
            kept.append(re.sub(r"\S+", str(new), line, count=1))
    return "".join(kept).encode("ascii")
