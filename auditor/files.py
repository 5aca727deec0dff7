"""Writing files whole or not at all, and CSV that a spreadsheet cannot execute."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part of either."""
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` for UTF-8 text with Unix line ends."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, document: Any) -> None:
    """Readable JSON with a final newline; NaN and infinity are refused, for other readers refuse them too."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """A data frame as CSV, with text that a spreadsheet would run as a formula made harmless (see `escape_cell`)."""
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(escape_cell, na_action="ignore")
    write_text(path, safe.to_csv(index=False, lineterminator="\n", float_format="%.10g"))


def read_csv(path: str | Path, text: list[str]) -> pd.DataFrame:
    """A CSV file of `write_csv`, with the columns of `text` read as strings and their escapes undone."""
    frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    for column in text:
        if column in frame:
            frame[column] = frame[column].fillna("").map(unescape_cell).astype(object)
    return frame


def escape_cell(value: object) -> object:
    """Put an apostrophe before text that starts like a formula (or like an escaped one, so that this is invertible)."""
    if isinstance(value, str) and (value.startswith(_FORMULA_STARTS) or value.startswith("'")):
        return "'" + value
    return value


def unescape_cell(value: str) -> str:
    """The inverse of `escape_cell`."""
    return value[1:] if value.startswith("'") else value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
