"""How many rows of the influence matrix the evidence can afford. With many classes each row costs a solve."""

from __future__ import annotations

from auditor.data.dataset import Dataset

EXPLAINED_MANY = 24
"""Suspects that get a row where each row costs a solve."""

DENSE_CLASSES = 3
"""Up to this number of classes one factorisation serves all rows, and a row costs next to nothing."""

WRONG_EXAMPLES, WRONG_EXAMPLES_MANY = 100, 24
"""Wrongly classified test images that are explained. The second number holds where each costs a solve."""

WRONG_NUMBERS = 2**20
"""Numbers solved for at once. Up to 20 classes of 512 features stay below it and are explained like two classes."""

MANY_CLASSES = 128
"""With more classes than this, rows are limited further."""

ROW_NUMBERS = 2**22
"""Numbers solved for at once with many classes: rows times classes times features.

At 300 classes of 896 features that is 15 rows for the examples and 15 for the suspects. At 3,000 classes it is one row
for each, and takes as long.
"""


def most_rows(data: Dataset, wanted: int) -> int:
    """How many of `wanted` rows of the influence matrix a list gets. Many classes get fewer."""
    if data.n_classes <= MANY_CLASSES:
        return wanted
    return min(wanted, max(1, ROW_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))))


def explained_rows(data: Dataset, wanted: int) -> int:
    """How many of `wanted` suspects get a row. With many classes only the first ones do, since each costs a solve."""
    return wanted if data.n_classes <= DENSE_CLASSES else most_rows(data, EXPLAINED_MANY)


def most_wrong(data: Dataset, n_each: int) -> int:
    """How many wrongly classified test images are explained at most. `most_rows` limits many classes further."""
    if data.n_classes <= DENSE_CLASSES:
        return max(WRONG_EXAMPLES, n_each)
    affordable = WRONG_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))
    return max(WRONG_EXAMPLES_MANY, min(WRONG_EXAMPLES, affordable), n_each)


def limits(data: Dataset, n_each: int) -> tuple[str, ...]:
    """Sentences about what `most_rows` leaves out."""
    wanted = max(EXPLAINED_MANY, most_wrong(data, n_each) + 2 * n_each)
    rows = most_rows(data, wanted)
    if rows == wanted:
        return ()
    return (
        f"With {data.n_classes} classes every row of the influence matrix takes long. No more than {rows} of the "
        f"examples {'has one' if rows == 1 else 'have theirs'}, and no more than {rows} of the suspects.",
    )
