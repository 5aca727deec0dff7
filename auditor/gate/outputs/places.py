"""Where an image lies as seen from the current folder: what CI systems link findings to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from auditor.gate.verdict import Judgement, RuleOutcome
from auditor.result import AuditResult


def locator(result: AuditResult) -> Callable[[str], str]:
    """Gives for a path of the result the path from the current folder where that can be known, with forward slashes.

    A source that is a folder, or a manifest in one, is put before the path; one outside the current folder stays
    absolute; anything else (an archive, an address) leaves the path as it is.
    """
    base = _base(str(result.summary["dataset"]["source"]))
    return lambda path: path if base is None else str(PurePosixPath(base) / path)


def first_file(outcome: RuleOutcome, locate: Callable[[str], str]) -> str | None:
    """The first file that made an exact rule (unreadable files, duplicates, leakage) not pass.

    A rule about an estimate stands on no one file, and its suspects are findings of their own.
    """
    if outcome.interval is not None or not outcome.evidence or outcome.verdict not in (Judgement.WARN, Judgement.FAIL):
        return None
    path: Any = outcome.evidence[0].get("path")
    return None if path is None else locate(str(path))


def data_set(result: AuditResult) -> str:
    """The data set itself, a folder or a manifest, from the current folder; its name where it is neither."""
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
    """Names one label on one image whatever the file is called: sha256 of both, hexadecimal."""
    return hashlib.sha256(f"{hash}\n{label}".encode("utf-8", "surrogatepass")).hexdigest()
