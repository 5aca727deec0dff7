"""Copies of objects on this machine, by what the store says of their content. Each is hashed when it is taken again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from auditor.sources.remote.reach import Reach
from auditor.sources.remote.store import Entry
from auditor.system.files import default_cache

FOLDER = "objects"

IN_USE = 24 * 3600.0
"""Copies that were used within these seconds are never removed: another audit may read them."""

_DIGEST = hashlib.sha256().digest_size


class Copies:
    """Copies in the cache folder, at most as many bytes as the reach allows.

    A copy is a file that begins with the sha256 of what follows. A damaged one is fetched again. Where there is no
    room, the copies that nobody used for a day go first; if that is not enough, nothing is added.
    """

    def __init__(self, reach: Reach) -> None:
        self.folder = (Path(reach.folder).expanduser() if reach.folder else default_cache()) / FOLDER
        self.limit = reach.limit
        self._lock = threading.Lock()
        self._size: int | None = None

    def get(self, identity: str, entry: Entry) -> bytes | None:
        """The bytes of an object of exactly this version. None where there is no copy, or a damaged one."""
        path = self._path(identity, entry)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        content = data[_DIGEST:]
        if hashlib.sha256(content).digest() != data[:_DIGEST] or 0 <= entry.size != len(content):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content

    def add(self, identity: str, entry: Entry, content: bytes) -> None:
        """Keep the bytes of an object. A cache that cannot be written is no error."""
        path = self._path(identity, entry)
        if path is None or not self._room(len(content) + _DIGEST):
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".auditor-", suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(content).digest() + content)
                os.replace(name, path)
            except OSError:
                os.unlink(name)
                raise

    def file(self, identity: str, entry: Entry) -> Path | None:
        """Where a whole file of this version lies or would lie as it is; None where nothing may be kept of it."""
        path = self._path(identity, entry)
        return None if path is None else path.with_suffix(".d") / plain_name(entry.key)

    def known(self, identity: str, entry: Entry) -> Path | None:
        """A whole file of this version, if its content is what it was; else None."""
        place = self.file(identity, entry)
        if place is None:
            return None
        try:
            said = place.with_name("sha256").read_bytes()
            with place.open("rb") as file:
                if hashlib.file_digest(file, "sha256").digest() != said:
                    return None
            os.utime(place)
        except OSError:
            return None
        return place

    def adopt(self, identity: str, entry: Entry, made: Path, digest: bytes) -> Path | None:
        """Take a file that was just written into the cache. The value is its new place; None where there is no room."""
        place = self.file(identity, entry)
        if place is None or not self._room(made.stat().st_size):
            return None
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(made, place)
            place.with_name("sha256").write_bytes(digest)
        except OSError:
            return None
        return place

    def _path(self, identity: str, entry: Entry) -> Path | None:
        if not entry.version:
            return None
        text = json.dumps([identity, entry.key, entry.version, entry.size])
        name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / name[:2] / name

    def _room(self, wanted: int) -> bool:
        """Whether so many bytes more may lie here. Room is made for them where that is possible."""
        if wanted > self.limit:
            return False
        with self._lock:
            if self._size is None:
                self._size = sum(size for _, size, _ in self._listed())
            if self._size + wanted > self.limit:
                self._forget(self._size + wanted - self.limit)
            if self._size + wanted > self.limit:
                return False
            self._size += wanted
            return True

    def _forget(self, wanted: int) -> None:
        """Remove what nobody used for a day, the oldest first, until `wanted` bytes are free."""
        assert self._size is not None
        now = time.time()
        for used, size, path in sorted(self._listed()):
            if wanted <= 0 or now - used < IN_USE:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                self._size -= size
                wanted -= size

    def _listed(self) -> Iterator[tuple[float, int, Path]]:
        for above, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):
                    status = os.lstat(os.path.join(above, name))
                    yield status.st_mtime, status.st_size, Path(above, name)


def plain_name(key: str) -> str:
    """A file name for an object that is safe everywhere and keeps its ending."""
    name = key.rstrip("/").rpartition("/")[2]
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    return safe[-120:].lstrip(".") or "object"
