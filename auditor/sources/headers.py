"""What a column is for, where its name only comes near that of a role: Path, File Name, class.

A near name counts only where no column has the role's own name, and where a single column comes near. A note says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from auditor.system.text import short

_OTHER_WORDS = {
    "path": frozenset(
        {"file", "filename", "filepath", "image", "imagefile", "imagefilename", "imagename", "imagepath", "img"}
        | {"imgfile", "imgname", "imgpath", "picture", "photo"}
    ),
    "label": frozenset({"category", "categoryname", "class", "classlabel", "classname", "labelname", "target"}),
    "text": frozenset({"sentence", "texts"}),
}
"""Other words for a role, in lower case and without blanks."""


def alike(role: str, present: Iterable[str]) -> str:
    """The only column that has the name of a role in another case, width or with blanks. Empty where none has."""
    near = [name for name in present if _plain(name) == role]
    return near[0] if len(near) == 1 else ""


def meant(role: str, present: Iterable[str]) -> str:
    """The only column that can be for a role, by its name or another word for it. Empty where there is none."""
    names = list(present)
    if any(_plain(name) == role for name in names):
        return alike(role, names)
    near = [name for name in names if _plain(name) in _OTHER_WORDS.get(role, ())]
    return near[0] if len(near) == 1 else ""


def understood(
    present: Sequence[str], columns: Mapping[str, str], roles: Iterable[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The columns by role, with those that near names show, and a note about these.

    Parameters
    ----------
    present
        The names of all columns.
    columns
        The columns that the user chose, by role.
    roles
        The roles that need a column.

    Returns
    -------
    tuple
        All of `columns` and what was found. And the notes: none where a role is left without a column.
    """
    wanted = [role for role in roles if role not in columns and role not in present]
    found = {role: meant(role, present) for role in wanted}
    if not found or not all(found.values()) or len(set(found.values())) < len(found):
        return dict(columns), ()
    return {**columns, **found}, (read_so(found),)


def read_so(taken: Mapping[str, str]) -> str:
    """The note about columns that were taken for a role without having its name."""
    said = " and ".join(f"'{short(name)}' as {role}" for role, name in taken.items())
    return f"The table's columns were read so: {said}."


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).casefold()
