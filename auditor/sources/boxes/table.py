"""The table of boxes: which of them can be judged, what they are called, and which belong together."""

from __future__ import annotations

import math
import os
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.errors import SourceError
from auditor.sources.base import Columns, ImageTable, Skipped, make_table
from auditor.sources.boxes.crops import OUTSIDE, Crops, Cut, Sides
from auditor.sources.boxes.families import box_families
from auditor.sources.manifest_rows import elsewhere
from auditor.sources.manifest_spec import MARGIN, Layout, split_margin
from auditor.sources.remote.address import is_address
from auditor.sources.remote.place import Prefix, WebPlace, in_store, place_at
from auditor.sources.root import ODD_PATH, Root
from auditor.sources.tree import Tree, is_utf8, join
from auditor.sources.writable import Annotations
from auditor.system.text import counted, display

MARGIN_SAID = (
    "Each item is a box, cut out with {margin:.0%} of its width and height more on each side (SOURCE::margin=0.2 takes "
    "more). Its class is audited. Boxes that are missing, or lie beside what they mean, are not looked for."
)

LARGEST_MARGIN = 10.0

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True)
class Box:
    """A box as the annotations have it.

    Attributes
    ----------
    name
        What the item is called: `images/x.jpg#3`.
    picture
        The path of its picture.
    label, split
        Its class by name, and its split; empty where there is none.
    sides
        Left, top, right, bottom: in pixels, or as shares of the picture.
    """

    name: str
    picture: str
    label: str
    split: str
    sides: Sides


@dataclass(frozen=True)
class Found:
    """What a reader of annotations found.

    Attributes
    ----------
    form
        Whose form the annotations have: COCO's, YOLO's, Pascal VOC's.
    title, root
        What a report calls the data set, and the folder of its pictures.
    tree
        That folder.
    boxes
        The boxes, in the order of the annotations.
    sizes
        Width and height of pictures as the annotations say them, by path.
    relative
        Sides are shares of the picture.
    skipped, notes
        What is left out so far, and what is to be said.
    origin
        The files of annotations.
    """

    form: str
    title: str
    root: str
    tree: Tree
    boxes: Sequence[Box]
    sizes: Mapping[str, tuple[int, int]]
    relative: bool
    skipped: Sequence[Skipped]
    notes: tuple[str, ...]
    origin: Annotations


def margin_of(spec: str) -> tuple[str, float]:
    """SOURCE without its margin, and the margin as a share of a box's width and height.

    Raises
    ------
    SourceError
        The margin is no number from 0 to `LARGEST_MARGIN`.
    """
    file, said = split_margin(spec)
    if not said:
        return spec, DEFAULT_MARGIN
    try:
        margin = float(said)
    except ValueError:
        margin = math.nan
    if not 0 <= margin <= LARGEST_MARGIN:
        raise SourceError(
            f"cannot understand the margin '{MARGIN}{display(said.strip())[:33]}' of {display(file)}",
            hint=f"write {display(file)}::margin=0.1, a share of a box's width and height from 0 to {LARGEST_MARGIN:g}",
        )
    return file, margin


DEFAULT_MARGIN = 0.1
"""A tenth of its width and height on each side of a box: its edge is seen, and little of its neighbours."""


def refuse_layout(layout: Layout, shown: str) -> None:
    """Refuse what a user says of a manifest, where SOURCE holds boxes. A root is where the pictures lie.

    Raises
    ------
    SourceError
    """
    if layout.columns or layout.label:
        raise SourceError(
            f"{shown} holds boxes, whose classes stand in a fixed place", hint="leave out --columns and --label"
        )
    if layout.kind not in ("", "image"):
        raise SourceError(f"{shown} holds boxes of pictures, no items of the kind {layout.kind}")
    if layout.by_name:
        raise SourceError(
            f"{shown} holds boxes, and features or probabilities of boxes cannot be given beside them",
            hint="save the crops, and write a manifest with path, label and group for them",
        )


def pictures_in(root: str, layout: Layout, *, allow_outside: bool) -> Root | Prefix | WebPlace:
    """The place of the pictures: a folder, or a store that a command named.

    Raises
    ------
    SourceError
        It cannot be listed, or nobody named it.
    """
    return place_at(root, layout.reach) if is_address(root) else Root(root, allow_outside=allow_outside)


def listed_pictures(root: str, layout: Layout, *, allow_outside: bool) -> Root | Prefix:
    """The place of the pictures, which must be one that can be listed: annotations of some forms name no path of them.

    Raises
    ------
    SourceError
        See `pictures_in`. Or it lies on the web.
    """
    tree = pictures_in(root, layout, allow_outside=allow_outside)
    if isinstance(tree, WebPlace):
        raise SourceError(
            f"{display(tree.library.address.shown)} cannot be listed, so no pictures of these boxes are found there",
            hint="fetch the pictures, and say with --root where they lie",
        )
    return tree


def absent(paths: Collection[str], tree: Tree) -> set[str]:
    """The paths at which nothing lies, neither a file nor a link. A name with a NUL character is one of them."""
    tried = {path for path in paths if "\0" not in path}
    none = {path for path in paths if "\0" in path}
    if isinstance(tree, Root):
        return none | {path for path in tried if not os.path.lexists(tree.absolute(path))}
    return none | set(tree.problems(tried))


