"""Places at an address as trees: objects below a prefix as the files of a folder, and files on the web by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from auditor.errors import SourceError
from auditor.sources.archive import Archive, Member
from auditor.sources.base import ImageTable, Skipped
from auditor.sources.remote.address import WEB, Address, is_address, parsed
from auditor.sources.remote.library import Library
from auditor.sources.remote.reach import Reach, unnamed
from auditor.sources.remote.store import Entry
from auditor.sources.tree import Listing, Tree
from auditor.system.text import display

AT_ONCE = 24
"""Objects that are fetched at a time. An answer takes tens of milliseconds, however small the object is."""


@dataclass(frozen=True)
class _Fetch:
    """Gives an object by its key below the prefix."""

    library: Library
    prefix: str
    known: Mapping[str, tuple[int, str]]
    """Size and version of each object."""

    def __call__(self, name: str) -> bytes:
        size, version = self.known[name]
        return self.library.read(Entry(self.prefix + name, size, version))


class Prefix(Archive):
    """The objects below a prefix, as the files of a folder.

    Keys can be hostile. None leaves the prefix, and what is no path on every machine is left out.
    """

    holder = "store"

    def __init__(self, library: Library) -> None:
        address = library.address
        self.library = library
        self._prefix = f"{address.key.strip('/')}/" if address.key.strip("/") else ""
        known: dict[str, tuple[int, str]] = {}
        members = list[Member]()
        for entry in library.listed(self._prefix):
            name = entry.key[len(self._prefix) :]
            if not entry.key.startswith(self._prefix) or not name or name.endswith("/"):
                continue  # the mark of a folder
            known[name] = (entry.size, entry.version)
            members.append(Member(name, "its name holds a backslash" if "\\" in name else ""))
        super().__init__(display(address.name), members, _Fetch(library, self._prefix, known))

    def below(self, path: str) -> str:
        """An address below this one as a path."""
        return _below(self.library.address, path)


class WebPlace:
    """Files on the web below a folder there. They are known by their names alone."""

    allow_outside = False

    def __init__(self, library: Library) -> None:
        self.library = library

    @property
    def title(self) -> str:
        """The folder's name."""
        return self.library.address.name

    def entries(self, folder: str, skipped: list[Skipped]) -> Listing:
        """Nothing: the web has no folders to list."""
        return Listing((), (), ())

    def walk(self, real: Iterable[str], linked: Iterable[str], skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
        """Nothing."""
        return iter(())

    def below(self, path: str) -> str:
        """An address below this one as a path."""
        return _below(self.library.address, path)

    def problems(self, paths: Iterable[str]) -> dict[str, str]:
        """None: whether a file is there shows when it is read."""
        return {}

    def read(self, path: str) -> bytes:
        """The bytes of a file. It raises `OSError` if it cannot."""
        folder = self.library.address.key.strip("/")
        return self.library.read(Entry(f"{folder}/{quote(path)}" if folder else quote(path), -1, ""))

    def locate(self, path: str) -> str | None:
        """None: it has no name on the disk."""
        return None


def _below(address: Address, path: str) -> str:
    if not is_address(path):
        return path
    try:
        found = parsed(path)
    except SourceError:
        return path
    start = f"{address.key.strip('/')}/" if address.key.strip("/") else ""
    same = (found.kind, found.place) == (address.kind, address.place) and found.secret == ("", "")
    return found.key[len(start) :] if same and found.key.startswith(start) else path


def place_at(spec: str, reach: Reach | None) -> Prefix | WebPlace:
    """The place at an address.

    Raises
    ------
    SourceError
        Nobody named the address, or the store cannot be read.
    """
    address = parsed(spec)
    if reach is None:
        raise unnamed(address.shown)
    if address.secret != ("", ""):
        raise SourceError(
            f"the root {display(address.shown)} was written with a password or a signature, which would be kept",
            hint="fetch the files, or keep the password in ~/.netrc",
        )
    library = Library(address, reach)
    return WebPlace(library) if address.kind == WEB else Prefix(library)


def in_store(table: ImageTable, tree: Tree) -> ImageTable:
    """A table that says where its files lie, if that is a place at an address; else the table as it is."""
    if not isinstance(tree, Prefix | WebPlace):
        return table
    shown = tree.library.address.shown
    return replace(table, root=display(shown), address=shown, at_once=AT_ONCE, said=tree.library.said)
