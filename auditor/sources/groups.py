"""Whether a column called `group` says which items belong together, or something else."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

LARGEST = 0.05
"""A group with a larger part of the items is no family: it says what many have in common, as a camera or a year."""

SMALLEST_LARGE = 10
"""So many items can belong together in any data set."""


def groups_digest(paths: Iterable[str], groups: Iterable[str] | None) -> str:
    """The sha256, in hexadecimal, over path and group of every item in the given order; empty without groups."""
    if groups is None:
        return ""
    text = "".join(f"{path}\0{group}\n" for path, group in zip(paths, groups, strict=True))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def as_families(groups: Sequence[str] | None, *, named: bool) -> tuple[list[str] | None, str]:
    """The groups of N items, where they can be families, and a note where they cannot.

    Parameters
    ----------
    groups
        N names, an empty one says nothing; None where there is no such column.
    named
        True where the user named the column. Then it is taken as it is.

    Returns
    -------
    tuple
        The groups, or None. And a sentence, or an empty text.
    """
    if groups is None or named:
        return None if groups is None else list(groups), ""
    sizes = Counter(name for name in groups if name)
    largest = max(sizes.values(), default=0)
    if largest <= max(LARGEST * len(groups), SMALLEST_LARGE):
        return list(groups), ""
    return None, (
        f"The column 'group' was not taken to say which images belong together: one of its {len(sizes)} names stands "
        f"for {largest} of {len(groups)} images. Where copies and parts of one thing do share a name, say "
        "--columns group=group."
    )
