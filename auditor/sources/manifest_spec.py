"""What a user says of a manifest beside its file: columns, root, and what its rows are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.config import MAX_PIXELS
from auditor.errors import SourceError
from auditor.sources.manifest_columns import ROLES
from auditor.sources.manifest_formats import READERS, suffix_of
from auditor.sources.remote.reach import Reach
from auditor.system.text import display

IMAGE_ROLES, ITEM_ROLES = ("path",), ("text", "id")
"""Roles that columns have in a manifest of images alone, and in one of texts or rows alone."""

GROUP = "group"
"""The role of a column in every manifest: its values name what belongs together."""


MARGIN = "margin="
"""What stands behind `::` in a SOURCE of boxes, before a number."""


@dataclass(frozen=True)
class Layout:
    """What a user says of a manifest beside its name.

    Attributes
    ----------
    root
        The folder where its paths begin. Empty means the manifest's own folder.
    columns
        What its columns are called: `path=A,label=B,split=C`, or some of these.
    by_name
        Its paths are names: features are given for the items, so there need not be a file for each. Files that are
        there can be read.
    kind
        What its rows are: `image`, `text` or `table`. Empty lets the columns tell.
    label
        The column of its labels; empty where it is said in another way.
    max_pixels
        Pictures with more pixels are not decoded. Only boxes are cut out before an image is read.
    reach
        The leave to read addresses such as s3://; None where nobody named one.
    begins
        The folder where a manifest's paths begin where the user names no root. Empty means the manifest's own.
    """

    root: str = ""
    columns: str = ""
    by_name: bool = False
    kind: str = ""
    label: str = ""
    max_pixels: int = MAX_PIXELS
    reach: Reach | None = None
    begins: str = ""


AS_NAMED = Layout()
"""The root is the manifest's folder, and the columns have the names of their roles."""


def split_margin(spec: str) -> tuple[str, str]:
    """`PLACE::margin=0.2`, as boxes have it, as the place and `0.2`. A place with exactly this name comes first."""
    place, _, said = spec.rpartition("::")
    if not place or not said.startswith(MARGIN) or os.path.exists(spec):
        return spec, ""
    return place, said.removeprefix(MARGIN) or " "


def parse_spec(spec: str) -> tuple[str, dict[str, str]]:
    """`FILE::label=a,path=b` as the file and its chosen columns by role. A file with exactly this name comes first.

    Of `PLACE::margin=0.2`, as boxes have it, the place is left.

    Raises
    ------
    SourceError
        The text after the `::` is not a list of path=, label= and split=.
    """
    place, margin = split_margin(spec)
    if margin:
        return place, {}
    file, separator, choice = spec.rpartition("::")
    if not separator or suffix_of(file) not in READERS or os.path.exists(spec):
        return spec, {}
    written = "FILE::label=COLUMN,path=COLUMN,split=COLUMN"
    return file, _columns(choice, f"the source {display(spec)}", written)


def _columns(choice: str, where: str, written: str) -> dict[str, str]:
    """`label=a,path=b` as columns by role."""
    columns: dict[str, str] = {}
    roles = (*ROLES, *ITEM_ROLES, GROUP)
    for part in re.split(rf",(?=(?:{'|'.join(roles)})=)", choice):
        role, equals, column = part.partition("=")
        if role not in roles or not equals or not column or role in columns:
            raise SourceError(
                f"cannot understand '{display(part)}' in {where}", hint=f"write it as {written}, each at most once"
            )
        columns[role] = column
    return columns


def chosen_columns(spec: str, layout: Layout) -> tuple[str, dict[str, str]]:
    """The file of SOURCE, and its columns by role as SOURCE, `--columns` and `--label` name them.

    Raises
    ------
    SourceError
        The words cannot be understood, or name a column twice.
    """
    file, columns = parse_spec(spec)
    if not columns and file != spec:
        raise SourceError(
            f"{display(file)} is a manifest of whole items, and only boxes have a margin",
            hint=f"leave out {display(spec[len(file) :])}",
        )
    if layout.columns:
        written = "--columns label=COLUMN,path=COLUMN,split=COLUMN"
        columns = _joined(columns, _columns(layout.columns, "--columns", written), "--columns")
    return file, _joined(columns, {"label": layout.label} if layout.label else {}, "--label")


def _joined(columns: dict[str, str], more: dict[str, str], option: str) -> dict[str, str]:
    """The columns that are named so far and those of an option. Both may not name the same role."""
    both = sorted(columns.keys() & more.keys())
    if both:
        raise SourceError(
            f"the column for '{both[0]}' is named twice, in the source and by {option}", hint="name it once"
        )
    return {**columns, **more}


def told_kind(columns: Mapping[str, str], layout: Layout) -> str:
    """The kind of items that the user's words tell; empty where they tell none.

    Raises
    ------
    SourceError
        The words contradict each other.
    """
    kind = layout.kind or ("text" if "text" in columns else "image" if "path" in columns else "")
    wrong = {"image": ITEM_ROLES, "text": IMAGE_ROLES, "table": (*IMAGE_ROLES, "text")}.get(kind, ())
    for role, column in columns.items():
        if role in wrong:
            raise SourceError(
                f"a manifest of kind {kind} has no column for '{role}'",
                hint=f"leave out {role}={display(column)}, or choose another --kind",
            )
    return kind
