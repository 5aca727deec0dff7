"""Writes files whole or not at all, and reads regular files only."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

from auditor.system.text import display

_PREFIX, _SUFFIX = ".auditor-", ".tmp"

MAX_FILE_BYTES = 1 << 30
"""Larger files are not read. No image within the pixel limit needs more, and memory stays bounded."""

UNWAITING = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags that open a pipe without waiting for its other end. Windows has neither."""

UNMOVABLE = frozenset({errno.EXDEV, errno.EBUSY})
"""Errors of a rename that say: what lies here stays here. It is a mount point, or lies on another file system."""

_PART = 1 << 20
"""Bytes that are read at a time of a file that grows."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def default_cache() -> Path:
    """The user's cache folder for this program: on Linux `~/.cache/auditor`, or below `XDG_CACHE_HOME` if it is set."""
    return platformdirs.user_cache_path("auditor", appauthor=False)


def write_bytes(path: str | Path, data: bytes, *, private: bool = False) -> None:
    """Write a file so that a reader sees the old file or the new one, never a part of either.

    Parameters
    ----------
    path
        The file. Its folder exists already.
    data
        The content.
    private
        Only the owner may read the file, whatever the umask says.

    Raises
    ------
    OSError
        Nothing was changed. Its `filename` is `path`.
    """
    temporary = _staged(Path(path), data, private)
    try:
        _put(temporary, Path(path))
    except BaseException:
        _discard(temporary)
        raise


def write_together(contents: Mapping[Path, bytes], *, last: Path) -> None:
    """Write files that belong together. A reader sees all new ones, all old ones, or a set without `last`.

    All contents are on the disk before the first file takes its place, so a full disk changes nothing. `last` is
    removed first and comes back last. A kill in between leaves a set without it, never a mixture that looks whole.

    Parameters
    ----------
    contents
        The content of each file by its path.
    last
        The file among them that marks a whole set.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            staged[path] = _staged(path, data)
        last.unlink(missing_ok=True)
        for path in sorted(staged, key=lambda path: path == last):
            _put(staged[path], path)
            del staged[path]
    finally:
        for temporary in staged.values():
            _discard(temporary)


def sweep(folder: Path, older_than: float = 0.0) -> None:
    """Remove the temporary files of killed writers from a folder.

    Only files older than `older_than` seconds go, because other processes may be writing there.
    """
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime >= older_than:
                path.unlink()


def _staged(path: Path, data: bytes, private: bool = False) -> Path:
    """Write `data` to a temporary file beside `path`. It is safe on the disk and has the permissions of a new file."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)
    except OSError as error:
        error.filename = str(path)
        raise
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600 if private else 0o666 & ~_umask())
    except BaseException as error:
        _discard(temporary)
        if isinstance(error, OSError):
            error.filename = str(path)  # the user knows this path, not the temporary one
        raise
    return temporary


def _put(temporary: Path, path: Path) -> None:
    """Let a staged file take its place.

    A file that a container mounts by itself cannot be replaced. Then its content is written over, which a kill may cut.
    """
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in UNMOVABLE or not path.is_file():
            raise
        with path.open("r+b") as file:
            file.write(temporary.read_bytes())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        _discard(temporary)


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` for UTF-8 text with Unix line ends."""
    write_bytes(path, text.encode("utf-8"))


def write_stream(path: str | Path, text: str) -> None:
    """Write UTF-8 text into an existing pipe or device. A pipe that nobody reads is an error, not an endless wait."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | UNWAITING)
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode("utf-8"))


def write_json(path: str | Path, document: Any) -> None:
    """Write readable JSON with a final newline. NaN and infinity raise `ValueError`: they are not JSON."""
    write_bytes(path, json_bytes(document))


def json_bytes(document: Any) -> bytes:
    """The bytes that `write_json` writes."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_regular(path: str, *, limit: int = MAX_FILE_BYTES, inside: Callable[[str], bool] | None = None) -> bytes:
    """The bytes of a regular file.

    The kind is checked before the file is opened, because opening a device can have effects. It is checked again on
    the open file, because somebody may have exchanged it in between. `O_NONBLOCK` keeps the audit from waiting for a
    pipe that was exchanged for the file.

    Parameters
    ----------
    path
        The file. Links are followed.
    limit
        The most bytes that are read.
    inside
        Says whether the real path of the opened file may be read. A link cannot be exchanged after the answer.

    Raises
    ------
    OSError
        The file is missing, unreadable, not a regular file, or larger than `limit` bytes, or `inside` says no.
    """
    _check_regular(os.stat(path), path, limit)
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_regular(status, path, limit)
        if inside is not None and not inside(_real_path(descriptor, path)):
            raise PermissionError(errno.EACCES, "leads outside the root", display(path))
        data = _read(file, status.st_size, limit)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"grew beyond {limit} bytes while it was read", display(path))
    return data


def _read(file: BinaryIO, size: int, limit: int) -> bytes:
    """All of a file that was `size` bytes long. If it grew beyond `limit`, one byte more than `limit`.

    `read(n)` takes `n` bytes of memory before it reads, and a system refuses more than it has.
    """
    data = file.read(size + 1)
    if len(data) <= size:
        return data
    parts = [data]
    while (left := limit + 1 - sum(map(len, parts))) > 0 and (part := file.read(min(left, _PART))):
        parts.append(part)
    return b"".join(parts)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a regular UTF-8 file, without its byte order mark.

    Raises
    ------
    OSError
        As `read_regular`.
    UnicodeDecodeError
        The file is not UTF-8.
    """
    return read_regular(os.fspath(path)).decode("utf-8-sig")


def reason(error: BaseException) -> str:
    """An error's own words, short, without its path: the caller names the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def kind_of(mode: int) -> str:
    """The kind of a file that is not a regular one, in plain words, from its mode."""
    return next((words for test, words in _SPECIAL if test(mode)), "a special file")


def _real_path(descriptor: int, path: str) -> str:
    """Where an open file lies: the kernel says it on Linux; elsewhere the links of the path are followed."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.path.realpath(path)


def _check_regular(status: os.stat_result, path: str, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{kind_of(status.st_mode)}, not a file", display(path))
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", display(path))
