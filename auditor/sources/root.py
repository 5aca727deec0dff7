"""The file system as hostile ground: listing and reading below one root, and nothing else.

Every source that reads files does it through `Root`. Links that leave the root are refused unless allowed, pipes,
sockets and devices are never opened, each folder is listed once however many links lead to it, and names that cannot
be written as UTF-8 are turned away with a printable stand-in.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.sources.base import Skipped
from auditor.system.files import kind_of, read_regular, reason
from auditor.system.text import display

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Endings of the files that a folder is searched for; what a file really is, is found when it is decoded."""

_SIDE_CARS = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".db", ".ini"}
    | {".py", ".toml", ".npy"}
)

_MANY = 32
"""From so many files in one folder on, listing it is quicker than asking for each."""

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "__pycache__"})


def join(folder: str, name: str) -> str:
    """A path relative to the root, with forward slashes; the root itself is ''."""
    return f"{folder}/{name}" if folder else name


def is_utf8(text: str) -> bool:
    """False where `text` holds surrogates, the stand-ins of bytes that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def has_image_suffix(name: str) -> bool:
    """Whether a file name ends like an image's, in any case."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class Listing:
    """One folder's entries, by name in code-point order."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    links: tuple[str, ...]
    """Symbolic links to folders."""


class Root:
    """A folder below which files may be listed and read.

    Parameters
    ----------
    folder
        The folder, as the user wrote it.
    allow_outside
        Follow links and paths that leave it.

    Raises
    ------
    SourceError
        The folder is missing, is not a folder or cannot be listed.
    """

    def __init__(self, folder: str, *, allow_outside: bool = False) -> None:
        self.folder = os.path.abspath(folder)
        self.real = os.path.realpath(folder)
        self.allow_outside = allow_outside
        try:
            with os.scandir(self.folder):
                pass
        except OSError as error:
            raise SourceError(
                f"cannot list the folder {display(folder)}: {reason(error)}", hint="check the path and its permissions"
            ) from error

    def absolute(self, path: str) -> str:
        """The file name of a path relative to the root."""
        return os.path.join(self.folder, path) if path else self.folder

    def locate(self, path: str) -> str | None:
        """The absolute file name of a listed image, or None where it cannot be written as UTF-8."""
        name = self.absolute(path)
        return name if is_utf8(name) else None

    def contains(self, path: str) -> bool:
        """Whether the file behind a relative path, links resolved, lies below the root (or need not)."""
        return self.allow_outside or self._holds(os.path.realpath(self.absolute(path)))

    def entries(self, folder: str, skipped: list[Skipped]) -> Listing:
        """The entries of a folder below the root; what cannot be used is added to `skipped`, litter is left out."""
        files, folders, links = list[str](), list[str](), list[str]()
        try:
            with os.scandir(self.absolute(folder)) as found_entries:
                found = sorted(found_entries, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(display(folder), f"the folder cannot be listed: {reason(error)}"))
            return Listing((), (), ())
        for entry in found:
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                continue
            path = join(folder, entry.name)
            if entry.is_file(follow_symlinks=False):
                target, problem = files, _name_problem(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                target, problem = folders, _name_problem(entry.name)
            else:
                is_folder, problem = self._follow(path)
                problem = _name_problem(entry.name) or problem
                target = links if is_folder else files
            if problem:
                skipped.append(Skipped(display(path), problem))
            else:
                target.append(entry.name)
        return Listing(tuple(files), tuple(folders), tuple(links))

    def walk(self, real: Iterable[str], linked: Iterable[str], skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
        """Every image below the given folders, as (given folder, image), each folder of the disk once.

        `linked` folders, and those found behind links, come after all real ones: a link never takes the place of the
        folder it leads to, and a loop of links ends. The folders above the given ones count as listed.
        """
        real, linked = list(real), list(linked)
        seen = {self._identity(folder.rpartition("/")[0]) for folder in ("", *real, *linked)}
        first = [(folder, folder) for folder in reversed(real)]
        last = deque((folder, folder) for folder in linked)
        while first or last:
            top, folder = first.pop() if first else last.popleft()
            if not self._first_visit(folder, skipped, seen):
                continue
            listing = self.entries(folder, skipped)
            yield from ((top, join(folder, name)) for name in self.images(folder, listing, skipped))
            first.extend((top, join(folder, name)) for name in reversed(listing.folders))
            last.extend((top, join(folder, name)) for name in listing.links)

    def images(self, folder: str, listing: Listing, skipped: list[Skipped]) -> list[str]:
        """The files of a listing whose names end like an image's; others are named unless they are plain side files."""
        names = []
        for name in listing.files:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in IMAGE_SUFFIXES:
                names.append(name)
            elif suffix not in _SIDE_CARS:
                path = join(folder, name)
                skipped.append(Skipped(path, f"not an image's file name ending: '{suffix}'" if suffix else "no ending"))
        return names

    def problems(self, paths: Iterable[str]) -> dict[str, str]:
        """What is wrong with each of many paths: missing, not a file, or outside the root. Good paths are absent."""
        by_folder: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            by_folder[path.rpartition("/")[0] if "/" in path[1:] else path[: path.startswith("/")]].append(path)
        found: dict[str, str] = {}
        for folder, members in by_folder.items():
            if not self.contains(folder):
                found.update((path, "leads outside the root") for path in members)
                continue
            regular = self._regular_files(folder) if len(members) > _MANY else frozenset()
            for path in members:
                problem = "" if path.rpartition("/")[2] in regular else self._file_problem(path)
                if problem:
                    found[path] = problem
        return found

    def read(self, path: str) -> bytes:
        """The bytes of a regular file below the root; `OSError` for everything else, without ever blocking."""
        return read_regular(self.absolute(path), inside=None if self.allow_outside else self._holds)

    def _holds(self, real: str) -> bool:
        return real == self.real or real.startswith(self.real.rstrip(os.sep) + os.sep)

    def _regular_files(self, folder: str) -> frozenset[str]:
        """The plain files of a folder, empty where it cannot be listed: one question instead of one a file."""
        try:
            with os.scandir(self.absolute(folder)) as found:
                return frozenset(entry.name for entry in found if entry.is_file(follow_symlinks=False))
        except OSError:
            return frozenset()

    def _file_problem(self, path: str) -> str:
        try:
            mode = os.lstat(self.absolute(path)).st_mode
        except (OSError, ValueError) as error:
            return reason(error)
        if stat.S_ISREG(mode):
            return ""
        is_folder, problem = self._follow(path)
        return problem or ("a folder, not a file" if is_folder else "")

    def _follow(self, path: str) -> tuple[bool, str]:
        """Whether a link or special entry is a folder in the end, and why it cannot be used ('' when it can)."""
        try:
            mode = os.stat(self.absolute(path)).st_mode
        except OSError as error:
            return False, f"a symbolic link that leads nowhere: {reason(error)}"
        if not self.contains(path):
            return False, "a symbolic link that leads outside the root"
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            return stat.S_ISDIR(mode), ""
        return False, f"{kind_of(mode)}, not a file"

    def _identity(self, folder: str) -> tuple[int, int]:
        status = os.stat(self.absolute(folder))
        return status.st_dev, status.st_ino

    def _first_visit(self, folder: str, skipped: list[Skipped], seen: set[tuple[int, int]]) -> bool:
        try:
            identity = self._identity(folder)
        except OSError as error:
            skipped.append(Skipped(display(folder), f"the folder cannot be listed: {reason(error)}"))
            return False
        if identity in seen:
            skipped.append(Skipped(folder, "a symbolic link to a folder that is already listed"))
            return False
        seen.add(identity)
        return True


def _name_problem(name: str) -> str:
    return "" if is_utf8(name) else "its name is not valid UTF-8"