def sides_problem(sides: Sequence[object], size: tuple[float, float] | None) -> str:
    """Why a box cannot be cut out: left, top, right, bottom, and the size of its picture where it is known."""
    if len(sides) != 4 or not all(_is_number(side) for side in sides):
        return "its box is not four finite numbers"
    left, top, right, bottom = (float(side) for side in sides)  # type: ignore[arg-type]
    if right < left or bottom < top:
        return "its box has a negative width or height"
    if right == left or bottom == top:
        return "its box has no area"
    if right <= 0 or bottom <= 0 or (size is not None and (left >= size[0] or top >= size[1])):
        return OUTSIDE
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12  # NaN is not below


def picture_path(name: str, tree: Tree, folder: str = "") -> str:
    """The path of a picture as the annotations name it, without `./` and the like. What leads out stays as it is.

    Parameters
    ----------
    folder
        The folder below the tree that names begin in.
    """
    whole = name.startswith("/") or _is_elsewhere(name)
    path = tree.below(name) if whole else join(folder, name) if name.strip() else name
    if is_address(path):
        return path
    if ODD_PATH.search(path) and "\0" not in path:
        neat = posixpath.normpath(path)
        path = path if neat.startswith("..") or path.startswith("/") else neat
    return path


def _is_elsewhere(name: str) -> bool:
    return is_address(name) or _DRIVE.match(name) is not None


def picture_problems(paths: Sequence[str], tree: Tree) -> dict[str, str]:
    """Why pictures cannot be used: the name is none, or the file is missing, none, or outside the root."""
    bad = {path: "its name holds a NUL character" for path in paths if "\0" in path}
    bad |= {path: "its name is not valid UTF-8" for path in paths if path not in bad and not is_utf8(path)}
    bad |= {path: "it has no name" for path in paths if not path.strip()}
    bad |= {path: "an address, and not one below the root" for path in paths if path not in bad and is_address(path)}
    if not tree.allow_outside:
        climbing = (path for path in paths if path.startswith("/") or _DRIVE.match(path))
        bad |= {path: "leads outside the root" for path in climbing if path not in bad}
    return bad | tree.problems([path for path in paths if path not in bad])


def box_table(found: Found, margin: float, layout: Layout) -> ImageTable:
    """The table of some boxes.

    Raises
    ------
    SourceError
        No box is left.
    """
    skipped, boxes = list(found.skipped), list[Box]()
    pictures = picture_problems(list(dict.fromkeys(box.picture for box in found.boxes)), found.tree)
    held = Counter(box.picture for box in found.boxes)
    skipped += [
        Skipped(display(picture)[:300], f"its boxes are left out, for the picture cannot be used: {problem}")
        for picture, problem in pictures.items()
    ]
    for box in found.boxes:
        if box.picture in pictures:
            continue
        size = (1.0, 1.0) if found.relative else found.sizes.get(box.picture)
        problem = sides_problem(box.sides, size)
        if problem:
            skipped.append(Skipped(box.name, problem))
        else:
            boxes.append(box)
    if not boxes:
        raise _nothing(found, pictures, skipped)
    cuts = {box.name: Cut(box.picture, box.sides) for box in boxes}
    read = Crops(
        found.tree.read, cuts, found.sizes, relative=found.relative, margin=margin, max_pixels=layout.max_pixels
    )
    groups, crowded = box_families(list(cuts.values()), margin)
    columns = Columns(
        [box.name for box in boxes], [box.label for box in boxes], [box.split for box in boxes], groups=groups
    )
    table = make_table(found.title, found.root, columns, read=read, skipped=skipped)
    without = sum(held[picture] for picture in pictures)
    notes = [
        f"{counted(len(boxes), 'box', 'boxes')} of {_pictures(len({box.picture for box in boxes}))} were read, in "
        f"{found.form} form.",
        *found.notes,
        f"{counted(without, 'box is', 'boxes are')} left out with {_pictures(len(pictures))} that cannot be used."
        * bool(without),
        MARGIN_SAID.format(margin=margin),
        crowded,
    ]
    table = replace(table, boxes=found.origin, notes=(*filter(None, notes), *table.notes))
    return in_store(table, found.tree)


def _pictures(n: int) -> str:
    return counted(n, "picture", "pictures")


def _nothing(found: Found, pictures: Mapping[str, str], skipped: Sequence[Skipped]) -> SourceError:
    if pictures and all(box.picture in pictures for box in found.boxes):
        path, problem = next(iter(pictures.items()))
        return SourceError(
            f"{found.title} names {_pictures(len(pictures))}, and none can be used; the first, "
            f"{display(path)[:200]}: {problem}",
            hint=elsewhere(path) or f"say with --root in which folder they lie; it was looked for in {found.root}",
        )
    first = f"; the first, {skipped[0].path}: {skipped[0].reason}" if skipped else ""
    return SourceError(f"{found.title} has no box that can be audited{first}", hint="check the annotations")
