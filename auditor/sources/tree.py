"""What every place of files can do: list a folder, walk through all, read a file. Folders and archives are trees."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from auditor.sources.base import Skipped

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
"""A folder is searched for files with these endings. Decoding shows what a file really is."""

_SIDE_CARS = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".db", ".ini"}
    | {".py", ".toml", ".npy"}
)
"""Endings of files that often lie beside images. They are left out in silence."""

_LITTER = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r"}
    | {"__macosx", "__pycache__", "lost+found", "found.000", "network trash folder", "temporary items"}
    | {"$recycle.bin", "recycler", "recycled", "system volume information", "thevolumesettingsfolder"}
    | {"@eadir", "@recycle", "@recently-snapshot", "@tmp", "@sharesnap", "@__thumb"}
    | {"#recycle", "#snapshot", "~snapshot"}
)
"""Names, in lower case, that Windows, macOS, Linux and network drives leave behind. They are left out in silence."""

_LITTER_ENDINGS = ("@synoeastream", "@synoresource", ":zone.identifier")
"""Endings, in lower case, of files that such drives and Windows put beside each image."""


def join(folder: str, name: str) -> str:
    """A path relative to the root, with forward slashes. The root itself is ''."""
    return f"{folder}/{name}" if folder else name


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can carry the text. Python writes a byte that is not UTF-8 as a surrogate, which it cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_litter(name: str) -> bool:
    """Whether a system or another program leaves entries of this name behind. Hidden entries count too."""
    lower = name.lower()
    return name.startswith(".") or lower in _LITTER or lower.endswith(_LITTER_ENDINGS)


def has_image_suffix(name: str) -> bool:
    """Whether a file name has the ending of an image, in upper or lower case."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class Listing:
    """The names of a folder's entries, sorted by code point."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    links: tuple[str, ...]
    """Symbolic links to folders."""


class Tree(Protocol):
    """A place of files. Paths are relative to it, with forward slashes.

    Attributes
    ----------
    title
        Its name in a report.
    allow_outside
        Whether paths may leave it.
    """

    allow_outside: bool

    @property
    def title(self) -> str: ...

    def entries(self, folder: str, skipped: list[Skipped]) -> Listing:
        """The entries of a folder. Those that cannot be used are added to `skipped`."""
        ...

    def walk(self, real: Iterable[str], linked: Iterable[str], skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
        """Every image below the given folders, as (given folder, path of the image)."""
        ...

    def below(self, path: str) -> str:
        """An absolute path as one relative to the tree, where it begins with the tree. Otherwise as it is."""
        ...

    def problems(self, paths: Iterable[str]) -> dict[str, str]:
        """What is wrong with a path: missing, not a file, or outside. The value holds the bad paths only."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a file. It raises `OSError` if it cannot."""
        ...

    def locate(self, path: str) -> str | None:
        """The absolute file name, or None where there is no file of its own."""
        ...


def images_of(folder: str, listing: Listing, skipped: list[Skipped]) -> list[str]:
    """The files of a listing with the ending of an image. Others are skipped, in silence if they are side files."""
    names = []
    for name in listing.files:
        suffix = os.path.splitext(name)[1].lower()
        if suffix in IMAGE_SUFFIXES:
            names.append(name)
        elif suffix not in _SIDE_CARS:
            path = join(folder, name)
            skipped.append(Skipped(path, f"not an image's file name ending: '{suffix}'" if suffix else "no ending"))
    return names


def name_problem(name: str) -> str:
    """Why a name cannot be used. Empty if it can."""
    return "" if is_utf8(name) else "its name is not valid UTF-8"
