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
    paths: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    *,
    read: Callable[[str], bytes],
    skipped: Iterable[Skipped] = (),
    empty: Iterable[str] = (),
    locate: Callable[[str], str | None] | None = None,
) -> ImageTable:
    """An `ImageTable` of images in any order, given as columns: millions of row objects would take their time.

    Raises
    ------
    SourceError
        There is no row; the message gives the first reasons why entries were left out.
    """
    left_out = tuple(sorted(set(skipped), key=lambda entry: (entry.path, entry.reason)))
    if not paths:
        why = "; ".join(f"{entry.path}: {entry.reason}" for entry in left_out[:3])
        raise SourceError(
            f"{name} holds no labelled image" + (f" ({len(left_out)} entries left out: {why})" if left_out else ""),
            hint="a source needs image files in class folders, or a manifest with the columns path and label",
        )
    # Python compares strings by code point: the same order on every machine and locale.
    order = sorted(range(len(paths)), key=paths.__getitem__)
    columns = {"path": paths, "label": labels, "split": splits}
    frame = pd.DataFrame(
        {name: pd.Series([column[index] for index in order], dtype="str") for name, column in columns.items()}
    )
    without = tuple(sorted(set(empty) - set(labels)))
    return ImageTable(name, root, frame, read, left_out, locate or (lambda path: None), without)
