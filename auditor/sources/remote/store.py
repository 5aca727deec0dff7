"""What every store can do: list objects, and hand over the bytes of one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

from auditor.errors import SourceError
from auditor.sources.remote.address import AZURE, GOOGLE, HUB, S3, Address

MOST_OBJECTS = 10_000_000
"""More objects below one address are refused: a store could go on for ever."""

PART = 1 << 20
"""Bytes that are taken at a time."""

_PACKAGES = {S3: "s3fs", GOOGLE: "gcsfs", AZURE: "adlfs", HUB: "huggingface_hub"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of a store.

    Attributes
    ----------
    key
        Its name within the place.
    size
        Its number of bytes; -1 where the store does not say.
    version
        What changes with its content, as the store names it; empty where it names nothing.
    """

    key: str
    size: int
    version: str


class Sink(Protocol):
    """Takes the bytes of an object."""

    def begin(self, entry: Entry) -> bool:
        """What the store says of the object before its bytes come. False: they are not needed."""
        ...

    def take(self, part: bytes) -> None:
        """Some more bytes.

        Raises
        ------
        OSError
            They are too many.
        """
        ...


class Store(Protocol):
    """A place of objects."""

    @property
    def identity(self) -> str:
        """What tells it from other places."""
        ...

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins with `prefix`."""
        ...

    def send(self, wanted: Entry, sink: Sink) -> None:
        """Give the bytes of an object to a sink. Where its version is known, no other version is given.

        Raises
        ------
        Exception
            What the store's library raises; `trouble.judged` understands it.
        """
        ...


class FileSystemStore:
    """A store that is read through a file system of fsspec, which is opened on the first use. Threads share it.

    Another process opens it again.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._system: Any = None

    def __reduce__(self) -> tuple[type[Self], tuple[Address]]:
        return type(self), (self._address,)


def missing_package(address: Address, error: ImportError) -> SourceError:
    """The error where the package that reads a kind of store is not installed."""
    package = _PACKAGES.get(address.kind, "fsspec and aiohttp")
    install = f"pip install {package}" if address.kind in (GOOGLE, AZURE) else "pip install 'auditor[cloud]'"
    return SourceError(f"reading {address.scheme}:// needs {package}: {error}", hint=install)
