"""Lays what a model of the user's said beside a table: features and probabilities, one row an item."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from auditor.errors import SourceError
from auditor.sources.arrays_file import Block
from auditor.sources.base import Given, ImageTable, Skipped
from auditor.sources.spelling import resolved
from auditor.system.arrays import Array
from auditor.system.text import display, short

LACKING = "no {} are given for it"
"""Why an item takes no part that a file of features or probabilities does not name."""

_SUM = 0.01
"""How far the probabilities of an item may lie from a sum of 1. Half precision and rounding stay below."""


def beside(
    table: ImageTable, features: Block | None, probabilities: Block | None, classes: Sequence[str] = ()
) -> ImageTable:
    """The table with features, probabilities or both.

    Rows that name their items are matched by name. Others stand in the order of the source's rows.

    Parameters
    ----------
    classes
        The classes that the audit keeps, in the order of the user; empty for all.

    Returns
    -------
    ImageTable
        Items that a file does not name are skipped.

    Raises
    ------
    SourceError
        Rows or columns do not fit to the table, or probabilities are none.
    """
    for what, block in (("features", features), ("probabilities", probabilities)):
        if block is not None and block.names is not None:
            table = _named_only(table, block, what)
    columns: tuple[str, ...] = ()
    laid = None if features is None else features.values[_rows(table, features, "features")]
    likely = None
    if probabilities is not None:
        columns = _columns(table, probabilities, classes)
        likely = probabilities.values[_rows(table, probabilities, "probabilities")]
        _check_probabilities(likely, table)
        if probabilities.columns is None:
            _check_order(likely, columns, table)
    digest = hashlib.sha256(b"".join(_bytes(array) for array in (laid, likely)) + "\0".join(columns).encode())
    return replace(table, given=Given(laid, likely, columns, digest.hexdigest()), read=_or_numbers(table, laid, likely))


def _or_numbers(table: ImageTable, features: Array | None, probabilities: Array | None) -> Callable[[str], bytes]:
    """Reads an item's file. An item without a file is its name and its numbers, which then stand for its content."""
    row = {path: at for at, path in enumerate(table.frame["path"])}

    def read(path: str) -> bytes:
        try:
            return table.read(path)
        except OSError:
            if path not in row:
                raise
            numbers = (_bytes(None if x is None else x[row[path]]) for x in (features, probabilities))
            return path.encode("utf-8", "surrogateescape") + b"\0" + b"".join(numbers)

    return read


def _bytes(array: Array | None) -> bytes:
    return b"-" if array is None else f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def _named_only(table: ImageTable, block: Block, what: str) -> ImageTable:
    """The table without the items that a block does not name.

    Raises
    ------
    SourceError
        It names an item twice, or hardly any of the table's.
    """
    assert block.names is not None
    named = set(block.names)
    if len(named) < len(block.names):
        twice = Counter(block.names).most_common(1)[0][0]
        raise SourceError(f"the {what} name '{display(twice)[:80]}' twice", hint="give each item one row")
    paths = table.frame["path"].tolist()
    lacking = [path for path in paths if path not in named]
    if 2 * len(lacking) > len(paths):
        raise SourceError(
            f"the {what} name {len(paths) - len(lacking)} of the {len(paths)} items of {table.name}; the first that "
            f"they lack is '{display(lacking[0])[:80]}', and their own first name is '{display(block.names[0])[:80]}'",
            hint="name the items as the data set's paths, relative to its root with forward slashes",
        )
    if not lacking:
        return table
    kept = table.frame[table.frame["path"].isin(named)]
    return table.narrowed(kept, [Skipped(path, LACKING.format(what)) for path in lacking])


def _rows(table: ImageTable, block: Block, what: str) -> Array:
    """int64 [N], the row of a block that belongs to each item of the table."""
    if block.names is not None:
        row = {name: at for at, name in enumerate(block.names)}
        return np.array([row[path] for path in table.frame["path"]], np.int64)
    if table.places is None:
        raise SourceError(
            f"{table.name} has no order of its own, so nothing says which item a row of the {what} belongs to",
            hint=f"give a manifest, or name the items: numpy.savez(FILE, {what}=..., paths=...)",
        )
    if len(block.values) != table.n_places:
        raise SourceError(
            f"there are {len(block.values)} rows of {what}, but {table.name} has {table.n_places} rows",
            hint="give one row for each row of the manifest, in its order",
        )
    return table.places


