"""How much memory there is, how much this process holds, and giving freed memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

MUCH = 900.0
"""Resident MB from which `give_back` looks for circles. Python and its packages alone are 600."""


def size_text(size: float) -> str:
    """A number of bytes as words, in MiB or GiB."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def free_bytes() -> int:
    """Bytes that the system can give to new work without swapping. Limits of a container are not in it."""
    return int(psutil.virtual_memory().available)


def number_in(path: str) -> int | None:
    """The whole number in a file of the system, or None where there is no such file or no number in it."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def memory_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes)."""
    return round(psutil.Process().memory_info().rss / 1e6, 1)


def memory_text() -> str:
    """The end of a progress line: how much memory this process holds, in GB (10^9 bytes)."""
    return f", {memory_mb() / 1e3:.1f} GB of memory"


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it and can be asked for it (glibc).

    The library keeps freed memory that lies between blocks in use: a quarter of a gigabyte after detection on 50,000
    images. Objects that refer to each other in a circle are freed first: torch's optimisers and their closures held
    0.4 GiB there. The search for circles takes a fifth of a second, so it runs only above `MUCH`.
    """
    if memory_mb() > MUCH:
        gc.collect()
    trim = _trimmer()
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def only_new_objects() -> Iterator[None]:
    """Circles are sought among objects that are made inside the block alone.

    Python and its packages alone have a million others. To walk through them takes ten times as long.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@functools.cache
def _trimmer() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, or a system that has no name for its own
        return None
