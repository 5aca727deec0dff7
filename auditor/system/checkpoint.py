"""Keeps finished stages of an audit on disk. After a kill, the same command goes on from them.

Each audit has a folder of its own in the cache. Its name is a digest of everything that decides the result: pixels as
the backbone sees them, labels, settings, versions, this program's own code, device and threads. A stage is one file,
written whole or not at all. A damaged or foreign file is ignored, and its stage is computed again. The folder is
removed when the audit has finished. A kill may come between the result and this: whoever finds the result then removes
the folder by the audit's id. If nobody ever takes the audit up again, it is removed after some days.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from auditor.system import files, serial
from auditor.system.digests import code, digest
from auditor.system.files import read_regular
from auditor.system.remembered import Remembered

FORGOTTEN = 7 * 24 * 3600.0
"""Seconds after which the stages of an audit that nobody took up again are removed."""

LARGEST = 1 << 34
"""Bytes of the largest stage that is read."""

_FOLDER = "checkpoints"
_OWNER = ".audit"

T = TypeVar("T")


class Checkpoints:
    """The finished stages of one audit. `remembered` is the work that other audits of the same items share.

    Parameters
    ----------
    cache
        The cache folder. None keeps nothing.
    tell
        Called with a stage's name when its result is taken from an interrupted audit.
    """

    def __init__(self, cache: Path | None, tell: Callable[[str], None] = lambda stage: None) -> None:
        self._cache, self._tell = cache, tell
        self._folder: Path | None = None
        self._key = ""
        self.remembered = Remembered(cache)

    def open(self, *deciding: Any) -> None:
        """Say what decides this audit, as JSON values and arrays. Nothing is kept before this call."""
        if self._cache is None:
            return
        self._key = digest([*deciding, code()])
        self._folder = self._cache / _FOLDER / self._key[:32]
        _forget(self._folder.parent)

    @property
    def key(self) -> str:
        """The digest of everything that decides this audit, in hexadecimal. Empty where nothing is kept."""
        return self._key

    def once(self, stage: str, compute: Callable[[], T]) -> T:
        """The stage's result. An interrupted audit may have left it; else it is computed now and kept."""
        found = self.recall(stage)
        if found is not None:
            self._tell(stage)
            kept: T = found
            return kept
        result = compute()
        self.keep(stage, result)
        return result

    def recall(self, stage: str) -> Any:
        """A stage's result, or None where the file is missing, damaged, or another audit's."""
        if self._folder is None:
            return None
        try:
            key, name, value = serial.loads(read_regular(str(self._folder / f"{stage}.npz"), limit=LARGEST))
        except (OSError, serial.Damaged, TypeError, ValueError):
            return None
        return value if (key, name) == (self._key, stage) else None

    def keep(self, stage: str, result: Any) -> None:
        """Write a stage's result. If that fails, the audit goes on without it."""
        if self._folder is None or result is None:
            return
        with contextlib.suppress(OSError, serial.Unserialisable):
            data = serial.dumps((self._key, stage, result))
            self._folder.parent.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            files.write_bytes(self._folder / f"{stage}.npz", data, private=True)

    def belong_to(self, audit_id: str) -> None:
        """Note whose stages these are. Call it before the result is written; see `remove_finished`."""
        if self._folder is not None and self._folder.is_dir():
            with contextlib.suppress(OSError):
                (self._folder / f"{audit_id}{_OWNER}").touch(mode=0o600)

    def clear(self) -> None:
        """Remove the stages. Call it when the audit is finished and its files are written."""
        if self._folder is not None:
            _remove(self._folder)


def remove_finished(cache: Path | None, audit_id: str) -> None:
    """Remove the stages of an audit whose result stands. It was killed before it could do so itself."""
    if cache is not None:
        for note in (cache / _FOLDER).glob(f"*/*{_OWNER}"):
            if note.name == f"{audit_id}{_OWNER}":
                _remove(note.parent)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _forget(folder: Path) -> None:
    """Remove the stages of audits that nobody took up again for `FORGOTTEN` seconds."""
    with contextlib.suppress(OSError):
        for audit in folder.iterdir():
            if time.time() - audit.lstat().st_mtime >= FORGOTTEN and audit.is_dir() and not audit.is_symlink():
                shutil.rmtree(audit, ignore_errors=True)
