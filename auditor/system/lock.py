"""One audit at a time in an output folder; the system drops the lock when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import ConfigError, LockedError
from auditor.system import files

NAME = ".auditor.lock"

_OTHER_FOLDER = "choose another with -o"

_POLL = 0.05
"""Seconds between two tries of one who waits."""


@contextlib.contextmanager
def output_folder(out: str | Path, source: str | Path = "") -> Iterator[None]:
    """The folder, made, writable and ours alone inside the block; removed again if nothing came into it.

    What killed audits left half-written there is swept out first. A folder within the data set `source` is refused,
    since the next audit would take it for a class and its pictures for images.

    Raises
    ------
    LockedError, ConfigError
        As `locked`, and when the folder cannot be made, has no name or lies within the data set.
    """
    if not str(out).strip():
        raise ConfigError("the output folder has no name", hint="name one with -o")
    folder = Path(out)
    refuse_inside(folder, source, "output folder", "-o")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise ConfigError(f"the output folder {folder} cannot be made: {reason}", hint=_OTHER_FOLDER) from error
    try:
        with locked(folder):
            files.sweep(folder)
            yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()  # only succeeds when an error left it empty


def refuse_inside(folder: str | Path, source: str | Path, what: str, option: str) -> None:
    """Raise `ConfigError` where a folder to be written lies within the folder `source`: it would become a class."""
    data, real = Path(source), Path(folder).expanduser().resolve()
    if str(source) and data.is_dir() and data.resolve() in (real, *real.parents):
        raise ConfigError(
            f"the {what} {folder} lies inside the data set, which is never changed",
            hint=f"choose another folder with {option}",
        )


@contextlib.contextmanager
def locked(
    folder: Path,
    name: str = NAME,
    busy: str = "",
    *,
    patience: float = 0.0,
    hint: str = "wait for it to end, or choose another folder with -o",
) -> Iterator[None]:
    """Hold a lock in the folder inside the block.

    Parameters
    ----------
    name
        The lock's file: what goes on under another name does not wait for this one.
    busy
        What to say where another process holds it, if not that an audit is writing to the folder.
    patience
        Seconds to wait for another process to let go of it.
    hint
        What to do where it did not.

    Raises
    ------
    LockedError
        When another process holds it.
    ConfigError
        When nothing can be written there.
    """
    path = folder / name
    deadline = time.monotonic() + patience
    while (handle := _acquired(path)) is None:
        if time.monotonic() >= deadline:
            raise LockedError(busy or f"another audit is writing to {folder}", hint=hint)
        time.sleep(_POLL)
    try:
        yield
    finally:
        # Unlinked while it is held; who opened it meanwhile sees that its file has no name any more and tries again.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _acquired(path: Path) -> int | None:
    """A handle that holds the lock of the file that bears the name now; None where another process holds it."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the output folder {path.parent} cannot be written to: {error.strerror}", hint=_OTHER_FOLDER
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _names(path, handle):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _names(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
