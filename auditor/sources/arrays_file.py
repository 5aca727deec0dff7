"""Reads the numbers of a user's own model from a file: `.npy`, `.npz`, or columns of a Parquet or CSV file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.system.arrays import Array
from auditor.system.files import read_regular, reason
from auditor.system.memory import free_bytes, size_text
from auditor.system.text import display, short

NAMES = ("path", "paths", "id", "ids", "item", "items", "file_name", "name", "names")
"""Columns and arrays that say which item a row belongs to."""

CLASSES = ("classes", "columns", "class_names")
"""Arrays of an `.npz` file that name the columns of probabilities."""

LARGEST = 64 << 30
"""Bytes of the largest file that is read."""


@dataclass(frozen=True)
class Block:
    """Numbers for some items, one row each.

    Attributes
    ----------
    values
        float32 [n, D].
    names
        The n items that the rows belong to; None where the order of the rows says it.
    columns
        The D names of the columns; None where they have none.
    """

    values: Array
    names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None


def read_block(file: str, what: str) -> Block:
    """Read a file of features or probabilities.

    Parameters
    ----------
    what
        `features` or `probabilities`. An `.npz` file may call its array so, and messages do.

    Raises
    ------
    SourceError
        The file cannot be read, is of no known kind, or holds no table of numbers. Pickled objects are refused.
    """
    shown, ending = display(file), Path(file).suffix.lower()
    readers = {".npy": _npy, ".npz": _npz, ".parquet": _parquet, ".pq": _parquet, ".csv": _csv, ".tsv": _csv}
    if ending not in readers:
        raise SourceError(
            f"cannot read {what} from {shown}: its name ends in none of {', '.join(readers)}",
            hint="save them with numpy.save, or as a Parquet file",
        )
    try:
        data = read_regular(str(Path(file).expanduser()), limit=LARGEST)
    except OSError as error:
        raise SourceError(f"cannot read the {what} {shown}: {reason(error)}", hint="check the path") from error
    try:
        return readers[ending](data, what, shown)
    except SourceError:
        raise
    except ImportError as error:
        raise SourceError(
            f"reading {shown} needs pyarrow: {error}", hint="pip install 'auditor[parquet]', or save it as .npy"
        ) from error
    except Exception as error:  # damaged files raise nearly every kind of error in numpy, pandas and pyarrow
        said = reason(error).splitlines() or [type(error).__name__]
        if said[0].startswith("Object arrays"):
            raise SourceError(
                f"{shown} holds Python objects, which are never unpickled, and no array of numbers",
                hint=f"give {what} as an array of floats: numpy.save(FILE, numpy.asarray(X, numpy.float32))",
            ) from error
        raise SourceError(
            f"the {what} {shown} cannot be read: {display(said[0][:200])}", hint="write the file again"
        ) from error


def block_of(values: Any, what: str, shown: str, names: Sequence[str] | None = None) -> Block:
    """An array of a program as a block.

    Raises
    ------
    SourceError
        It is no table of numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise SourceError(
            f"{shown} holds no numbers but {array.dtype}", hint=f"give {what} as an array of floats, one row an item"
        )
    if array.ndim != 2 or not array.shape[1]:
        raise SourceError(
            f"{shown} has the shape {list(array.shape)}, but {what} need one row an item and one column a number",
            hint="reshape it to [N, D]" if what == "features" else "give one column a class, for two classes too",
        )
    if names is not None and len(names) != len(array):
        raise SourceError(f"{shown} names {len(names)} items and has {len(array)} rows", hint="give one name a row")
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite; its item is left out later
        return Block(np.ascontiguousarray(array, np.float32), None if names is None else tuple(names))


def _npy(data: bytes, what: str, shown: str) -> Block:
    return block_of(np.load(io.BytesIO(data), allow_pickle=False), what, shown)


