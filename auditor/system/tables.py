"""CSV that comes back as it was written, and that a spreadsheet cannot execute."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the start of a formula (OWASP, "CSV Injection"). The last four are full-width."""

_SIGNED_NUMBER = re.compile(r"[+\-\uff0b\uff0d](?:(?:[0-9][0-9.,]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?)?", re.ASCII)
"""-1, +0.5, 1e-3 with a sign, -5%, and a sign alone: a spreadsheet shows them as they are and runs nothing."""


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A data frame as CSV in UTF-8 with Unix line ends. Text that begins like a formula is escaped (`escape_cell`)."""
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(escape_cell, na_action="ignore")
    out = _UnixLines()
    safe.to_csv(out, index=False, lineterminator="\r\n", float_format="%.10g")
    return out.getvalue().encode("utf-8")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text as CSV, without escapes. A cell that holds line ends comes back whole."""
    out = _UnixLines()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def read_csv(path: str | Path, text: list[str]) -> pd.DataFrame:
    """Read a file of `csv_bytes`. The columns in `text` are read as strings, and their escapes are undone."""
    frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    for column in text:
        if column in frame:
            frame[column] = frame[column].fillna("").map(unescape_cell).astype(object)
    return frame


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could run the text. A number with its sign is none."""
    return text.startswith(_FORMULA_STARTS) and not _SIGNED_NUMBER.fullmatch(text)


def escape_cell(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet could run.

    Text with apostrophes before such a start gets one more, so that `unescape_cell` can undo it. Other text stays.
    """
    if isinstance(value, str) and (is_formula(value) or _is_marked(value)):
        return "'" + value
    return value


def unescape_cell(value: str) -> str:
    """The inverse of `escape_cell`."""
    return value[1:] if _is_marked(value) else value


def _is_marked(text: str) -> bool:
    """Whether apostrophes stand before the start of a formula, or of a number with its sign."""
    return text.startswith("'") and text.lstrip("'").startswith(_FORMULA_STARTS)


class _UnixLines(io.StringIO):
    r"""Ends each row with `\n` alone, and still lets the csv module put quotes around a `\r` in a cell.

    The module quotes only the characters of its own line end, so that has to be `\r\n`. It writes each row by one call.
    """

    def write(self, text: str) -> int:
        return super().write(text.removesuffix("\r\n") + "\n" if text.endswith("\r\n") else text)
