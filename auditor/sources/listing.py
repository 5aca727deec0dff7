"""What the kinds of source share: the names of splits, and a list of images turned into a sorted table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, Skipped

_SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""How data sets spell the splits."""


def split_name(text: str) -> str | None:
    """One of `SPLITS` for any usual spelling, '' for none given, None for a word that is not a split."""
    word = text.strip().lower()
    return _SPLIT_NAMES.get(word) if word else ""


def make_table(
    name: str,
    root: str,
    rows: Sequence[tuple[str, str, str]],
    *,
    read: Callable[[str], bytes],
    skipped: Iterable[Skipped] = (),
    empty: Iterable[str] = (),
    locate: Callable[[str], str | None] | None = None,
) -> ImageTable:
    """An `ImageTable` of (path, label, split) rows in any order.

    Raises
    ------
    SourceError
        There is no row; the message gives the first reasons why entries were left out.
    """
    left_out = tuple(sorted(set(skipped), key=lambda entry: (entry.path, entry.reason)))
    if not rows:
        why = "; ".join(f"{entry.path}: {entry.reason}" for entry in left_out[:3])
        raise SourceError(
            f"{name} holds no labelled image" + (f" ({len(left_out)} entries left out: {why})" if left_out else ""),
            hint="a source needs image files in class folders, or a manifest with the columns path and label",
        )
    # Python compares strings by code point: the same order on every machine and locale.
    rows = sorted(rows)
    names = ("path", "label", "split")
    frame = pd.DataFrame({name: pd.Series([row[at] for row in rows], dtype="str") for at, name in enumerate(names)})
    labels = set(frame["label"])
    return ImageTable(
        name, root, frame, read, left_out, locate or (lambda path: None), tuple(sorted(set(empty) - labels))
    )
