"""Writing files whole or not at all, and CSV that a spreadsheet cannot execute."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from auditor.system.text import display

_PREFIX, _SUFFIX = ".auditor-", ".tmp"

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_bytes(path: str | Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part of either.

    A private file is for its owner alone, whatever the umask.
    """
    temporary = _staged(Path(path), data, private)
    try:
        temporary.replace(path)
    except BaseException:
        _discard(temporary)
        raise


def write_together(contents: Mapping[Path, bytes], *, last: Path) -> None:
    """Write files that belong together: all new, all old, or without `last`, which marks a whole set.

    All of them are on the disk before the first takes its place, so that a full disk changes nothing; `last` is taken
    away while the others do, so that who reads after a kill finds no mark rather than new files beside old ones.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            staged[path] = _staged(path, data)
        last.unlink(missing_ok=True)
        for path in sorted(staged, key=lambda path: path == last):
            staged.pop(path).replace(path)
    finally:
        for temporary in staged.values():
            _discard(temporary)


def sweep(folder: Path, older_than: float = 0.0) -> None:
    """Remove what killed writers left in a folder, if it is older than some seconds (others may be writing there)."""
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime >= older_than:
                path.unlink()


def _staged(path: Path, data: bytes, private: bool = False) -> Path:
    """A temporary file beside `path` that holds `data`, safe on the disk and with the permissions of a new file."""
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
            error.filename = str(path)  # the user knows this one, and never the temporary one
        raise
    return temporary


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` for UTF-8 text with Unix line ends."""
    write_bytes(path, text.encode("utf-8"))


def write_stream(path: str | Path, text: str) -> None:
    """UTF-8 text into a pipe or device that is there; a pipe that nobody reads is an error, not a wait without end."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode("utf-8"))


def write_json(path: str | Path, document: Any) -> None:
    """Readable JSON with a final newline; NaN and infinity are refused, for other readers refuse them too."""
    write_bytes(path, json_bytes(document))


def json_bytes(document: Any) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """A data frame as CSV, with text that a spreadsheet would run as a formula made harmless (see `escape_cell`)."""
    write_bytes(path, csv_bytes(frame))


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """What `write_csv` writes."""
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(escape_cell, na_action="ignore")
    out = _UnixLines()
    safe.to_csv(out, index=False, lineterminator="\r\n", float_format="%.10g")
    return out.getvalue().encode("utf-8")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text as CSV, as they are: a name that holds line ends comes back whole."""
    out = _UnixLines()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


class _UnixLines(io.StringIO):
    """Ends rows with a line feed alone, while the csv module still puts quotes around a carriage return in a cell.

    The module quotes the characters of its line end only, and writes each row by one call.
    """

    def write(self, text: str) -> int:
        return super().write(text.removesuffix("\r\n") + "\n" if text.endswith("\r\n") else text)


def read_csv(path: str | Path, text: list[str]) -> pd.DataFrame:
    """A CSV file of `write_csv`, with the columns of `text` read as strings and their escapes undone."""
    frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    for column in text:
        if column in frame:
            frame[column] = frame[column].fillna("").map(unescape_cell).astype(object)
    return frame


def escape_cell(value: object) -> object:
    """Put an apostrophe before text that starts like a formula (or like an escaped one, so that this is invertible)."""
    if isinstance(value, str) and (value.startswith(_FORMULA_STARTS) or value.startswith("'")):
        return "'" + value
    return value


def unescape_cell(value: str) -> str:
    """The inverse of `escape_cell`."""
    return value[1:] if value.startswith("'") else value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


MAX_FILE_BYTES = 1 << 30
"""Larger files are not read: no image within the pixel limit needs more, and memory stays bounded."""

_PART = 1 << 20
"""Bytes that are asked for at a time of a file that grows."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


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
