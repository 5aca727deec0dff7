"""The baseline: images that were judged already, so that a gate asks about each of them only once.

An entry is found by the image's content and its label. The file is made for version control: JSON with one entry a
line, sorted, so that the reviews of two people merge line by line.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from auditor.errors import DecisionsError
from auditor.review.documents import (
    BASELINE_DECISIONS,
    BASELINE_KIND,
    SCHEMA_VERSION,
    BaselineRow,
    BaselineWord,
)
from auditor.system import files
from auditor.system.documents import read_document

_REQUIRED = {"hash", "label", "decision"}
_OPTIONAL = {"path", "date"}


@dataclass(frozen=True)
class BaselineEntry:
    """One judged image.

    Attributes
    ----------
    hash
        SHA-256 of the image file, 64 hexadecimal digits.
    label
        The label that was judged. After `relabel` it is the new one.
    decision
        One of `documents.BASELINE_DECISIONS`.
    path
        Where the image lay. It is for people: nothing is looked up by it.
    date
        The day of the judgement, `YYYY-MM-DD` or empty.
    """

    hash: str
    label: str
    decision: BaselineWord
    path: str = ""
    date: str = ""

    def row(self) -> BaselineRow:
        """The entry as the file holds it."""
        return {
            "hash": self.hash,
            "label": self.label,
            "decision": self.decision,
            "path": self.path,
            "date": self.date,
        }


@dataclass(frozen=True)
class Baseline:
    """Judged images, sorted by hash and label. Each pair of hash and label stands once.

    Raises
    ------
    DecisionsError
        A pair stands twice.
    """

    entries: tuple[BaselineEntry, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.entries, key=lambda e: (e.hash, e.label)))
        for before, after in itertools.pairwise(ordered):
            if (before.hash, before.label) == (after.hash, after.label):
                raise DecisionsError(
                    f"the baseline judges {after.path or after.hash} as {after.label!r} twice "
                    f"({before.decision}, {after.decision})",
                    hint="keep one of the two lines",
                )
        object.__setattr__(self, "entries", ordered)

    def merged(self, newer: Iterable[BaselineEntry]) -> Baseline:
        """This baseline with newer entries. A newer entry replaces the older one for the same image and label."""
        by_key = {(e.hash, e.label): e for e in (*self.entries, *newer)}
        return Baseline(tuple(by_key.values()))

    def to_text(self) -> str:
        """The whole text of the file, a `documents.BaselineDocument`."""
        lines = ",\n".join(json.dumps(entry.row(), ensure_ascii=False) for entry in self.entries)
        head = f'{{"schema_version": {SCHEMA_VERSION}, "kind": "{BASELINE_KIND}", "entries": ['
        return f"{head}\n{lines}\n]}}\n" if lines else f"{head}]}}\n"

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        files.write_text(path, self.to_text())

    @classmethod
    def load(cls, path: str | Path) -> Baseline:
        """Read a baseline file.

        Raises
        ------
        DecisionsError
            The file is missing, is not a baseline, or judges one image twice.
        """
        return cls(tuple(_entry(row, number, Path(path)) for number, row in enumerate(_rows(Path(path)), start=1)))


def is_hash(text: str) -> bool:
    """Whether a text can be the SHA-256 of an image: 64 hexadecimal digits, in lower case."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _rows(path: Path) -> list[object]:
    """The entries of a baseline file; nothing has checked them yet."""
    document = read_document(path, kind=BASELINE_KIND, version=SCHEMA_VERSION, error=DecisionsError, what="baseline")
    if not isinstance(document.get("entries"), list):
        raise DecisionsError(
            f"the baseline {path} has no list of entries",
            hint="write one with `auditor review apply` or `auditor gate --update-baseline`",
        )
    entries: list[object] = document["entries"]
    return entries


def _entry(value: object, number: int, path: Path) -> BaselineEntry:
    where = f"entry {number} of the baseline {path}"
    if not isinstance(value, dict) or not _REQUIRED <= set(value) <= _REQUIRED | _OPTIONAL:
        raise DecisionsError(
            f"{where} needs hash, label and decision, and may have path and date", hint="correct or remove its line"
        )
    if not all(isinstance(text, str) for text in value.values()):
        raise DecisionsError(f"{where}: every value must be text", hint="put its values in quotation marks")
    if value["decision"] not in BASELINE_DECISIONS:
        raise DecisionsError(
            f"{where}: the decision {value['decision']!r} is none of {', '.join(BASELINE_DECISIONS)}",
            hint="correct or remove its line",
        )
    if not is_hash(value["hash"]):
        raise DecisionsError(
            f"{where}: the hash is not a SHA-256 in 64 hexadecimal digits", hint="correct or remove its line"
        )
    return BaselineEntry(**cast(BaselineRow, value))
