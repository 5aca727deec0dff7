"""How a new folder takes the place of an earlier one, whole or not at all, wherever the folder lies.

Two renames do it. Some folders cannot be renamed: a mount point, as containers have it, or a folder of a lower layer.
There the files change places one by one, and a copy of the earlier ones waits until all new ones stand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from auditor.system import files

_OLD, _NEW = "old", "new.json"
"""In the folder that waits: the earlier files, and the names of the new ones."""


def exchange_folders(staged: Path, folder: Path, drafts: str, mark: str) -> None:
    """Put the new folder in the place of the old one. The old one is removed only when the new one stands.

    A kill between two steps leaves both beside `folder`. `repair` sees to that.

    Parameters
    ----------
    staged
        The new folder, beside `folder`.
    folder
        The place; there may be an earlier folder.
    drafts
        The beginning of the names beside `folder` that are ours.
    mark
        The file that says that the folder is whole. Where files change places one by one, it goes first and comes last.
    """
    try:
        _by_name(staged, folder, _aside(folder, drafts))
    except OSError as error:
        if error.errno not in files.UNMOVABLE:
            raise
        _by_content(staged, folder, drafts, mark)


def repair(folder: Path, drafts: str, mark: str) -> None:
    """Bring back what a killed `exchange_folders` had put aside, and remove its drafts."""
    aside, waiting = _aside(folder, drafts), _waiting(folder, drafts)
    if aside.is_dir() and not folder.exists():
        aside.rename(folder)
    if waiting.is_dir() and not (folder / mark).exists():
        _bring_back(waiting, folder, mark)
    for left in folder.parent.glob(f"{drafts}*/"):
        shutil.rmtree(left, ignore_errors=True)


def _aside(folder: Path, drafts: str) -> Path:
    """Where the earlier folder itself waits."""
    return folder.parent / f"{drafts}old"


def _waiting(folder: Path, drafts: str) -> Path:
    """Where copies of the earlier files wait."""
    return folder.parent / f"{drafts}files"


def _by_name(staged: Path, folder: Path, aside: Path) -> None:
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


def _by_content(staged: Path, folder: Path, drafts: str, mark: str) -> None:
    """The new files take the place of the earlier ones, in the same folder."""
    draft, waiting = folder.parent / f"{drafts}draft", _waiting(folder, drafts)
    new = _below(staged)
    earlier = _below(folder) if folder.exists() else []
    try:
        (draft / _OLD).mkdir(parents=True)
        _lay(folder, draft / _OLD, earlier, mark)
        files.write_text(draft / _NEW, json.dumps(new))
        draft.rename(waiting)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    try:
        folder.mkdir(exist_ok=True)
        _remove(folder, earlier, mark)
        _lay(staged, folder, new, mark)
    except BaseException:
        _bring_back(waiting, folder, mark)
        raise
    finally:
        for done in (waiting, staged):
            shutil.rmtree(done, ignore_errors=True)


def _bring_back(waiting: Path, folder: Path, mark: str) -> None:
    """The earlier files again. Files that are neither of the earlier nor of the new ones stay: they are the user's."""
    old = waiting / _OLD
    names = _below(old)
    _remove(folder, {*names, *json.loads((waiting / _NEW).read_text())}, mark)
    _lay(old, folder, names, mark)
    if not names:
        with contextlib.suppress(OSError):
            folder.rmdir()  # it was made for the new files


def _below(folder: Path) -> list[str]:
    """Every file below a folder, sorted, as a path from there."""
    found = (Path(above, name).relative_to(folder) for above, _, names in os.walk(folder) for name in names)
    return sorted(str(path) for path in found)


def _remove(folder: Path, names: Sequence[str] | set[str], mark: str) -> None:
    """Remove these files, the mark first, and folders that are then empty."""
    for name in sorted(names, key=lambda name: (name != mark, name)):
        (folder / name).unlink(missing_ok=True)
    for above, _, _ in sorted(os.walk(folder), reverse=True):
        if Path(above) != folder:
            with contextlib.suppress(OSError):
                Path(above).rmdir()


def _lay(source: Path, folder: Path, names: Sequence[str], mark: str) -> None:
    """Copies of these files, the mark last; links to the same bytes where that is possible."""
    for name in sorted(names, key=lambda name: (name == mark, name)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / name, folder / name)
        except OSError:
            shutil.copy2(source / name, folder / name)
