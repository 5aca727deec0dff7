"""The files inside an archive as a tree. They are read where they lie; nothing is unpacked to the disk.

Archives can be hostile. No name leaves the archive, links and devices are left out, what is encrypted is said, and no
file may unpack to more than a folder's file may hold.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from auditor.errors import SourceError
from auditor.sources.base import Skipped
from auditor.sources.tree import Listing, Tree, images_of, is_litter, join, name_problem
from auditor.system.files import MAX_FILE_BYTES, reason
from auditor.system.text import display

_DRIVE = re.compile(r"[A-Za-z]:")

MOST_FILES = 10_000_000
"""An archive with more files is refused: each takes about a kilobyte of memory."""

MOST_FOLDER_BYTES = 2 << 30
"""Memory for the folders of an archive, about. A short file can name folders inside folders thousands deep."""

_FOLDER_BYTES = 700
"""What a folder takes beside its name."""

_DEEPEST_WRAPPER = 4
"""Folders around everything that are passed over: photos.zip holds photos/, and that holds the classes."""


@dataclass(frozen=True)
class Member:
    """A regular file of an archive.

    Attributes
    ----------
    name
        Its name as the archive has it.
    problem
        Why it cannot be used. Empty if it can.
    """

    name: str
    problem: str = ""


@dataclass(frozen=True)
class _Folder:
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


class Archive(Tree):
    """The files of an archive.

    Parameters
    ----------
    title
        Its name in a report.
    members
        What it holds, in its own order. Of two files with one name the last counts, as when it is unpacked.
    fetch
        `fetch(name)` gives the bytes of a file by its name in the archive. It raises `OSError` if it cannot.
    """

    allow_outside = False

    holder = "archive"
    """What holds the files, in messages."""

    def __init__(self, title: str, members: Iterable[Member], fetch: Callable[[str], bytes]) -> None:
        self._title = title
        self._fetch = fetch
        self._names: dict[str, str] = {}
        self._top = ""
        self.skipped: list[Skipped] = []
        """Entries that cannot be used, in the order of the archive."""
        for member in members:
            path, problem = placed(member.name)
            problem = problem or member.problem
            if path is None and not problem:
                continue
            if problem:
                self.skipped.append(Skipped(display(path or member.name)[:300], problem))
                continue
            assert path is not None
            if path in self._names:
                self.skipped.append(
                    Skipped(path, f"the {self.holder} holds several files of this name; the last one counts")
                )
            self._names[path] = member.name
        self._folders = self._all_folders()

    def _all_folders(self) -> dict[str, _Folder]:
        """What lies in each folder. The top is ''.

        Raises
        ------
        SourceError
            They would take too much memory.
        """
        found, size = {"": _Folder()}, 0
        for path in self._names:
            above, _, name = path.rpartition("/")
            known = above in found
            found.setdefault(above, _Folder()).files.add(name)
            while not known:
                size += len(above) + _FOLDER_BYTES
                if size > MOST_FOLDER_BYTES:
                    raise SourceError(
                        f"the {self.holder} {display(self._title)} holds too many folders, or too deep ones, to list",
                        hint="put the images into fewer folders, one a class",
                    )
                above, _, name = above.rpartition("/")
                known = above in found
                found.setdefault(above, _Folder()).folders.add(name)
        return found

    @property
    def title(self) -> str:
        """The name of the archive."""
        return self._title

    @property
    def top(self) -> str:
        """The folder inside the archive where the tree begins. Empty where that is the archive itself."""
        return self._top

    def without_wrappers(self) -> str:
        """Let the tree begin inside folders that hold everything else. The place where it now begins."""
        for _ in range(_DEEPEST_WRAPPER):
            listing = self.entries("", [])
            if len(listing.folders) != 1 or listing.files:
                break
            below = self.entries(listing.folders[0], [])
            if images_of("", below, []) or not below.folders:
                break
            self._top = join(self._top, listing.folders[0])
        return self._top

    def entries(self, folder: str, skipped: list[Skipped]) -> Listing:
        """The entries of a folder. What cannot be used stands in `Archive.skipped` from the start."""
        found = self._folders.get(join(self._top, folder) if folder else self._top)
        if found is None:
            skipped.append(Skipped(display(folder), f"the folder cannot be listed: it is not in the {self.holder}"))
            return Listing((), (), ())
        return Listing(tuple(sorted(found.files)), tuple(sorted(found.folders)), ())

    def walk(self, real: Iterable[str], linked: Iterable[str], skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
        """Every image below the given folders, as (given folder, path of the image)."""
        for top in (*real, *linked):
            left = [top]
            while left:
                folder = left.pop()
                listing = self.entries(folder, skipped)
                yield from ((top, join(folder, name)) for name in images_of(folder, listing, skipped))
                left.extend(join(folder, name) for name in reversed(listing.folders))

    def below(self, path: str) -> str:
        """The path as it is: an archive has no absolute paths."""
        return path

    def problems(self, paths: Iterable[str]) -> dict[str, str]:
        """The paths that the archive does not hold."""
        return {path: f"not in the {self.holder}" for path in paths if join(self._top, path) not in self._names}

    def read(self, path: str) -> bytes:
        """The bytes of a file.

        Raises
        ------
        OSError
            It is not there, it is damaged, or it is larger than `MAX_FILE_BYTES`.
        """
        name = self._names.get(join(self._top, path))
        if name is None:
            raise FileNotFoundError(errno.ENOENT, f"the {self.holder} has no such file", path)
        return self._fetch(name)

    def locate(self, path: str) -> str | None:
        """None: a file inside an archive has no name on the disk."""
        return None


def placed(name: str) -> tuple[str | None, str]:
    """A member's name as a path inside the archive, and why it cannot be used.

    Both are nothing for a name that systems leave behind, which is passed over in silence.
    """
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        return None, "leads outside the root"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or any(map(is_litter, parts)):
        return None, ""
    if "\0" in name:
        return None, "its name holds a NUL character"
    return "/".join(parts), name_problem(name)


def too_many(title: str) -> SourceError:
    """The error for an archive of more files than can be listed."""
    return SourceError(f"{display(title)} holds more than {MOST_FILES:,} files", hint="divide it into several archives")


def too_large(path: str) -> OSError:
    """The error for a file that unpacks to more than may be read."""
    return OSError(errno.EFBIG, f"unpacks to more than {MAX_FILE_BYTES} bytes", path)


def damaged(path: str, error: Exception) -> OSError:
    """The error for a file that the archive cannot give."""
    return OSError(errno.EIO, f"the archive is damaged there: {display(reason(error))[:200]}", path)
