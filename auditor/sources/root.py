"""Safe listing and reading of files below one root folder. Every source that reads files does it through `Root`.

The files can be hostile. Links that leave the root are refused unless they are allowed. Pipes, sockets and devices are
never opened. Each folder is listed once, however many links lead to it. A name that is not UTF-8 is left out, and shown
in a printable form.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from auditor.errors import SourceError
from auditor.sources.base import Skipped
from auditor.sources.tree import Listing, images_of, is_litter, is_utf8, join, name_problem
from auditor.system.files import kind_of, read_regular, reason
from auditor.system.text import display

ODD_PATH = re.compile(r"^[/\\]|^[A-Za-z]:[/\\]|(?:^|/)\.{0,2}(?:/|$)|\0")
"""Paths that need a closer look: absolute, with a drive, with an empty, `.` or `..` part, or with a NUL."""

_MANY = 32
"""With more files than this in one folder, listing the folder is quicker than asking for each file."""


class Root:
    """A folder. Files below it may be listed and read.

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

    @property
    def title(self) -> str:
        """The folder's own name."""
        return os.path.basename(self.real) or self.real

    def absolute(self, path: str) -> str:
        """The file name of a path relative to the root."""
        return os.path.join(self.folder, path) if path else self.folder

    def below(self, path: str) -> str:
        """An absolute path as one relative to the root, where it begins with the root. Otherwise as it is."""
        for folder in {self.folder, self.real}:
            start = folder.rstrip(os.sep) + os.sep
            if path.startswith(start) and path != start:
                return path[len(start) :].lstrip("/")
        return path

    def locate(self, path: str) -> str | None:
        """The absolute file name of a listed image, or None if UTF-8 cannot carry it."""
        name = self.absolute(path)
        return name if is_utf8(name) else None

    def contains(self, path: str) -> bool:
        """Whether a relative path, with links resolved, stays below the root. True if it may lead outside."""
        return self.allow_outside or self._holds(os.path.realpath(self.absolute(path)))

    def entries(self, folder: str, skipped: list[Skipped]) -> Listing:
        """The entries of a folder below the root. Those that cannot be used are added to `skipped`."""
        files, folders, links = list[str](), list[str](), list[str]()
        try:
            with os.scandir(self.absolute(folder)) as found_entries:
                found = sorted(found_entries, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(display(folder), f"the folder cannot be listed: {reason(error)}"))
            return Listing((), (), ())
        for entry in found:
            if is_litter(entry.name):
                continue
            path = join(folder, entry.name)
            if entry.is_file(follow_symlinks=False):
                target, problem = files, name_problem(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                target, problem = folders, name_problem(entry.name)
            else:
                is_folder, problem = self._follow(path)
                problem = name_problem(entry.name) or problem
                target = links if is_folder else files
            if problem:
                skipped.append(Skipped(display(path), problem))
            else:
                target.append(entry.name)
        return Listing(tuple(files), tuple(folders), tuple(links))

    def walk(self, real: Iterable[str], linked: Iterable[str], skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
        """Every image below the given folders, as (given folder, path of the image).

        Each folder of the disk is listed once. The `linked` folders, and folders behind other links, come after all
        `real` ones. So a link never takes the place of the folder it leads to, and a loop of links ends. The folders
        above the given ones count as listed.
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
            yield from ((top, join(folder, name)) for name in images_of(folder, listing, skipped))
            first.extend((top, join(folder, name)) for name in reversed(listing.folders))
            last.extend((top, join(folder, name)) for name in listing.links)

    def problems(self, paths: Iterable[str]) -> dict[str, str]:
        """What is wrong with a path: missing, not a file, or outside the root. The value holds the bad paths only."""
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
        """The bytes of a regular file below the root.

        Raises
        ------
        OSError
            It is anything else. A pipe or a device is refused at once: nothing waits for it.
        """
        return read_regular(self.absolute(path), inside=None if self.allow_outside else self._holds)

    def _holds(self, real: str) -> bool:
        """Whether an absolute path without links lies below the root."""
        return real == self.real or real.startswith(self.real.rstrip(os.sep) + os.sep)

    def _regular_files(self, folder: str) -> frozenset[str]:
        """The regular files of a folder, found with one question to the system. Empty if it cannot be listed."""
        try:
            with os.scandir(self.absolute(folder)) as found:
                return frozenset(entry.name for entry in found if entry.is_file(follow_symlinks=False))
        except OSError:
            return frozenset()

    def _file_problem(self, path: str) -> str:
        """Why a path cannot be read as a file. Empty if it can."""
        try:
            mode = os.lstat(self.absolute(path)).st_mode
        except (OSError, ValueError) as error:
            return reason(error)
        if stat.S_ISREG(mode):
            return ""
        is_folder, problem = self._follow(path)
        return problem or ("a folder, not a file" if is_folder else "")

    def _follow(self, path: str) -> tuple[bool, str]:
        """Whether a link or a special entry leads to a folder, and why it cannot be used. Empty if it can."""
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
        """Device and inode: two names of one folder have the same."""
        status = os.stat(self.absolute(folder))
        return status.st_dev, status.st_ino

    def _first_visit(self, folder: str, skipped: list[Skipped], seen: set[tuple[int, int]]) -> bool:
        """Whether the folder is not in `seen` yet. Then it is added, otherwise skipped."""
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
