"""Tar archives. A plain one is read in place; of a compressed one the files that count are held in memory."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

from auditor.errors import SourceError
from auditor.sources.archive import MOST_FILES, Archive, Member, damaged, too_many
from auditor.sources.tree import has_image_suffix
from auditor.system.files import MAX_FILE_BYTES, reason
from auditor.system.text import display

MAX_HELD_BYTES = 4 << 30
"""Files of a compressed archive that are held in memory, together."""

_MOST_AT_ONCE = 1 << 24
"""No header is longer. A hostile one could ask for more than any memory holds."""

_OPENERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
"""What a compressed file begins with, and what opens it."""

_DAMAGED = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error, ValueError)

_SIDE_FILES = (".cls", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq")
"""Endings of files beside the images that can hold labels."""


def open_tar(file: str) -> Archive:
    """The files of a tar archive.

    Raises
    ------
    SourceError
        The file is no tar or is damaged. Or it is compressed and holds more than memory should.
    """
    shown = display(file)
    try:
        with open(file, "rb") as raw:
            start = raw.read(6)
            opener = next((opener for mark, opener in _OPENERS if start.startswith(mark)), None)
            raw.seek(0)
            stream = raw if opener is None else opener(raw, "rb")
            with tarfile.open(fileobj=cast(IO[bytes], _Guarded(stream)), mode="r:") as tar:
                return _compressed(file, tar) if opener is not None else _plain(file, tar)
    except SourceError:
        raise
    except _DAMAGED as error:
        raise SourceError(
            f"{shown} is not a readable tar archive: {display(reason(error))[:200]}", hint="download or write it again"
        ) from error


def _plain(file: str, tar: tarfile.TarFile) -> Archive:
    members, places = list[Member](), dict[str, tuple[int, int]]()
    for info, member in _listed(tar):
        members.append(member)
        if not member.problem:
            places[member.name] = places[info.linkname] if info.islnk() else (info.offset_data, info.size)
    return Archive(os.path.basename(file), members, _InPlace(file, places))


def _compressed(file: str, tar: tarfile.TarFile) -> Archive:
    members, held, size = list[Member](), dict[str, bytes](), 0
    for info, member in _listed(tar):
        members.append(member)
        if member.problem or not _counts(member.name):
            continue
        if info.islnk():
            held[member.name] = held.get(info.linkname, b"")
            continue
        size += info.size
        if size > MAX_HELD_BYTES:
            raise SourceError(
                f"{display(file)} unpacks to more than {MAX_HELD_BYTES >> 30} GiB, too much to hold in memory",
                hint="take only its compression away (gunzip -k FILE): a plain .tar is read in place",
            )
        stream = tar.extractfile(info)
        data = bytearray()
        while stream is not None and (part := stream.read(1 << 20)):
            data += part
        held[member.name] = bytes(data)
    return Archive(os.path.basename(file), members, _Held(held))


def _listed(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, Member]]:
    """Every entry but the folders, and why it cannot be used.

    tarfile says nothing where an archive is cut in the header of an entry. The block of zeros at the end tells.
    """
    files, n = set[str](), 0
    while (info := tar.next()) is not None:
        cast(Any, tar).members = []  # it would keep them all
        n += 1
        if n > MOST_FILES:
            raise too_many(os.path.basename(str(tar.name)))
        if info.isdir():
            continue
        problem = ""
        if info.issparse():
            problem = "a sparse file inside the archive, which is not read"
        elif info.islnk() and info.linkname not in files:
            problem = "a link inside the archive to no earlier file of it"
        elif not info.isreg() and not info.islnk():
            problem = "a link or a special file inside the archive, which is not followed"
        elif info.size > MAX_FILE_BYTES:
            problem = f"larger than {MAX_FILE_BYTES} bytes"
        if not problem:
            files.add(info.name)
        yield info, Member(info.name, problem)
    stream = tar.fileobj
    assert stream is not None
    stream.seek(tar.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it has no end, so a part of it is missing")


def _counts(name: str) -> bool:
    return has_image_suffix(name) or name.lower().endswith(_SIDE_FILES)


class _Guarded:
    """A stream that gives no more at once than a header or a part of a file may be."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _InPlace:
    """Gives files by where they lie in a plain archive: (first byte, number of bytes)."""

    def __init__(self, file: str, places: Mapping[str, tuple[int, int]]) -> None:
        self._file, self._places = os.path.abspath(file), places

    def __call__(self, name: str) -> bytes:
        start, size = self._places[name]
        with open(self._file, "rb") as file:
            file.seek(start)
            data = file.read(size)
        if len(data) < size:
            raise damaged(name, EOFError("it ends too early"))
        return data


class _Held:
    """Gives files that are held in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def __call__(self, name: str) -> bytes:
        if name not in self._files:
            raise FileNotFoundError(errno.ENOENT, "the archive has no such image", name)
        return self._files[name]
