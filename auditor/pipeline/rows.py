"""How many rows of the influence matrix the evidence can afford: each costs a solve where classes are many."""

from __future__ import annotations

from auditor.data.dataset import Dataset

EXPLAINED_MANY = 24

DENSE_CLASSES = 3
"""Classes up to which a row of the influence matrix costs next to nothing (one factorisation serves them all)."""

WRONG_EXAMPLES, WRONG_EXAMPLES_MANY = 100, 24
"""Wrongly classified test images explained, and the fewest where each costs a solve of its own."""

WRONG_NUMBERS = 2**20
"""Numbers solved for at once between the two: up to 20 classes of 512 features are explained like two."""

MANY_CLASSES = 128
"""With more classes than this rows are limited further."""

ROW_NUMBERS = 2**22
"""Numbers solved for at once with many classes: rows times classes times features. At 300 classes of 896 features that
is 15 rows for the examples and as many for the suspects, at 3,000 one each, which takes as long."""


def most_rows(data: Dataset, wanted: int) -> int:
    """How many of `wanted` rows of the influence matrix a list gets: all of them, unless there are many classes."""
    if data.n_classes <= MANY_CLASSES:
        return wanted
    return min(wanted, max(1, ROW_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))))


def most_wrong(data: Dataset, n_each: int) -> int:
    """How many wrongly classified test images are explained at most, many classes apart (`most_rows`)."""
    if data.n_classes <= DENSE_CLASSES:
        return max(WRONG_EXAMPLES, n_each)
    affordable = WRONG_NUMBERS // (data.n_classes * (data.features.shape[1] + 1))
    return max(WRONG_EXAMPLES_MANY, min(WRONG_EXAMPLES, affordable), n_each)


def limits(data: Dataset, n_each: int) -> tuple[str, ...]:
    """What `most_rows` leaves out, as sentences; none where it leaves out nothing."""
    wanted = max(EXPLAINED_MANY, most_wrong(data, n_each) + 2 * n_each)
    rows = most_rows(data, wanted)
    if rows == wanted:
        return ()
    return (
        f"With {data.n_classes} classes every row of the influence matrix takes long: of the examples, and of the "
        f"suspects, no more than {rows} {'has one' if rows == 1 else 'have theirs'}.",
    )
