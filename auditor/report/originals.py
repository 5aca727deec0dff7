"""Where an audit's images lie beside its report, so that the page can link to them by relative addresses."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.result import AuditResult
from auditor.result.nouns import IMAGE
from auditor.sources.tree import IMAGE_SUFFIXES

_COMPARED = 3
"""Files whose content is compared with the audit, to tell the data set from another of its name."""

_CLIMBS = 2
"""Folders that an address climbs at most. Further up it would tell how the machine is laid out."""


@dataclass(frozen=True)
class Originals:
    """The files beside a report.

    Attributes
    ----------
    base
        The way from the report's folder to the data set, with forward slashes and one at its end; empty for the same
        folder. It may begin with `../`.
    absent
        Rows of the ranking that have no picture there, or whose path leads out of it.
    """

    base: str
    absent: tuple[int, ...]


def beside(result: AuditResult, out: str | Path) -> Originals | None:
    """Find the audited files near the report: in its folder, below it, or at most two folders up and down again.

    None where the data set lies elsewhere. Two places that share only the root of the disk, or the folder of all
    home folders, are not near: the way between them would be the absolute path, and name a user.

    Parameters
    ----------
    out
        The folder of the report, as the user reaches it. A browser follows `..` in the same way: by the names.
    """
    if result.noun.kind != IMAGE:
        return None
    folder = _lexical(Path(out))
    for place in dict.fromkeys((folder, *_places(folder, result.root))):
        base = _way(folder, place)
        found = None if base is None else _found(result, place, base)
        if found is not None:
            return found
    return None


def _places(folder: Path, written: str) -> list[Path]:
    """Folders that may be the data set: at the place that the user wrote, or of its name near the report."""
    if not written or "\0" in written:
        return []
    name = PurePosixPath(written.replace(os.sep, "/")).name
    near = (folder, *folder.parents[:_CLIMBS])
    try:
        places = map(_lexical, (Path(written), *(up / end for up in near for end in (written, name))))
        return [place if place.is_dir() else place.parent for place in places]
    except (OSError, ValueError):  # no file can have such a name
        return []


def _lexical(path: Path) -> Path:
    """An absolute path without `..`. Links stay what they are named."""
    return Path(os.path.normpath(path.absolute()))


def _way(folder: Path, place: Path) -> str | None:
    """The relative address of a folder, or None where it is not near."""
    try:
        shared = Path(os.path.commonpath((folder, place)))
        way = PurePosixPath(Path(os.path.relpath(place, folder)).as_posix())
        home = Path.home()
    except (ValueError, RuntimeError):  # other drives; a user without a home
        return None
    climbs = way.parts.count("..")
    if climbs > _CLIMBS or (climbs and (shared == Path(shared.anchor) or shared in home.parents)):
        return None
    return "" if way.name == "" else f"{way}/"


def _found(result: AuditResult, place: Path, base: str) -> Originals | None:
    paths = [str(path) for path in result.ranking["path"]]
    real = Path(os.path.realpath(place))
    folders: dict[str, bool] = {}
    there = [_is_picture(real, path, folders) for path in paths]
    hashes = result.summary["dataset"]["hashes"]
    known = [path for path, here in zip(paths, there, strict=True) if here][:_COMPARED]
    if not any(_same(real / path, hashes.get(path, "")) for path in known):
        return None
    return Originals(base, tuple(row for row, here in enumerate(there) if not here))


def _is_picture(place: Path, path: str, folders: dict[str, bool]) -> bool:
    """Whether a path is a plain file within a real folder, and a browser opens it as a picture.

    Each folder is looked at once. The ending decides: a browser would run a file called `.html` or `.svg`, whatever it
    holds.
    """
    parts = path.split("/")
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts) or not _has_address(path):
        return False
    parent = "/".join(parts[:-1])
    if parent not in folders:
        real = Path(os.path.realpath(place / parent))
        folders[parent] = real == place or place in real.parents
    try:
        return folders[parent] and stat.S_ISREG(os.lstat(place / path).st_mode)
    except OSError:
        return False


def _has_address(path: str) -> bool:
    """Whether a name is UTF-8, as addresses are, and has the ending of a picture."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def _same(file: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == digest
    except OSError:
        return False
