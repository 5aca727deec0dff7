"""The folder that `review apply` writes: it is replaced whole, by one process at a time, and only if it is ours."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import DecisionsError
from auditor.review.documents import REVIEW_KIND
from auditor.review.exchange import repair
from auditor.system.documents import read_document
from auditor.system.lock import locked, refuse_inside

REVIEW_MARK = "review.json"
"""This file marks a folder that `review apply` wrote. The lock for such a folder lies beside it."""


def beside(folder: Path) -> str:
    """The beginning of every name that `review apply` uses beside the folder it writes: its drafts, and its lock."""
    return f".auditor-review-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]}-"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[str]:
    """Nobody else writes to `folder` inside the block. The value is the beginning of the names of drafts beside it.

    First, this repairs what a killed call left there. An earlier folder comes back if it was moved aside and not yet
    replaced, since its baseline holds the decisions of earlier reviews. Drafts are removed.

    Raises
    ------
    LockedError, ConfigError
        As `auditor.system.lock.locked`.
    """
    drafts = beside(folder)
    above = folder.parent
    made = [path for path in (above, *above.parents) if not path.exists()]
    above.mkdir(parents=True, exist_ok=True)
    try:
        with locked(above, f"{drafts}lock", f"another review is being applied to {folder}"):
            repair(folder, drafts, REVIEW_MARK)
            yield drafts
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()  # only succeeds when an error left it empty


def check_folder(folder: Path, source: Path) -> None:
    """Refuse a folder that lies inside the data set, and a name that something else than a folder has.

    Raises
    ------
    DecisionsError
        The folder is refused.
    """
    refuse_inside(folder, source, "folder", "-o", DecisionsError)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DecisionsError(f"{folder} is not a folder", hint="choose another one with -o")


def check_folder_content(folder: Path) -> None:
    """Refuse a folder that holds files of others.

    Raises
    ------
    DecisionsError
        The folder is not new, not empty, and not exactly what an earlier call wrote.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = sum(len(names) for _, _, names in os.walk(folder))
    with contextlib.suppress(DecisionsError):
        mark = read_document(folder / REVIEW_MARK, kind=REVIEW_KIND, version=None, error=DecisionsError, what="review")
        if mark.get("files") == found:
            return
    raise DecisionsError(
        f"{folder} holds files that this command did not write", hint="choose a new or empty folder with -o"
    )
