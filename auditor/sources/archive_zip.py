"""Zip archives, read in place."""

from __future__ import annotations

import errno
import os
import zipfile
import zlib
from collections.abc import Iterator

from auditor.errors import SourceError
from auditor.sources.archive import MOST_FILES, Archive, Member, damaged, too_large, too_many
from auditor.system.files import MAX_FILE_BYTES, reason
from auditor.system.text import display

_ENCRYPTED = 1
"""The bit of a member's flags that says so."""

_UTF8 = 1 << 11
"""The bit that says that the name is UTF-8. Many programs write UTF-8 without it."""


def open_zip(file: str) -> Archive:
    """The files of a zip archive.

    Raises
    ------
    SourceError
        The file is no zip, or all of it is encrypted.
    """
    shown = display(file)
    try:
        fetch = _Zip(file)
        if len(fetch) > MOST_FILES:
            raise too_many(shown)
        members = list(fetch.members())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise SourceError(
            f"{shown} is not a readable zip archive: {display(reason(error))[:200]}",
            hint="download or write it again; an archive in several parts has to be joined first",
        ) from error
    if members and all(member.problem == ENCRYPTED for member in members):
        raise SourceError(f"{shown} is encrypted", hint="unpack it with its password, and give the folder")
    return Archive(os.path.basename(file), members, fetch)


ENCRYPTED = "it is encrypted"
"""Why a member with a password is left out."""


class _Zip:
    """Gives files by name. Another process opens the archive again."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self._infos = {_name(info): info for info in self._zip.infolist() if not info.is_dir()}

    def __reduce__(self) -> tuple[type[_Zip], tuple[str]]:
        return _Zip, (self._file,)

    def __len__(self) -> int:
        return len(self._zip.infolist())

    def members(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            if info.is_dir():
                continue
            kind = (info.external_attr >> 16) & 0o170000
            problem = ENCRYPTED if info.flag_bits & _ENCRYPTED else ""
            if kind not in (0, 0o100000):
                problem = "a link or a special file inside the archive, which is not followed"
            yield Member(_name(info), problem)

    def __call__(self, name: str) -> bytes:
        info = self._infos[name]
        if info.file_size > MAX_FILE_BYTES:
            raise too_large(name)
        try:
            with self._zip.open(info) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
            raise damaged(name, error) from error
        except OSError as error:
            raise OSError(error.errno or errno.EIO, reason(error), name) from error
        if len(data) > MAX_FILE_BYTES:
            raise too_large(name)
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name: with forward slashes, and as UTF-8 where its bytes are that."""
    name = info.filename
    if not info.flag_bits & _UTF8 and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/") if info.create_system == 0 else name
