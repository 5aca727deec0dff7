"""Which ledger an audit uses: the one that the user names, or the one that lies beside the data set.

`auditor.review.ledger` reads the file. Here it is only found and hashed, so that a finished audit can be asked whether
it is still the answer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from auditor.sources.manifest import parse_spec
from auditor.system.files import read_regular

LEDGER_NAME = "auditor-ledger.json"
"""The ledger's name beside a corrected manifest, at the top of a corrected folder, and in an audit's folder."""

EARLIER_NAME, EARLIER_MARK = "auditor-baseline.json", "review.json"
"""Earlier versions of `review apply` wrote this baseline and this mark, and no ledger."""

OFF = "none"
"""The setting that uses no ledger."""


def find_ledger(source: str, setting: str) -> Path | None:
    """The ledger for an audit of SOURCE; None where there is none.

    A baseline is taken by itself only where `review apply` wrote it together with the data set. Elsewhere it may be a
    gate's, for any data set.

    Parameters
    ----------
    source
        What the user wrote as SOURCE; empty for a table that a program made.
    setting
        The setting `ledger`: a file, `none`, or empty.
    """
    if setting:
        return None if setting == OFF else Path(setting)
    if not source.strip() or "\0" in source:
        return None
    place = Path(parse_spec(source)[0])
    folder = place if place.is_dir() else place.parent if place.is_file() else None
    if folder is None:
        return None
    if (folder / LEDGER_NAME).is_file():
        return folder / LEDGER_NAME
    earlier = (folder / EARLIER_NAME).is_file() and (folder / EARLIER_MARK).is_file()
    return folder / EARLIER_NAME if earlier else None


def ledger_digest(path: Path | None) -> str:
    """The sha256 of a ledger's bytes, in hexadecimal. Empty without a ledger, and where it cannot be read."""
    if path is None:
        return ""
    try:
        return hashlib.sha256(read_regular(str(path))).hexdigest()
    except OSError:
        return ""
