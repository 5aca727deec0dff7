"""What programs write where there is no label: a spreadsheet's error, and the words of libraries for a missing value.

An error value is no label, so its row is left out. The words can be names too: `None` can be a class, and so can `nan`.
Such a class stays, and a note names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from auditor.system.text import short

_ERRORS = frozenset(
    {"#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!"}
    | {"#CONNECT!", "#UNKNOWN!", "#BUSY!", "#ERROR!", "#GETTING_DATA", "#EXTERNAL!", "#PYTHON!"}
    | {"#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#N/D", "#VALEUR!", "#NOM?", "#NOMBRE?", "#¡VALOR!", "#¡REF!", "#VALOR!"}
)
"""Error values of Excel, LibreOffice and Google Sheets, with the names of some of their other languages."""

_CODE = re.compile(r"Err:\d{3}", re.ASCII)
"""LibreOffice's other errors."""

_WORDS = frozenset(
    {"nan", "NaN", "NAN", "null", "NULL", "Null", "None", "<NA>", "NA", "N/A", "n/a", "NaT", "(null)", "undefined"}
)
"""How pandas, JSON, databases and R write a missing value as text."""

_SHOWN = 3
"""Names that a note shows."""


def is_error_value(label: str) -> bool:
    """Whether a label is what a spreadsheet writes in place of a value that it could not compute."""
    text = label.strip()
    return text in _ERRORS or _CODE.fullmatch(text) is not None


def named_missing(counts: Mapping[str, int]) -> list[str]:
    """A note about classes that have the name of a missing value.

    Parameters
    ----------
    counts
        The number of items by class.
    """
    found = sorted(label for label in counts if label.strip() in _WORDS or is_error_value(label))
    if not found:
        return []
    shown = " and ".join(f"'{short(label)}' ({counts[label]})" for label in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    one = len(found) == 1
    return [
        f"Programs write a missing value like the name of {'this class' if one else 'these classes'}: {shown}{more}. "
        f"{'It counts as a class' if one else 'They count as classes'}. If these images have no label, give them an "
        "empty one, or name the classes to keep with --classes."
    ]
