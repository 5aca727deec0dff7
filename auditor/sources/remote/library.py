"""Objects of one place, read through the copies on this machine. Sizes and versions are checked on the way."""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from auditor.errors import SourceError
from auditor.sources.remote.address import S3, WEB, Address
from auditor.sources.remote.copies import Copies, plain_name
from auditor.sources.remote.other import OtherStore
from auditor.sources.remote.reach import Reach
from auditor.sources.remote.s3 import S3Store
from auditor.sources.remote.store import MOST_OBJECTS, Entry, Store
from auditor.sources.remote.trouble import tried
from auditor.sources.remote.web import WebStore
from auditor.system.files import MAX_FILE_BYTES
from auditor.system.text import display

LARGEST_FILE = 256 << 30
"""Larger archives are refused."""

SAY_EVERY = 10.0
"""Seconds between two reports of how many bytes have come."""


class Traffic:
    """Counts what was fetched and what was here already. Threads may share it."""

    def __init__(self, shown: str, reach: Reach) -> None:
        self._shown, self._reach, self._lock = shown, reach, threading.Lock()
        self._said = time.monotonic()
        self.objects = self.bytes = self.here = 0

    def fetched(self, n_bytes: int, *, objects: int = 0) -> None:
        """Some more bytes came, and with them so many whole objects."""
        with self._lock:
            self.objects += objects
            self.bytes += n_bytes
            due = time.monotonic() - self._said >= SAY_EVERY
            if due:
                self._said = time.monotonic()
        if due:
            self._reach.say(f"  {display(self._shown)}: {self.words()}")

    def found(self) -> None:
        """An object was here already."""
        with self._lock:
            self.here += 1

    def words(self) -> str:
        """How much it was."""
        known = f", {self.here:,} more were on this machine" if self.here else ""
        return f"{self.objects:,} object{'s' * (self.objects != 1)} fetched, {_size(self.bytes)}{known}"


def _size(n: int) -> str:
    return f"{n / 1e9:,.2f} GB" if n >= 1e9 else f"{n / 1e6:,.1f} MB" if n >= 1e5 else f"{n:,} bytes"