def npz_arrays(data: bytes, shown: str, hint: str) -> dict[str, Array]:
    """The arrays of an `.npz` file by name. A damaged file raises nearly every kind of error; so does a pickled one.

    Raises
    ------
    SourceError
        It unpacks to more than there is memory for. The hint says what to do.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > min(LARGEST, free_bytes()):
        raise SourceError(f"{shown} unpacks to {size_text(size)}, more than there is memory for", hint=hint)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def held(arrays: Mapping[str, Array]) -> str:
    """The names and shapes of arrays, for a message."""
    named = ", ".join(f"'{display(name)[:40]}' {list(array.shape)}" for name, array in list(arrays.items())[:8])
    return named or "nothing"


def _npz(data: bytes, what: str, shown: str) -> Block:
    arrays = npz_arrays(data, shown, "save it with numpy.save")
    tables = [name for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind in "fiub"]
    chosen = what if what in tables else tables[0] if len(tables) == 1 else ""
    if not chosen:
        raise SourceError(
            f"{shown} has no array '{what}' of two dimensions; it holds {held(arrays)}",
            hint=f"numpy.savez(FILE, {what}=..., paths=...)",
        )
    texts = {name: array.astype(str).tolist() for name, array in arrays.items() if array.ndim == 1}
    names = next((texts[name] for name in NAMES if name in texts), None)
    block = block_of(arrays[chosen], what, shown, names)
    columns = next((tuple(texts[name]) for name in CLASSES if name in texts), None)
    if columns is not None and len(columns) != block.values.shape[1]:
        raise SourceError(
            f"{shown} names {len(columns)} columns and has {block.values.shape[1]}", hint="give one name a column"
        )
    return Block(block.values, block.names, columns)


def _parquet(data: bytes, what: str, shown: str) -> Block:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    table = parquet.ParquetFile(arrow.BufferReader(data)).read(use_threads=False)
    lists = [field.name for field in table.schema if _is_list(field.type)]
    if len(lists) == 1:
        names = _names(table.select([n for n in table.schema.names if n in NAMES]).to_pandas())
        rows = table.column(lists[0]).to_pylist()
        widths = {0 if row is None else len(row) for row in rows}
        if len(widths) != 1:
            raise SourceError(
                f"the column '{short(lists[0])}' of {shown} holds lists of different lengths",
                hint=f"give all items the same number of {what}",
            )
        return block_of(np.array(rows, dtype=np.float64), what, shown, names)
    return block_of_frame(table.to_pandas(), what, shown)


def _is_list(kind: Any) -> bool:
    import pyarrow as arrow

    return bool(arrow.types.is_list(kind) or arrow.types.is_large_list(kind) or arrow.types.is_fixed_size_list(kind))


def _csv(data: bytes, what: str, shown: str) -> Block:
    text = data.decode("utf-8-sig")
    return block_of_frame(
        pd.read_csv(io.StringIO(text), sep=None, engine="python", dtype_backend="numpy_nullable"), what, shown
    )


def block_of_frame(frame: pd.DataFrame, what: str, shown: str) -> Block:
    """The numbers of a table: every column but those that name the item.

    Raises
    ------
    SourceError
        A column holds words.
    """
    frame = frame.rename(columns=str)
    values = frame[[name for name in frame.columns if name not in NAMES]]
    words = [name for name in values.columns if not pd.api.types.is_numeric_dtype(values[name])]
    if words:
        raise SourceError(
            f"the column '{short(words[0])}' of {shown} holds no numbers",
            hint=f"leave it out, or call it path where it says which item the {what} belong to",
        )
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    block = block_of(numbers, what, shown, _names(frame))
    return Block(block.values, block.names, tuple(values.columns))


def _names(frame: pd.DataFrame) -> list[str] | None:
    """The items that the rows of a table belong to, where a column says so."""
    found = [name for name in NAMES if name in frame.columns]
    return [str(value) for value in frame[found[0]]] if found else None
