"""Where an item lies as seen from the repository's root. CI systems link findings to these paths."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from auditor.data.reopening import Opening
from auditor.errors import AuditorError
from auditor.gate.verdict import Judgement, RuleOutcome
from auditor.result import AuditResult
from auditor.result.nouns import IMAGE
from auditor.sources.manifest import parse_spec

ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Where a CI system says that the repository lies. It takes paths from there, wherever a step runs."""

MORE_ROOTS = ("BUILD_SOURCESDIRECTORY", "BITBUCKET_CLONE_DIR", "CIRCLE_WORKING_DIRECTORY", "WORKSPACE")
"""The same from other systems. They count where no `.git` lies above and the current folder lies below them."""

_TRIED = 20
"""So many audited files are looked for in a folder before it is believed to be the data set's."""


@dataclass(frozen=True)
class Place:
    """A file for another program.

    Attributes
    ----------
    path
        From the repository's root where the file lies below it. Absolute where it lies elsewhere. The path within the
        data set where nobody knows where that lies.
    inside, known
        Whether it lies in the repository, and whether its place is known at all.
    line
        The line on which an item of a manifest begins; 1 for a file of its own, and where nobody knows.
    """

    path: str
    inside: bool
    known: bool = True
    line: int = 1


def repository() -> Path:
    """The root of the repository: what the CI system says, or the folder above with `.git`, or the current folder."""
    for name in ROOTS:
        given = os.environ.get(name, "")
        if given and Path(given).is_dir():
            return Path(given).resolve()
    here = Path.cwd().resolve()
    above = (here, *here.parents)
    marked = next((folder for folder in above if (folder / ".git").exists()), None)
    said = (Path(given).expanduser().resolve() for name in MORE_ROOTS if (given := os.environ.get(name, "")))
    return marked or next((folder for folder in said if folder in above), here)


def locator(result: AuditResult) -> Callable[[str], Place]:
    """Turns a path of the result into its place.

    The place is known where the data set's folder holds some of the audited files. An archive or an address does not.
    Texts, rows and items that are no files lie in their manifest, each at its line.
    """
    if result.noun.kind in ("text", "table"):
        return _in_manifest(result)
    boxes = _box_places(result)
    if boxes:
        return lambda path: boxes.get(path) or _nowhere(path)
    root = Path(result.root)
    folder = root if root.is_dir() else root.parent if root.is_file() else None
    if folder is None or not _holds(folder, result):
        return _in_manifest(result) if result.noun.kind != IMAGE else _nowhere
    base = folder.resolve()
    return lambda path: _placed(base, PurePosixPath(path))


def has_boxes(result: AuditResult) -> bool:
    """Whether the items may be boxes: each is called after its picture and a number, images/x.jpg#3."""
    return all("#" in path for path in result.ranking["path"])


def _box_places(result: AuditResult) -> dict[str, Place]:
    """Where each box stands in its file of annotations; empty where the items are no boxes, or nobody knows."""
    if not has_boxes(result):
        return {}
    try:
        boxes = Opening.of(result.settings).open(str(result.summary["dataset"]["source"])).boxes
        places = {} if boxes is None else boxes.places()
    except (AuditorError, OSError):  # the places are a help; the gate does without
        return {}
    files = {file: _placed(Path(file).resolve(), None) for file, _ in places.values()}
    return {name: replace(files[file], line=line) for name, (file, line) in places.items()}


def _nowhere(path: str) -> Place:
    return Place(path, inside=False, known=False)


def _in_manifest(result: AuditResult) -> Callable[[str], Place]:
    source = str(result.summary["dataset"]["source"])
    file = Path(parse_spec(source)[0])
    if not file.is_file():
        return _nowhere
    by_name = result.noun.kind not in ("text", "table")
    try:
        opening = replace(Opening.of(result.settings), features="", probabilities="")
        origin = opening.open(source, by_name=by_name).origin
        lines = {} if origin is None else origin.lines()
    except (AuditorError, OSError):  # the lines are a help; the gate does without
        lines = {}
    place = _placed(file.resolve(), None)
    return lambda path: replace(place, line=lines.get(path, 1))


def _holds(folder: Path, result: AuditResult) -> bool:
    paths = list(result.ranking["path"].head(_TRIED)) + [e["path"] for e in result.summary["dataset"]["skipped"][:1]]
    return any(os.path.lexists(folder / path) for path in paths)


def _placed(base: Path, inner: PurePosixPath | None) -> Place:
    """A file below an absolute folder. The folders of its own path stay as they are written."""
    root = repository()
    inside = base.is_relative_to(root)
    start = PurePosixPath((base.relative_to(root) if inside else base).as_posix())
    return Place(str(start if inner is None else start / inner), inside)


def first_file(outcome: RuleOutcome, locate: Callable[[str], Place]) -> Place | None:
    """The first file that kept an exact rule (unreadable files, duplicates, leakage) from passing, or None.

    A rule about an estimate depends on no single file. Its suspects are findings of their own.
    """
    if outcome.interval is not None or not outcome.evidence or outcome.verdict not in (Judgement.WARN, Judgement.FAIL):
        return None
    path = outcome.evidence[0].get("path")
    return None if path is None else locate(path)


def data_set(result: AuditResult) -> str:
    """The data set's folder or manifest from the repository's root. The source's name where it is neither."""
    source = str(result.summary["dataset"]["source"])
    if result.noun.kind in ("text", "table"):
        file = Path(parse_spec(source)[0])
        return _placed(file.resolve(), None).path if file.is_file() else source
    place = Path(parse_spec(source)[0])
    known = has_boxes(result) or locator(result)("").known
    if not (place.is_dir() or place.is_file()) or not known:
        return source
    return _placed(place.resolve(), None).path


def fingerprint(hash: str, label: str) -> str:
    """A name for one label on one image, whatever the file is called: SHA-256 of both, hexadecimal."""
    return hashlib.sha256(f"{hash}\n{label}".encode("utf-8", "surrogatepass")).hexdigest()
