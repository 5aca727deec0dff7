"""Tables of objects in Python: arrays of features, data frames, torch data sets and data sets of Hugging Face.

Nothing is imported here for them: an object that somebody holds comes from a library that is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.arrays_file import Block, block_of, block_of_frame, read_block
from auditor.sources.base import IN_MEMORY, Columns, ImageTable, Skipped, make_table
from auditor.sources.given import beside
from auditor.sources.manifest_columns import as_text
from auditor.sources.named import named_files
from auditor.sources.root import Root
from auditor.sources.tree import is_utf8
from auditor.system.text import display

NO_LABEL = "it has no label"
"""Why an item of a program takes no part."""


@dataclass(frozen=True)
class Objects:
    """What a program gives for an audit, as it gave it.

    Attributes
    ----------
    features, probabilities
        Arrays, data frames or files, one row an item; None where none are given.
    labels
        One label an item.
    items
        One name an item; None numbers them.
    groups
        One name an item: items of one name belong together.
    """

    features: Any = None
    probabilities: Any = None
    labels: Any = None
    items: Any = None
    groups: Any = None

    @property
    def numbers(self) -> bool:
        """Whether features or probabilities are given."""
        return self.features is not None or self.probabilities is not None


def numbers_beside(table: ImageTable, given: Objects, classes: Sequence[str]) -> ImageTable:
    """A table with the features and probabilities that a program gives.

    Raises
    ------
    SourceError
        They are no numbers, or do not fit to the table.
    """
    blocks = [
        None if value is None else block_from(value, what)
        for value, what in ((given.features, "features"), (given.probabilities, "probabilities"))
    ]
    return beside(table, blocks[0], blocks[1], classes)


def block_from(value: Any, what: str) -> Block:
    """Numbers of a program as a block: an array, a tensor, a data frame, or the name of a file."""
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        return read_block(str(value), what)
    if isinstance(value, pd.DataFrame):
        return block_of_frame(value, what, what)
    if hasattr(value, "tocsr"):
        raise SourceError(
            f"{what} are a sparse matrix of {value.shape[1]:,} columns", hint="reduce it first, with TruncatedSVD"
        )
    return block_of(np.asarray(array_of(value)), what, what)


def table_of_numbers(given: Objects) -> ImageTable:
    """A table of items that are known by their numbers alone.

    Raises
    ------
    SourceError
        There are no labels, or names or labels of another number than the rows.
    """
    if given.labels is None:
        raise SourceError("features are given without labels", hint="audit(features=X, labels=y), one label a row")
    labels = label_texts(given.labels)
    names = names_of(given.items, len(labels))
    n_rows = len(_rows_of(given.features if given.features is not None else given.probabilities, len(labels)))
    if n_rows != len(labels):
        raise SourceError(f"there are {len(labels)} labels for {n_rows} rows", hint="give one label a row")
    read, whole = named_files(Root("."), names)
    table = labelled("the items", names, labels, read, group_names(given.groups, len(labels)))
    return replace(table, kind="image" if whole else "features")


def labelled(
    name: str,
    names: Sequence[str],
    labels: Sequence[str],
    read: Callable[[str], bytes],
    groups: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
) -> ImageTable:
    """A table of items in memory. Those without a label are skipped."""
    keep = [row for row, label in enumerate(labels) if label.strip()]
    columns = Columns(
        [names[row] for row in keep],
        [labels[row] for row in keep],
        None if splits is None else [splits[row] for row in keep],
        None if groups is None else [groups[row] for row in keep],
        keep,
        len(labels),
    )
    skipped = [Skipped(names[row], NO_LABEL) for row in sorted(set(range(len(labels))) - set(keep))]
    return replace(make_table(name, IN_MEMORY, columns, read=read, skipped=skipped), source=IN_MEMORY)


def label_texts(labels: Any) -> list[str]:
    """Labels of a program as texts: strings, whole numbers or truth values. A missing one is ''.

    Raises
    ------
    SourceError
        They are no sequence, or one of them is something else.
    """
    if isinstance(labels, str) or not hasattr(labels, "__len__"):
        raise SourceError(
            f"labels are {_kind(labels)}, not one label an item", hint="give a list, an array or a column"
        )
    values = np.array(list(array_of(labels)), dtype=object)
    if values.ndim != 1:
        raise SourceError(
            f"labels have the shape {list(values.shape)}, but each item needs one label",
            hint="give class names or numbers: labels.argmax(axis=1) where they are one-hot",
        )
    return [_label(_plain(value), row) for row, value in enumerate(values)]


def _label(value: Any, row: int) -> str:
    try:
        return as_text(value, f"label {row}", "labels")
    except SourceError as error:
        raise SourceError(
            f"label {row} is {str(value)[:40]!r}, which names no class", hint="give class names or whole numbers"
        ) from error


def names_of(items: Any, n: int) -> list[str]:
    """The names of n items: those given, or their numbers.

    Raises
    ------
    SourceError
        There are more or fewer, or one twice.
    """
    if items is None:
        digits = max(6, len(str(n - 1)))
        return [f"{row:0{digits}d}" for row in range(n)]
    names = [str(item) for item in items]
    if len(names) != n:
        raise SourceError(f"there are {len(names)} names of items for {n} labels", hint="give one name an item")
    seen = pd.Index(names)
    if not seen.is_unique:
        raise SourceError(
            f"two items are called '{display(seen[seen.duplicated()][0])[:80]}'", hint="give each item its own name"
        )
    bad = next((name for name in names if not name.strip() or not is_utf8(name) or "\0" in name), None)
    if bad is not None:
        raise SourceError(f"{bad[:40]!r} is no name of an item", hint="give each item a name of printable characters")
    return names


def group_names(groups: Any, n: int) -> list[str] | None:
    """The groups of n items, or None.

    Raises
    ------
    SourceError
        There are more or fewer.
    """
    if groups is None:
        return None
    found = label_texts(groups)
    if len(found) != n:
        raise SourceError(f"there are {len(found)} groups for {n} labels", hint="give one an item, '' for none")
    return found


def refuse(source: object) -> SourceError:
    """The error about an object that is no data set."""
    hints = {
        "Module": "give a network as backbone=, and the data set first",
        "ndarray": "give an array as features=, with labels=",
        "Tensor": "give a tensor as features=, with labels=",
        "DataLoader": "give its data set, without the loader: audit(loader.dataset)",
        "Series": "give features= and labels=, or a DataFrame",
    }
    names = [kind.__name__ for kind in type(source).__mro__]
    hint = next((hints[name] for name in names if name in hints), "")
    return SourceError(
        f"{_kind(source)} is no data set that can be audited",
        hint=hint or "give a path, a DataFrame, a torch or Hugging Face data set, or features= and labels=",
    )


def _kind(value: object) -> str:
    return f"an object of the type {type(value).__name__}"


def array_of(value: Any) -> Any:
    """A tensor as an array of numpy; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python. Missing values of pandas are None."""
    if value is pd.NA or value is pd.NaT:
        return None
    return value.item() if isinstance(value, np.generic) else value


def _rows_of(value: Any, n: int) -> Sequence[int]:
    """The rows of features or probabilities; those of a file are counted when it is read."""
    return range(n) if isinstance(value, str) or hasattr(value, "__fspath__") else range(len(value))
