"""The page that the server shows, made once for as long as the audit's files stay as they are.

To make a page of 50,000 items takes seconds, and a reviewer opens it again and again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

State = tuple[tuple[str, int, int, int], ...]
"""The files of a folder: name, time of the last change in nanoseconds, size, and number on the disk."""


class KeptPage:
    """The page of an audit's folder. Several threads may ask for it at a time.

    Parameters
    ----------
    folder
        The audit's folder. All that the page shows lies in it. Decisions lie in a folder below and are not in the page.
    make
        Makes the page from the folder.
    """

    def __init__(self, folder: Path, make: Callable[[Path], str]) -> None:
        self._folder, self._make = folder, make
        self._lock = threading.Lock()
        self._state: State | None = None
        self._page = b""

    def __call__(self) -> bytes:
        """The page in UTF-8, as the folder has it now. Raises what `make` raises."""
        with self._lock:
            before = _state(self._folder)
            if before != self._state:
                self._page = self._make(self._folder).encode()
                self._state = before  # a file that changed meanwhile differs from this, and the page is made again
            return self._page


def _state(folder: Path) -> State:
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return tuple(sorted((name, at.st_mtime_ns, at.st_size, at.st_ino) for name, at in found))
