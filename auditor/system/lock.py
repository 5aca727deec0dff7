"""The output folder of an audit: it is made, it lies outside the data set, and one audit at a time writes to it.

The system drops a lock when its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import errno
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from auditor.errors import AuditorError, ConfigError, LockedError
from auditor.system import files
from auditor.system.files import reason

NAME = ".auditor.lock"

_OTHER_FOLDER = "choose another with -o"

_MAKE_ROOM = "make room there, or choose another with -o"

_FULL = (errno.ENOSPC, errno.EDQUOT)

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
"""What file systems answer that know no locks: some network drives, and some that are mounted by programs."""

_STALE = errno.ESTALE
"""What a network drive answers when the file was replaced on another machine. A second try finds the new one."""

_SOFT = ".held"
"""Ends the name of the file that stands for a lock where there are none."""

_POLL = 0.05
"""Seconds between two tries of a process that waits."""

_SECOND_TRY = 2 * _POLL
"""Seconds that everybody waits at least. The first try fails where the holder leaves at the same moment."""


@contextlib.contextmanager
def output_folder(out: str | Path, source: str | Path = "") -> Iterator[None]:
    """Make the output folder and hold its lock inside the block; remove it again if it stays empty.

    Killed audits may have left half-written files there. They are removed first.

    Parameters
    ----------
    out
        The output folder. It is made with its parents.
    source
        The data set. An output folder inside it is refused: the next audit would take it for a class.

    Raises
    ------
    LockedError
        Another audit writes to the folder.
    ConfigError
        The folder has no name, cannot be made or written to, or lies inside the data set.
    """
    if not str(out).strip():
        raise ConfigError("the output folder has no name", hint="name one with -o")
    folder = Path(out)
    refuse_inside(folder, source, "output folder", "-o")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if folder.is_file() else reason(error)
        raise ConfigError(f"the output folder {folder} cannot be made: {why}", hint=_OTHER_FOLDER) from error
    try:
        with locked(folder):
            files.sweep(folder)
            yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()  # succeeds only for an empty folder, after an error


def refuse_inside(
    folder: str | Path, source: str | Path, what: str, option: str, error: type[AuditorError] = ConfigError
) -> None:
    """Refuse to write a folder inside the data set.

    Parameters
    ----------
    folder
        The folder to be written.
    source
        The data set. Nothing is refused unless it is a folder.
    what
        What the folder is, for the message.
    option
        The option that names the folder, for the hint.
    error
        The class of the error.

    Raises
    ------
    AuditorError
        An `error`: the folder is the data set or lies inside it, links followed.
    """
    data, real = Path(source), Path(folder).expanduser().resolve()
    if str(source) and data.is_dir() and data.resolve() in (real, *real.parents):
        raise error(
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
    """Hold a lock in a folder inside the block. The lock's file is gone afterwards.

    Parameters
    ----------
    folder
        The folder. It exists already.
    name
        The name of the lock's file. Locks of different names do not exclude each other.
    busy
        The message where another process holds the lock. Empty says that an audit is writing to the folder.
    patience
        Seconds to wait for another process to let go of the lock.
    hint
        What the user can do about that other process.

    Raises
    ------
    LockedError
        Another process holds the lock.
    ConfigError
        Nothing can be written in the folder, or the lock's name is a symbolic link.
    """
    if not folder.is_dir():  # filelock would make one
        raise _unwritable(folder, "there is no such folder")
    path = folder / name
    try:
        lock = _acquired(path, max(patience, _SECOND_TRY))
    except Timeout as error:
        if Path(error.lock_file) != path:
            hint += f"; if no other runs, remove {error.lock_file}"
        raise LockedError(busy or f"another audit is writing to {folder}", hint=hint) from None
    except OSError as error:
        room = _MAKE_ROOM if error.errno in _FULL else _OTHER_FOLDER
        raise _unwritable(folder, reason(error), room) from error
    try:
        yield
    finally:
        # The file goes while the lock is held. A process that opened it before sees that, and tries again.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _acquired(path: Path, timeout: float) -> BaseFileLock:
    """A lock that is held: the system's, or a file that stands for one where the file system knows no locks."""
    lock: BaseFileLock = FileLock(path, timeout=timeout, mode=0o600, poll_interval=_POLL)
    try:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # filelock tells of its own way round
                lock.acquire()
        except OSError as error:
            if error.errno != _STALE or isinstance(error, Timeout):
                raise
            lock.acquire()
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        with contextlib.suppress(OSError):
            path.unlink()
        lock = SoftFileLock(f"{path}{_SOFT}", timeout=timeout, mode=0o600, poll_interval=_POLL)
        lock.acquire()
    return lock


def _unwritable(folder: Path, why: str, hint: str = _OTHER_FOLDER) -> ConfigError:
    return ConfigError(f"the output folder {folder} cannot be written to: {why}", hint=hint)
