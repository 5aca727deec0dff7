"""Google's and Azure's stores and the Hugging Face Hub, through the file systems that fsspec knows for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.sources.remote.address import HUB, Address
from auditor.sources.remote.store import PART, Entry, FileSystemStore, Sink, missing_package
from auditor.sources.remote.trouble import IncompleteBodyError

_VERSIONS = ("etag", "ETag", "generation", "md5Hash", "content_md5", "blob_id", "xet_hash", "last_modified", "mtime")
"""What file systems call that which changes with an object's content, the first that is there."""


class OtherStore(FileSystemStore):
    """A container of Google's or Azure's, or a data set of the Hub. Credentials are where their own tools look.

    Raises
    ------
    SourceError
        The package for it is missing.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._opened()

    @property
    def identity(self) -> str:
        """The kind and the place."""
        return f"{self._address.kind}://{self._address.place}"

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins with `prefix`."""
        system, place = self._opened(), self._place
        system.invalidate_cache()
        start = f"{place}/{prefix}".rstrip("/")
        try:
            found = system.find(start, detail=True, withdirs=False)
        except FileNotFoundError:
            return
        for name in sorted(found):
            key = name.lstrip("/").removeprefix(f"{place}/")
            if key.startswith(prefix):
                yield _entry(key, found[name])

    def send(self, wanted: Entry, sink: Sink) -> None:
        """Give the bytes of an object."""
        system, path = self._opened(), f"{self._place}/{wanted.key}"
        found = wanted if wanted.size >= 0 else _entry(wanted.key, system.info(path))
        if not sink.begin(found):
            return
        got = 0
        more = {"block_size": 0} if self._address.kind == HUB else {"cache_type": "readahead"}
        with system.open(path, "rb", **more) as file:
            while part := file.read(PART):
                got += len(part)
                sink.take(part)
        if 0 <= found.size != got:
            raise IncompleteBodyError("fewer bytes came than were said")

    @property
    def _place(self) -> str:
        """The place as the file system writes it. Azure's account is known to it already."""
        place = self._address.place
        return place if self._address.kind == HUB else place.partition("@")[0]

    def _opened(self) -> Any:
        with self._lock:
            if self._system is None:
                try:
                    from fsspec.core import url_to_fs

                    self._system = url_to_fs(self._address.shown)[0]
                except ImportError as error:
                    raise missing_package(self._address, error) from error
            return self._system


def _entry(key: str, info: dict[str, Any]) -> Entry:
    known = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    size = info.get("size")
    return Entry(key, size if isinstance(size, int) else -1, known)
