"""Whose file it is: an audit never writes over a file that no audit wrote.

A file is ours if its content says so: the head of a table, the kind of a JSON document, the mark in a page. Its name
says nothing, because `report.html` and `ranking.csv` are names that others give too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from auditor.errors import AuditorError, ConfigError

_HEAD = 1 << 20
"""Bytes at the beginning of a file that are looked at."""

_BOM = b"\xef\xbb\xbf"


def _kind(name: str) -> re.Pattern[bytes]:
    """A JSON document of ours, which names its kind."""
    return re.compile(rb'\A\s*\{.*?"kind"\s*:\s*"auditor-' + name.encode() + b'"', re.DOTALL)


PAGE_MARK = '<meta name="generator" content="auditor">'
"""Stands in every page that is written. Earlier versions wrote pages without it."""

MARKS = {
    "audit.json": re.compile(rb'\A\s*\{(?=.*?"schema_version"\s*:)(?=.*?"audit_id"\s*:)', re.DOTALL),
    "ranking.csv": re.compile(rb'\A"?rank"?,"?path"?,"?split"?,"?label"?,"?suggested_label"?,"?average_influence\b'),
    "planted.csv": re.compile(rb'\A"?rank"?,"?path"?,"?label"?,"?trained_label"?,"?planted\b'),
    "evidence.json": re.compile(rb'\A\s*\{\s*"thumbnails"\s*:'),
    "report.html": re.compile(PAGE_MARK.encode() + b"|" + " · label audit</title>".encode()),
    "verdict.json": _kind("verdict"),
    "sample.json": _kind("sample"),
    "certificate.json": _kind("certificate"),
    "auditor-ledger.json": re.compile(rb'\A\s*\{.*?"kind"\s*:\s*"auditor-(ledger|baseline)"', re.DOTALL),
}
"""By the name of a file in an audit's folder: how the content begins, or what stands near its beginning."""

COMPARISON_MARK = _kind("comparison")
"""Of `comparison.json`. Somebody else's file of that name hinders nothing: no comparison is kept then."""

FORMAT_MARKS = {
    "github": re.compile(rb"\A(::|\s*\Z)"),
    "gitlab": re.compile(rb'\A\s*\[\s*(\]|\{.*?"check_name"\s*:\s*"auditor/)', re.DOTALL),
    "json": MARKS["verdict.json"],
    "junit": re.compile(rb'<testsuites[^>]*name="auditor gate"'),
    "markdown": re.compile(rb"\A<!-- auditor gate -->"),
    "sarif": re.compile(rb'\A\s*\{.*?"driver"\s*:\s*\{\s*"name"\s*:\s*"auditor"', re.DOTALL),
}
"""By the name of an output format of the gate: how its content is told."""


def is_ours(path: Path, mark: re.Pattern[bytes]) -> bool:
    """Whether the file may be replaced: there is none, it is empty, or it carries the mark.

    What cannot be read, and what is no regular file, is not ours.
    """
    try:
        if not os.path.lexists(path):
            return True
        if not path.is_file():
            return path.is_symlink() and not path.exists()  # a link that leads nowhere hides nothing
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return not head.strip() or mark.search(head.removeprefix(_BOM)) is not None


def refuse_foreign(
    folder: str | Path,
    source: str | Path = "",
    *,
    names: Iterable[str] = tuple(MARKS),
    error: type[AuditorError] = ConfigError,
) -> None:
    """Refuse an output folder in which somebody else's file has the name of one of ours.

    Parameters
    ----------
    folder
        The folder. It need not exist.
    source
        The data set that is audited. It may be a manifest in that folder.
    names
        Those files of `MARKS` that would be written.
    error
        The class of the error.

    Raises
    ------
    AuditorError
        An `error`: it names the files. Nothing was written.
    """
    above = Path(folder)
    foreign = []
    for name in names:
        path = above / name
        if str(source) and _same(path, Path(source)):
            foreign.append(f"{name}, which is the data set that is audited")
        elif not is_ours(path, MARKS[name]):
            foreign.append(f"{name}, which no audit wrote")
    if foreign:
        raise error(
            f"the output folder {folder} holds {' and '.join(foreign)}; nothing was changed",
            hint="choose another folder with -o, or move the file away",
        )


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False
