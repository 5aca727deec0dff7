"""TODO auditor.system.memory."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path


def size_text(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def free_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return 4 * 2**30


def number_in(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def memory_mb() -> float:
    """Resident memory of this process, MB; its largest so far where the system does not tell the present one."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except (OSError, ValueError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def memory_text() -> str:
    return f", {memory_mb() / 1e3:.1f} GB of memory"


MUCH = 900.0
"""Resident MB above which circles are looked for; Python and its packages are 600."""


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it and can be told to (glibc).

    It keeps what was freed between blocks still in use: a quarter of a gigabyte after detection on 50,000 images. What
    hangs together in circles, as torch's optimisers and their closures do, is freed first: 0.4 GiB there. Finding it
    takes a fifth of a second, which is spent only where much is held.
    """
    if memory_mb() > MUCH:
        gc.collect()
    trim = _trimmer()
    if trim is not None:
        trim(0)


@functools.cache
def _trimmer() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, or a system without one name for it
        return None
