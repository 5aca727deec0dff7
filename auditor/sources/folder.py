"""The source for a folder with one sub-folder a class, with or without train, val and test above the classes."""

from __future__ import annotations

import os
from dataclasses import replace

from auditor.sources.base import Columns, ImageTable, Skipped, make_table, split_name
from auditor.sources.layout import NEUTRAL, Classes, shown, understand
from auditor.sources.metadata import metadata_table
from auditor.sources.root import Root
from auditor.sources.tree import Listing, Tree, images_of, join
from auditor.system.text import display

_DEEPEST_WRAPPER = 4
"""Folders that may lie between a split and its class folders."""


class FolderSource:
    """SOURCE is a folder. Its sub-folders, or those of its split folders, name the class of all images in them."""

    name = "folder"
    looks_for = "a folder with one sub-folder a class, with or without train, val and test above the classes"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is a folder."""
        return os.path.isdir(spec)

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the folder.

        Raises
        ------
        SourceError
            The folder cannot be listed, or no class folder holds an image.
        """
        root = Root(spec, allow_outside=allow_outside)
        return metadata_table(root, spec) or classes_table(root, spec)


def classes_table(root: Tree, spec: str) -> ImageTable:
    """The table of a tree whose folders name classes, or splits and below them classes.

    Parameters
    ----------
    spec
        What the user wrote as SOURCE.

    Raises
    ------
    SourceError
        No class folder holds an image.
    """
    skipped, notes = list[Skipped](), list[str]()
    top = root.entries("", skipped)
    _stray_images(root, "", top, skipped)
    real, linked = _class_folders(root, top, skipped, notes)
    classes = {**real, **linked}
    listed = list(root.walk(sorted(real), sorted(linked), skipped))
    used = {folder for folder, _ in listed}
    skipped += [Skipped(path, "a class folder without images") for path in classes if path not in used]
    layout = understand(spec, classes, listed)
    left = {folder for folder, _ in layout.found}
    table = make_table(
        display(root.title),
        display(spec),
        Columns([image for _, image in layout.found], [classes[f][0] for f, _ in layout.found], layout.splits),
        read=root.read,
        locate=root.locate,
        skipped=[*skipped, *layout.skipped],
        empty=(label for folder, (label, _) in classes.items() if folder in left or folder not in used),
    )
    return replace(table, notes=(*notes, *layout.notes, *table.notes), doubt=layout.doubt)


def _class_folders(root: Tree, top: Listing, skipped: list[Skipped], notes: list[str]) -> tuple[Classes, Classes]:
    """The class folders of the disk, and the class folders behind a symbolic link."""
    splits = _split_folders(root, top)
    if not splits:
        return {name: (name, "") for name in top.folders}, {name: (name, "") for name in top.links}
    real: Classes = {}
    linked: Classes = {}
    places = {part: _class_level(root, part, notes) for part in splits}
    for part, place in places.items():
        listing = root.entries(place, skipped)
        _stray_images(root, place, listing, skipped)
        for name in (*listing.folders, *listing.links):
            target = real if part in top.folders and name in listing.folders else linked
            target[f"{place}/{name}"] = (name, splits[part])
    for part in (*top.folders, *top.links):
        if part not in splits:
            _beside(root, part, {label for label, _ in (*real.values(), *linked.values())}, skipped, notes)
    return real, linked


def _class_level(root: Tree, part: str, notes: list[str]) -> str:
    """The folder of a split that holds its class folders. Archives often repeat the split: seg_train/seg_train/cat."""
    place = part
    for _ in range(_DEEPEST_WRAPPER):
        listing = root.entries(place, [])
        if len(listing.folders) != 1 or listing.links or images_of(place, listing, []):
            break
        inside = listing.folders[0]
        if not (inside == part or split_name(inside) or inside.lower() in NEUTRAL):
            break
        if len(root.entries(join(place, inside), []).folders) < 2:
            break
        place = join(place, inside)
    if place != part:
        notes.append(f"The class folders of '{display(part)}' were found in '{display(place)}'.")
    return place


def _beside(root: Tree, part: str, labels: set[str], skipped: list[Skipped], notes: list[str]) -> None:
    """Skip a folder beside the splits. If it repeats their classes, it may well be a split: say so."""
    reason = "lies beside the folders of the splits, so it is no class"
    listing = root.entries(part, [])
    repeated = labels & {*listing.folders, *listing.links}
    if len(repeated) > 1:
        n = sum(1 for _ in root.walk([part], (), []))
        reason = f"lies beside the folders of the splits and repeats their classes; its {n} images are left out"
        notes.append(
            f"The folder '{display(part)}' lies beside the splits and repeats their classes ({shown(repeated)}). Its "
            f"{n} images were left out. To audit them too, give it a split's name: train, val or test."
        )
    skipped.append(Skipped(part, reason))


def _split_folders(root: Tree, top: Listing) -> dict[str, str]:
    """The top folders that are splits, with the name of the split. Empty if the top folders are classes.

    A folder called train is a split if it holds folders. A class with that name would hold its images directly. If
    folders with other names lie beside the splits, only a train folder proves that these are splits at all.
    """
    named = {name: split_name(name) or "" for name in (*top.folders, *top.links)}
    splits = {name: split for name, split in named.items() if split}
    listings = {name: root.entries(name, []) for name in splits}
    if not any(listing.folders or listing.links for listing in listings.values()):
        return {}
    proven = any(
        split == "train" and (listings[name].folders or listings[name].links) for name, split in splits.items()
    )
    return splits if proven or len(splits) == len(named) else {}


def _stray_images(root: Tree, folder: str, listing: Listing, skipped: list[Skipped]) -> None:
    """Skip the images that lie outside the class folders, in one entry, since there can be very many of them."""
    strays = images_of(folder, listing, [])
    if strays:
        more = f" (and {len(strays) - 1} more beside it)" if len(strays) > 1 else ""
        skipped.append(Skipped(join(folder, strays[0]), "not in a class folder" + more))
