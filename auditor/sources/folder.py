"""The source for a folder with one sub-folder a class, with or without train, val and test above the classes."""

from __future__ import annotations

import os

from auditor.sources.base import Columns, ImageTable, Skipped, make_table, split_name
from auditor.sources.root import Listing, Root, join
from auditor.system.text import display


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
        skipped: list[Skipped] = []
        top = root.entries("", skipped)
        _stray_images(root, "", top, skipped)
        real, linked = _class_folders(root, top, skipped)
        classes = {**real, **linked}
        found = list(root.walk(sorted(real), sorted(linked), skipped))
        used = {folder for folder, _ in found}
        skipped += [Skipped(path, "a class folder without images") for path in classes if path not in used]
        name = os.path.basename(root.real) or root.real
        images = Columns(
            paths=[image for _, image in found],
            labels=[classes[folder][0] for folder, _ in found],
            splits=[classes[folder][1] for folder, _ in found],
        )
        return make_table(
            display(name),
            display(spec),
            images,
            read=root.read,
            locate=root.locate,
            skipped=skipped,
            empty=(label for label, _ in classes.values()),
        )


_Classes = dict[str, tuple[str, str]]
"""Class folder -> (label, split)."""


def _class_folders(root: Root, top: Listing, skipped: list[Skipped]) -> tuple[_Classes, _Classes]:
    """The class folders of the disk, and the class folders behind a symbolic link."""
    splits = _split_folders(root, top)
    if not splits:
        return {name: (name, "") for name in top.folders}, {name: (name, "") for name in top.links}
    real: _Classes = {}
    linked: _Classes = {}
    for part in (*top.folders, *top.links):
        if part not in splits:
            skipped.append(Skipped(part, "lies beside the folders of the splits, so it is no class"))
            continue
        listing = root.entries(part, skipped)
        _stray_images(root, part, listing, skipped)
        for name in (*listing.folders, *listing.links):
            target = real if part in top.folders and name in listing.folders else linked
            target[f"{part}/{name}"] = (name, splits[part])
    return real, linked


def _split_folders(root: Root, top: Listing) -> dict[str, str]:
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


def _stray_images(root: Root, folder: str, listing: Listing, skipped: list[Skipped]) -> None:
    """Skip the images that lie outside the class folders, in one entry, since there can be very many of them."""
    strays = root.images(folder, listing, [])
    if strays:
        more = f" (and {len(strays) - 1} more beside it)" if len(strays) > 1 else ""
        skipped.append(Skipped(join(folder, strays[0]), "not in a class folder" + more))
