"""TODO auditor.review.folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import DecisionsError
from auditor.system.files import read_text
from auditor.system.lock import locked

REVIEW_MARK = "review.json"
"""Lies in a folder that `review apply` wrote and replaces whole, under a lock beside it."""


def beside(folder: Path) -> str:
    """How the names begin of what `review apply` puts beside the folder it writes: drafts of it, and its lock."""
    return f".auditor-review-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]}-"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[str]:
    """Nobody else writes to `folder` inside the block; the value is how the names of drafts beside it begin.

    What a killed call left there is put right first: the earlier folder comes back where it had been moved aside and
    not yet replaced, since its baseline holds the decisions of earlier reviews, and drafts go.

    Raises
    ------
    LockedError, ConfigError
        As `auditor.lock.locked`.
    """
    drafts = beside(folder)
    above = folder.parent
    made = [path for path in (above, *above.parents) if not path.exists()]
    above.mkdir(parents=True, exist_ok=True)
    try:
        with locked(above, f"{drafts}lock", f"another review is being applied to {folder}"):
            aside = put_aside(folder, drafts)
            if aside.is_dir() and not folder.exists():
                aside.rename(folder)
            for left in above.glob(f"{drafts}*/"):
                shutil.rmtree(left, ignore_errors=True)
            yield drafts
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()  # only succeeds when an error left it empty


def put_aside(folder: Path, drafts: str) -> Path:
    """Where the earlier folder waits while the new one takes its place."""
    return folder.parent / f"{drafts}old"


def check_folder(folder: Path, source: Path) -> None:
    """`folder` is a folder or nothing yet, and does not lie in a folder that is the data set."""
    real, data = folder.resolve(), source.resolve()
    if source.is_dir() and (real == data or data in real.parents):
        raise DecisionsError(
            f"{folder} lies inside the data set, which is never changed", hint="choose another folder with -o"
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DecisionsError(f"{folder} is not a folder", hint="choose another one with -o")


def check_folder_content(folder: Path) -> None:
    """`folder` is new, empty, or wholly an earlier call's."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = sum(len(names) for _, _, names in os.walk(folder))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        mark = json.loads(read_text(folder / REVIEW_MARK))
        if mark["kind"] == "auditor-review" and mark["files"] == found:
            return
    raise DecisionsError(
        f"{folder} holds files that this command did not write", hint="choose a new or empty folder with -o"
    )


def exchange_folders(staged: Path, folder: Path, aside: Path) -> None:
    """Put the new folder in the place of the old one; the old one goes only after the new one stands.

    A kill between the two leaves both beside `folder`, which the next call puts right (see `alone`).
    """
    if not folder.exists():
        staged.rename(folder)
        return
    folder.rename(aside)
    try:
        staged.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
