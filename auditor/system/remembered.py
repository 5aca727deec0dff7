"""Work that the next audit of the same items need not do again, kept in the cache by what decides it.

Labels change from audit to audit, and items hardly do. What rests on the items alone is kept under a digest of
everything that it was computed from, this program's own code included. So it is never out of date: where anything
differs, the digest does. A damaged or foreign file is ignored. The latest pieces are kept, and older ones are removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from auditor.system import files, serial
from auditor.system.digests import code, digest
from auditor.system.files import read_regular

MOST = 60
"""Pieces that are kept."""

LARGEST = 1 << 28
"""Bytes of the largest piece that is read."""

_FOLDER = "remembered"

T = TypeVar("T")


class Remembered:
    """Kept pieces of work.

    Parameters
    ----------
    cache
        The cache folder. None keeps nothing.
    """

    def __init__(self, cache: Path | None) -> None:
        self._folder = None if cache is None else cache / _FOLDER

    def once(self, what: str, deciding: list[Any], compute: Callable[[], T]) -> T:
        """A piece of work, from an earlier audit or computed now.

        Parameters
        ----------
        what
            Its name.
        deciding
            Everything that it is computed from, as JSON values and arrays.
        """
        if self._folder is None:
            return compute()
        key = self.key(deciding)
        found = self.recall(what, key)
        if found is not None:
            kept: T = found
            return kept
        result = compute()
        self.keep(what, key, result)
        return result

    @staticmethod
    def key(deciding: list[Any]) -> str:
        """The digest of what decides a piece of work, and of this program's code."""
        return digest([*deciding, code()])

    def recall(self, what: str, key: str) -> Any:
        """A piece of work, or None where there is none."""
        if self._folder is None:
            return None
        path = self._folder / f"{what}-{key[:32]}.npz"
        try:
            known, name, value = serial.loads(read_regular(str(path), limit=LARGEST))
        except (OSError, serial.Damaged, TypeError, ValueError):
            return None
        if (known, name) != (key, what):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the latest are kept
        return value

    def keep(self, what: str, key: str, value: Any) -> None:
        """Write a piece of work. If that fails, the next audit does it again."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError, serial.Unserialisable):
            data = serial.dumps((key, what, value))
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            files.write_bytes(self._folder / f"{what}-{key[:32]}.npz", data, private=True)
            self._forget(self._folder)

    @staticmethod
    def _forget(folder: Path) -> None:
        """Remove all but the latest."""
        for path in sorted(folder.glob("*.npz"), key=lambda path: -path.lstat().st_mtime)[MOST:]:
            path.unlink(missing_ok=True)