class Library:
    """Reads the objects of an address.

    Parameters
    ----------
    address
        What a person named.
    reach
        Their leave.

    Raises
    ------
    SourceError
        The package for this kind of store is missing.
    """

    def __init__(self, address: Address, reach: Reach) -> None:
        self.address, self.reach = address, reach
        self.store: Store = _store(address)
        self.copies = Copies(reach)
        self.traffic = Traffic(address.shown, reach)
        self._identity = ""

    def __reduce__(self) -> tuple[type[Library], tuple[Address, Reach]]:
        return Library, (self.address, Reach(self.reach.folder, self.reach.limit))

    @property
    def identity(self) -> str:
        """What tells the place from others."""
        if not self._identity:
            self._identity = tried(self.address.shown, lambda: self.store.identity)
        return self._identity

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins with `prefix`.

        Raises
        ------
        SourceError
            The store refuses it, or has too many objects there.
        """
        try:
            found: list[Entry] = tried(self.address.shown, lambda: self._counted(prefix))
        except OSError as error:
            raise SourceError(
                f"{display(self.address.shown)} cannot be listed: {error.strerror}",
                hint="check the address, and that these credentials may list it",
            ) from error
        return iter(found)

    def _counted(self, prefix: str) -> list[Entry]:
        found, said = list[Entry](), time.monotonic()
        for entry in self.store.listed(prefix):
            found.append(entry)
            if len(found) > MOST_OBJECTS:
                raise SourceError(
                    f"{display(self.address.shown)} holds more than {MOST_OBJECTS:,} objects",
                    hint="name a folder below it",
                )
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                self.reach.say(f"  {display(self.address.shown)}: {len(found):,} objects listed")
        return found

    def read(self, entry: Entry) -> bytes:
        """The bytes of an object.

        Raises
        ------
        OSError
            It is gone, has changed since it was listed, is larger than was said, or larger than `MAX_FILE_BYTES`.
        SourceError
            The store does not answer.
        """
        if entry.size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES} bytes")
        identity = self.identity  # asked for here: the store's own thread cannot ask
        kept = self.copies.get(identity, entry) if entry.version and entry.size >= 0 else None
        if kept is not None:
            self.traffic.found()
            return kept
        sink: _InMemory = tried(self.address.shown, lambda: self._sent(entry, _InMemory(self, entry)))
        if sink.kept is not None:
            self.traffic.found()
            return sink.kept
        content = bytes(sink.data)
        self.copies.add(identity, sink.entry, content)
        self.traffic.fetched(len(content), objects=1)
        return content

    def _sent(self, entry: Entry, sink: _InMemory) -> _InMemory:
        self.store.send(entry, sink)
        return sink

    def file(self, entry: Entry) -> tuple[Path, object]:
        """A local file with the bytes of an object, and what keeps it there as long as it lives.

        Raises
        ------
        SourceError
            It cannot be read, or is larger than the disk or `LARGEST_FILE`.
        """
        shown = display(self.address.shown)
        holder = tempfile.TemporaryDirectory(prefix="auditor-")
        target = Path(holder.name) / plain_name(entry.key)
        sink = _InFile(self, target, self.identity)
        try:
            tried(self.address.shown, lambda: self._written(entry, sink))
        except OSError as error:
            raise SourceError(f"{shown} cannot be read: {error.strerror}", hint="check the address") from error
        if sink.kept is not None:
            self.traffic.found()
            holder.cleanup()
            return sink.kept, None
        self.traffic.fetched(0, objects=1)
        kept = self.copies.adopt(self.identity, sink.entry, target, sink.digest.digest())
        if kept is None:
            return target, holder
        holder.cleanup()
        return kept, None

    def _written(self, entry: Entry, sink: _InFile) -> None:
        with sink.target.open("wb") as file:
            sink.file, sink.digest, sink.size = file, hashlib.sha256(), 0
            self.store.send(entry, sink)

    def said(self) -> str:
        """What was fetched, and where copies lie, for the terminal."""
        where = f"; copies lie in {self.copies.folder}, at most {_size(self.copies.limit)}" if self.copies.limit else ""
        return f"  {display(self.address.shown)}: {self.traffic.words()}{where}"


@dataclass
class _InMemory:
    """Takes an object that is listed, or one of the web, whose size comes with its bytes."""

    library: Library
    wanted: Entry
    data: bytearray = field(default_factory=bytearray)
    entry: Entry = field(default_factory=lambda: Entry("", -1, ""))
    kept: bytes | None = None

    def begin(self, entry: Entry) -> bool:
        self.data.clear()
        if self.wanted.version and entry.version and entry.version != self.wanted.version:
            raise OSError(errno.EIO, "the object has changed since it was listed")
        self.entry = Entry(entry.key, entry.size, entry.version)
        if self.wanted.size < 0 and entry.version:
            self.kept = self.library.copies.get(self.library.identity, self.entry)
        return self.kept is None

    def take(self, part: bytes) -> None:
        self.data += part
        if 0 <= self.wanted.size < len(self.data):
            raise OSError(errno.EIO, "the object is larger than was said when it was listed")
        if len(self.data) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES} bytes")


@dataclass
class _InFile:
    """Writes an object to a file, unless there is a copy of it."""

    library: Library
    target: Path
    identity: str
    file: BinaryIO | None = None
    size: int = 0
    entry: Entry = field(default_factory=lambda: Entry("", -1, ""))
    kept: Path | None = None

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256()

    def begin(self, entry: Entry) -> bool:
        self.entry = entry
        self.kept = self.library.copies.known(self.identity, entry)
        if self.kept is None and entry.size > min(LARGEST_FILE, shutil.disk_usage(self.target.parent).free):
            raise OSError(errno.ENOSPC, f"it has {_size(entry.size)}, more than there is room for")
        return self.kept is None

    def take(self, part: bytes) -> None:
        assert self.file is not None
        self.size += len(part)
        if self.size > (self.entry.size if self.entry.size >= 0 else LARGEST_FILE):
            raise OSError(errno.EFBIG, "it is larger than the store says")
        self.file.write(part)
        self.digest.update(part)
        self.library.traffic.fetched(len(part))


def _store(address: Address) -> Store:
    if address.kind == S3:
        return S3Store(address)
    return WebStore(address) if address.kind == WEB else OtherStore(address)
