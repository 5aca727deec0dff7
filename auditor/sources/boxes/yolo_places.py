"""Where a data set for YOLO has its pictures, and which text belongs to which picture."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from auditor.errors import SourceError
from auditor.sources.base import Skipped, split_name
from auditor.sources.boxes.table import picture_path
from auditor.sources.root import Root
from auditor.sources.tree import Tree, has_image_suffix, is_utf8, join
from auditor.system.files import reason
from auditor.system.text import display

DARKNET = re.compile(r"obj_(\w+)_data")
"""A folder of pictures and their texts, as Darknet and CVAT name it."""

NO_PLACE = "the description names it, and there is no such folder or list below the root"


def root_of(base: str, path: str, *, allow_outside: bool) -> str:
    """The folder where the paths of a description begin: the one that it names, if that is there, or its own."""
    wanted = os.path.join(base, path)
    if not path or "\0" in path or not os.path.isdir(wanted):
        return base
    real, home = os.path.realpath(wanted), os.path.realpath(base)
    inside = real == home or real.startswith(home.rstrip(os.sep) + os.sep)
    if not inside and not allow_outside:
        raise SourceError(
            f"the description in {display(base)} begins its paths in '{display(path)[:200]}', outside its own folder",
            hint="say with --root where the pictures lie",
        )
    return os.path.normpath(wanted)


def label_of(picture: str) -> str:
    """The text of a picture: in `labels` where the picture lies in `images`, else beside it."""
    parts = picture.split("/")
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return posixpath.splitext("/".join(parts))[0] + ".txt"


def pictures_of(tree: Tree, near: Tree, parts: Mapping[str, Sequence[str]], skipped: list[Skipped]) -> dict[str, str]:
    """The split of each picture by its path. A picture of two splits is one of the first.

    Parameters
    ----------
    tree
        Where the pictures lie.
    near
        Where the texts lie. Lists of pictures may lie there too.
    """
    found: dict[str, str] = {}
    for split, place in _places(tree, parts):
        path, holder = _below(tree, place), tree
        if path is None and place.endswith(".txt"):
            path, holder = _below(near, place), near
        if path is None:
            skipped.append(Skipped(display(place)[:300], NO_PLACE))
            continue
        for picture in _listed(tree, holder, path, skipped):
            if found.setdefault(picture, split) != split:
                skipped.append(
                    Skipped(display(picture)[:300], f"it stands in two splits; it counts as {found[picture]}")
                )
    return found


def _places(tree: Tree, parts: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """The places of each split: as described, or `images`, `images/train`, `train/images`, `obj_train_data`."""
    if parts:
        yield from ((split, place) for split, places in parts.items() for place in places)
        return
    top = tree.entries("", [])
    for name in (*top.folders, *top.links):
        if name == "images":
            inner = tree.entries(name, [])
            splits = [folder for folder in (*inner.folders, *inner.links) if split_name(folder)]
            yield from ((split_name(folder) or "", join(name, folder)) for folder in splits)
            if not splits:
                yield "", name
        elif DARKNET.fullmatch(name):
            yield split_name(name[4:-5]) or "", name
        elif "images" in tree.entries(name, []).folders:
            yield split_name(name) or "", join(name, "images")


def _below(tree: Tree, place: str) -> str | None:
    """A place below the root. Some exports begin it with `../`, though it lies beside the description."""
    if not is_utf8(place) or "\0" in place:
        return None
    path = tree.below(place).replace("\\", "/")
    for tried in (path, path.lstrip("./") if path.startswith("..") else path):
        neat = posixpath.normpath(tried)
        if _there(tree, neat):
            return "" if neat == "." else neat
    return None


def _there(tree: Tree, path: str) -> bool:
    """Whether a file or a folder lies there, inside the tree."""
    if isinstance(tree, Root):
        return os.path.exists(tree.absolute(path)) and tree.contains(path)
    missing: list[Skipped] = []
    return path == "." or not tree.problems([path]) or (bool(tree.entries(path, missing)) and not missing)


def _listed(tree: Tree, holder: Tree, path: str, skipped: list[Skipped]) -> Iterator[str]:
    """The pictures in a folder and those below, or in a list with a line for each that `holder` holds."""
    if not path.endswith(".txt"):
        yield from (picture for _, picture in tree.walk([path], (), skipped))
        return
    try:
        lines = holder.read(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        skipped.append(Skipped(path, f"the list of pictures cannot be read: {display(reason(error))[:120]}"))
        return
    for line in filter(None, map(str.strip, lines)):
        if has_image_suffix(line):
            yield picture_path(line, tree)
