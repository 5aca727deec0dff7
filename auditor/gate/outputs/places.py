"""Where an image lies as seen from the current folder. CI systems link findings to these paths."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from auditor.gate.verdict import Judgement, RuleOutcome
from auditor.result import AuditResult


def locator(result: AuditResult) -> Callable[[str], str]:
    """Turns a path of the result into the path from the current folder, with forward slashes.

    If the source is a folder, or a manifest in one, that folder comes before the path. It stays absolute where it lies
    outside the current folder. For any other source (an archive, an address) the path stays as it is.
    """
    base = _base(result.root)
    return lambda path: path if base is None else str(PurePosixPath(base) / path)


def first_file(outcome: RuleOutcome, locate: Callable[[str], str]) -> str | None:
    """The first file that kept an exact rule (unreadable files, duplicates, leakage) from passing, or None.

    A rule about an estimate depends on no single file. Its suspects are findings of their own.
    """
    if outcome.interval is not None or not outcome.evidence or outcome.verdict not in (Judgement.WARN, Judgement.FAIL):
        return None
    path = outcome.evidence[0].get("path")
    return None if path is None else locate(path)


def data_set(result: AuditResult) -> str:
    """The data set's folder or manifest from the current folder. The source's name where it is neither."""
    source = str(result.summary["dataset"]["source"])
    place = Path(source)
    return _from_here(place) if place.is_dir() or place.is_file() else source


def _base(source: str) -> str | None:
    place = Path(source)
    folder = place if place.is_dir() else place.parent if place.is_file() else None
    return None if folder is None else _from_here(folder)


def _from_here(place: Path) -> str:
    place, here = place.resolve(), Path.cwd().resolve()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else place.as_posix()


def fingerprint(hash: str, label: str) -> str:
    """A name for one label on one image, whatever the file is called: SHA-256 of both, hexadecimal."""
    return hashlib.sha256(f"{hash}\n{label}".encode("utf-8", "surrogatepass")).hexdigest()
