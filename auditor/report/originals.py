"""Where an audit's images lie beside its report, so that the page can link to them by relative addresses."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.result import AuditResult
from auditor.result.nouns import IMAGE

_COMPARED = 3
"""Files whose content is compared with the audit, to tell the data set from another of its name."""


@dataclass(frozen=True)
class Originals:
    """The files beside a report.

    Attributes
    ----------
    base
        The folder of the data set below the report's, with forward slashes and one at its end; empty for the same.
    absent
        Rows of the ranking that have no file there, or whose path leads out of it.
    """

    base: str
    absent: tuple[int, ...]


def beside(result: AuditResult, out: str | Path) -> Originals | None:
    """Find the audited files in the report's folder or below. None where the data set lies elsewhere.

    Parameters
    ----------
    out
        The folder of the report. A data set beside or above it is not linked: an address that climbs out of a folder
        breaks where the folder is sent to somebody, and tells where it lay.
    """
    if result.noun.kind != IMAGE:
        return None
    folder = Path(out).resolve()
    written = str(result.summary["dataset"]["source"])
    for base in dict.fromkeys(("", *_inside(folder, written))):
        found = _found(result, folder, base)
        if found is not None:
            return found
    return None


def _inside(folder: Path, written: str) -> list[str]:
    """Folders below the report's that may be the data set: at the place that the user wrote, or of its name."""
    if not written or "\0" in written:
        return []
    places = [Path(written).resolve(), folder / PurePosixPath(written.replace(os.sep, "/")).name]
    try:
        places = [place if place.is_dir() else place.parent for place in places]
    except OSError:  # no file can have such a name
        return []
    return [f"{place.relative_to(folder).as_posix()}/" for place in places if folder in place.parents]


def _found(result: AuditResult, folder: Path, base: str) -> Originals | None:
    paths = [str(path) for path in result.ranking["path"]]
    folders: dict[str, bool] = {}
    there = [_is_file(folder, base, path, folders) for path in paths]
    hashes = result.summary["dataset"]["hashes"]
    known = [path for path, here in zip(paths, there, strict=True) if here][:_COMPARED]
    if not any(_same(folder / (base + path), hashes.get(path, "")) for path in known):
        return None
    return Originals(base, tuple(row for row, here in enumerate(there) if not here))


def _is_file(folder: Path, base: str, path: str, folders: dict[str, bool]) -> bool:
    """Whether a path is a plain file within the folder. Each folder is looked at once."""
    parts = path.split("/")
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        return False
    parent = base + "/".join(parts[:-1])
    if parent not in folders:
        real = Path(os.path.realpath(folder / parent))
        folders[parent] = real == folder or folder in real.parents
    try:
        return folders[parent] and stat.S_ISREG(os.lstat(folder / (base + path)).st_mode)
    except OSError:
        return False


def _same(file: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == digest
    except OSError:
        return False
