"""Columns of a table that tell the label exactly. A copy of the label among the features hides every wrong label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from auditor.data.table_columns import as_numbers, listed
from auditor.system.arrays import Array
from auditor.system.text import short

ROWS_EACH = 5
"""Rows that each value of a column needs on average. With fewer a column of names would seem to tell the label."""

NEARLY = 0.98
"""The part of the rows whose label a column must tell to be called nearly a copy."""

COPIES = (
    "These columns tell the label of every row, or stand for the classes one by one and tell nearly every label: {}. A "
    "copy of the labels hides wrong ones, so they were left out. Nothing is lost if they were made from the labels, "
    "and a good feature if they were not."
)

NEAR_COPIES = (
    "These columns tell the label of nearly every row: {}. If they were made from the labels, they hide wrong labels. "
    "Remove them then, and audit again."
)

THRESHOLDS = (
    "A threshold on these columns tells the label of every row: {}. If the labels were computed from them, this audit "
    "cannot see a wrong label. Remove them then, and audit again."
)


def without_copies(cells: pd.DataFrame, labels: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns that are no copies of the label, and sentences about copies.

    Parameters
    ----------
    cells
        N rows of text, None where a value is missing.
    labels
        The N given labels. They serve to leave out columns, and for nothing else.
    """
    codes, _ = pd.factorize(np.asarray(labels, dtype=object))
    copies, near, thresholds = list[str](), list[str](), list[str]()
    for name in cells.columns:
        told, one_by_one = _told(cells[name].tolist(), codes)
        if told == 1.0 or (told >= NEARLY and one_by_one):
            copies.append(name)
        elif told >= NEARLY:
            near.append(name)
        elif _by_threshold(cells[name].tolist(), codes):
            thresholds.append(name)
    said = ((COPIES, copies), (NEAR_COPIES, near), (THRESHOLDS, thresholds))
    notes = tuple(text.format(listed([f"'{short(str(name))}'" for name in names])) for text, names in said if names)
    return cells.drop(columns=copies), notes


def _told(values: Sequence[str | None], codes: Array) -> tuple[float, bool]:
    """The part of the rows whose label is the most frequent one of their value; 0 where that says nothing.

    It says nothing where values are too many, or where the most frequent label of all does nearly as well. And whether
    each value stands for a class of its own.
    """
    of_value, levels = pd.factorize(np.array(["" if v is None else v.strip() for v in values], dtype=object))
    n = len(codes)
    if len(levels) < 2 or n < ROWS_EACH * len(levels):
        return 0.0, False
    table = np.zeros((len(levels), int(codes.max()) + 1), np.int64)
    np.add.at(table, (of_value, codes), 1)
    told, blindly = table.max(axis=1).sum() / n, table.sum(axis=0).max() / n
    classes_told = len(set(table.argmax(axis=1).tolist())) == table.shape[1]
    says = classes_told and told - blindly > (1 - blindly) / 2
    return float(told) if says else 0.0, len(levels) == table.shape[1]


def _by_threshold(values: Sequence[str | None], codes: Array) -> bool:
    """Whether each class is a range of a column of numbers."""
    numbers = as_numbers(values)
    if not np.isfinite(numbers).all() or len(np.unique(numbers)) <= int(codes.max()) + 1:
        return False
    lows, highs = _ends(numbers, codes)
    order = np.argsort(lows)
    return bool((highs[order][:-1] < lows[order][1:]).all())


def _ends(numbers: Array, codes: Array) -> tuple[Array, Array]:
    """The least and the greatest number of each class."""
    n_classes = int(codes.max()) + 1
    lows, highs = np.full(n_classes, np.inf), np.full(n_classes, -np.inf)
    np.minimum.at(lows, codes, numbers)
    np.maximum.at(highs, codes, numbers)
    return lows, highs
