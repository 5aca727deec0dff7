"""Reading one regular file, and nothing that only looks like one: no pipe to wait at, no device without an end."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from typing import BinaryIO

MAX_FILE_BYTES = 1 << 30
"""Larger files are not read: no image within the pixel limit needs more, and memory stays bounded."""
_PART = 1 << 20
"""Bytes that are asked for at a time of a file that grows."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def display(path: str) -> str:
    """`path` as text that UTF-8 can carry: bytes that are not UTF-8 appear as `\\xNN`, half characters as `\\uNNNN`."""
    return _SURROGATE.sub(lambda found: _spelled(ord(found[0])), path)


def _spelled(surrogate: int) -> str:
    return f"\\x{surrogate - 0xDC00:02x}" if 0xDC80 <= surrogate <= 0xDCFF else f"\\u{surrogate:04x}"


def read_regular(path: str, *, limit: int = MAX_FILE_BYTES, inside: Callable[[str], bool] | None = None) -> bytes:
    """The bytes of a regular file.

    The kind is checked before opening, because opening a device can have effects, and again on the open file, because
    it may have been exchanged in between; `O_NONBLOCK` keeps a pipe that slips in from hanging the audit. `inside` is
    asked about the real path of the file that was opened, so no link can be exchanged after the question.

    Raises
    ------
    OSError
        It is missing, unreadable, not a regular file, larger than `limit` bytes, or `inside` says no.
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
    """All of a file that was `size` bytes long, and a byte more than `limit` of one that has grown beyond.

    `read(n)` asks for `n` bytes of memory before it reads, and a system refuses more than it has.
    """
    data = file.read(size + 1)
    if len(data) <= size:
        return data
    parts = [data]
    while (left := limit + 1 - sum(map(len, parts))) > 0 and (part := file.read(min(left, _PART))):
        parts.append(part)
    return b"".join(parts)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a regular UTF-8 file, a byte order mark left out.

    Raises
    ------
    OSError
        As `read_regular`.
    UnicodeDecodeError
        It is not UTF-8.
    """
    return read_regular(os.fspath(path)).decode("utf-8-sig")


def reason(error: BaseException) -> str:
    """An error's own words, short, without the path that the caller names anyway."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def kind_of(mode: int) -> str:
    """What a file mode is in plain words, where it is not a regular file."""
    return next((words for test, words in _SPECIAL if test(mode)), "a special file")


def _real_path(descriptor: int, path: str) -> str:
    """Where an open file lies, from the kernel where it can say (Linux), else from the path's links."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.path.realpath(path)


def _check_regular(status: os.stat_result, path: str, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{kind_of(status.st_mode)}, not a file", display(path))
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", display(path))
