"""Compressed manifests: `labels.csv.gz`, `.bz2`, `.xz`, and `.zip` with one file in it, as pandas writes them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

from auditor.errors import SourceError
from auditor.system.files import reason

MAX_UNPACKED_BYTES = 1 << 30
"""A manifest that unpacks to more is refused: a few kilobytes can unpack to more than any memory holds."""

_PART = 1 << 20

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, NotImplementedError, ValueError)

_UNPACK = "unpack it, and give the manifest inside as SOURCE"

PACKED = frozenset({*_OPENERS, ".zip"})
"""Endings of compressed files that are opened."""


def without_packing(file: str) -> str:
    """A file's name without the ending of its compression."""
    stem, suffix = os.path.splitext(file)
    return stem if suffix.lower() in PACKED else file


def unpack(data: bytes, file: str, shown: str) -> bytes:
    """The bytes of a manifest, unpacked if its name says that it is compressed.

    Raises
    ------
    SourceError
        It is damaged, holds more than one file, is encrypted, or unpacks to more than `MAX_UNPACKED_BYTES`.
    """
    suffix = os.path.splitext(file)[1].lower()
    if suffix not in PACKED:
        return data
    try:
        if suffix == ".zip":
            return _unzip(data, shown)
        with _OPENERS[suffix](io.BytesIO(data), "rb") as stream:
            return _read(stream, shown)
    except _DAMAGED as error:
        raise SourceError(
            f"{shown} cannot be unpacked: {reason(error)[:100]}", hint="unpack it yourself, or write it again"
        ) from error


def _unzip(data: bytes, shown: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [member for member in archive.infolist() if not _is_litter(member)]
        if len(members) != 1:
            raise SourceError(f"{shown} holds {len(members)} files, not one manifest", hint=_UNPACK)
        if members[0].flag_bits & 1:
            raise SourceError(f"{shown} is encrypted", hint=_UNPACK)
        with archive.open(members[0]) as file:
            return _read(file, shown)


def _is_litter(member: zipfile.ZipInfo) -> bool:
    return member.is_dir() or member.filename.startswith("__MACOSX/") or member.filename.rpartition("/")[2][:1] == "."


def _read(file: IO[bytes], shown: str) -> bytes:
    parts, size = list[bytes](), 0
    while part := file.read(_PART):
        parts.append(part)
        size += len(part)
        if size > MAX_UNPACKED_BYTES:
            raise SourceError(
                f"{shown} unpacks to more than {MAX_UNPACKED_BYTES} bytes", hint="unpack it yourself, and look at it"
            )
    return b"".join(parts)