def _columns(table: ImageTable, block: Block, classes: Sequence[str]) -> tuple[str, ...]:
    """The class of each column of probabilities."""
    present, width = sorted(table.frame["label"].unique()), block.values.shape[1]
    if block.columns is not None:
        names = tuple(resolved(block.columns, present))
        lacking = [name for name in (resolved(classes, present) or present) if name not in names]
        if not lacking:
            return names
        numbered = block.columns == tuple(map(str, range(width)))  # pandas' own names for an array's columns
        if not numbered:
            raise SourceError(
                f"the probabilities have no column for the class '{short(lacking[0])}'; their columns are "
                + ", ".join(f"'{display(name)[:40]}'" for name in block.columns[:12]),
                hint="call each column as its class",
            )
    if classes and width == len(classes):
        return tuple(resolved(classes, present))
    if width == len(present):
        return tuple(present)
    more = "too few" if width < len(present) else "too many"
    hint = "give one column a class, in the sorted order of the class names"
    if width == 1 and len(present) == 2:
        hint = "give both columns: numpy.column_stack([1 - p, p]), where p is the probability of the second class"
    raise SourceError(
        f"the probabilities have {width} columns, {more} for {len(present)} classes: {', '.join(present[:12])}"
        + (", ..." if len(present) > 12 else ""),
        hint=hint,
    )


def _check_probabilities(values: Array, table: ImageTable) -> None:
    """Refuse what cannot be probabilities. Rows with NaN are left to the reader, who skips them."""
    whole = np.isfinite(values).all(axis=1)
    outside = whole & ((values < -1e-6) | (values > 1 + _SUM)).any(axis=1)
    total = np.where(whole, values.sum(axis=1, dtype=np.float64), 1)
    bad = np.flatnonzero(outside | (np.abs(total - 1) > _SUM))
    if not len(bad):
        return
    path = display(table.frame["path"].iloc[int(bad[0])])[:80]
    what = "lie outside 0 to 1" if outside[bad[0]] else f"sum to {total[bad[0]]:.3g}, not to 1"
    raise SourceError(
        f"the numbers of {len(bad)} of {len(values)} items are no probabilities: the first, of '{path}', {what}",
        hint="give what softmax or predict_proba returns: no logits, logarithms, per cent or votes",
    )


def _check_order(values: Array, columns: tuple[str, ...], table: ImageTable) -> None:
    """Refuse columns in another order than that of the classes.

    Where columns are exchanged, most items of a class have their highest probability in another class's column, and
    the same other column is lowest there. Wrong labels look so only where they are the majority of a class.
    """
    from scipy.optimize import linear_sum_assignment  # half a second, which a gate does not need

    index = {name: at for at, name in enumerate(columns)}
    labels = table.frame["label"].map(index)
    known = labels.notna().to_numpy() & np.isfinite(values).all(axis=1)
    given, best = labels[known].to_numpy(np.int64), values[known].argmax(axis=1)
    counts = np.zeros((len(columns), len(columns)))
    np.add.at(counts, (given, best), 1)
    _, order = linear_sum_assignment(-counts)
    n = np.maximum(counts.sum(axis=1), 1)
    most = n / 2 + 1.5 * np.sqrt(n)  # three standard errors above one half, so that chance alone does not get there
    moved = [k for k in range(len(columns)) if order[k] != k and counts[k, order[k]] > most[k]]
    if len(moved) < 2 or not all(int(order[k]) in moved for k in moved):
        return
    first = moved[0]
    raise SourceError(
        f"the probabilities seem to have their columns in another order: of {int(n[first])} items labelled "
        f"'{short(columns[first])}', {int(counts[first, order[first]])} have their highest probability in the "
        f"column of '{short(columns[order[first]])}'",
        hint="put the columns in the sorted order of the class names, or give a Parquet file whose columns are named",
    )
