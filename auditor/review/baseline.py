"""The baseline: images that a person has judged, keyed by content and label, so that a gate asks about each one once.

A text file for version control: JSON with one entry a line, sorted, so that two people's reviews merge line by line.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auditor.errors import DecisionsError
from auditor.system import files
from auditor.system.files import read_text

SCHEMA_VERSION = 1

KIND = "auditor-baseline"

DECISIONS = ("keep", "relabel", "drop", "unsure", "accepted")
"""What a person said: this label is right (`keep`), they changed it to this one (`relabel`), the image is to go
(`drop`), they could not tell (`unsure`), or nobody looked and the suspect was let pass as known (`accepted`)."""

_KEYS = ("hash", "label", "decision", "path", "date")


@dataclass(frozen=True)
class BaselineEntry:
    """One judged image.

    Attributes
    ----------
    hash
        SHA-256 of the image file, 64 hexadecimal digits.
    label
        The label that was judged; after `relabel` the new one.
    decision
        One of `DECISIONS`.
    path
        Where the image lay, for people; nothing is looked up by it.
    date
        When it was judged, `YYYY-MM-DD` or empty.
    """

    hash: str
    label: str
    decision: str
    path: str = ""
    date: str = ""


@dataclass(frozen=True)
class Baseline:
    """Judged images, sorted by hash and label; each pair stands once."""

    entries: tuple[BaselineEntry, ...] = ()
    _covered: frozenset[tuple[str, str]] = field(init=False, repr=False, compare=False, default=frozenset())

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
        object.__setattr__(self, "_covered", frozenset((e.hash, e.label) for e in ordered))

    def covers(self, hash: str, label: str) -> bool:
        """Whether a person has judged this image under this label."""
        return (hash, label) in self._covered

    def merged(self, newer: Iterable[BaselineEntry]) -> Baseline:
        """This baseline with newer entries added; they take the place of older ones for the same image and label."""
        by_key = {(e.hash, e.label): e for e in (*self.entries, *newer)}
        return Baseline(tuple(by_key.values()))

    def save(self, path: str | Path) -> None:
        """Write the baseline, whole or not at all."""
        files.write_text(path, self.to_text())

    def to_text(self) -> str:
        """The baseline as its file holds it."""
        lines = ",\n".join(json.dumps(asdict_entry(e), ensure_ascii=False) for e in self.entries)
        head = f'{{"schema_version": {SCHEMA_VERSION}, "kind": "{KIND}", "entries": ['
        return f"{head}\n{lines}\n]}}\n" if lines else f"{head}]}}\n"

    @classmethod
    def load(cls, path: str | Path) -> Baseline:
        """Read a baseline.

        Raises
        ------
        DecisionsError
            The file is missing, not a baseline, or judges one image twice.
        """
        return cls(tuple(_entry(e, i, Path(path)) for i, e in enumerate(_document(Path(path)), start=1)))


def is_hash(text: str) -> bool:
    """Whether a text can be an image's hash."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def load(path: str | Path) -> Baseline:
    """`Baseline.load`."""
    return Baseline.load(path)


def save(path: str | Path, entries: Iterable[BaselineEntry]) -> None:
    """`Baseline.save` for entries alone."""
    Baseline(tuple(entries)).save(path)


def asdict_entry(entry: BaselineEntry) -> dict[str, str]:
    """An entry's fields in the file's order."""
    values = asdict(entry)
    return {key: values[key] for key in _KEYS}


def _document(path: Path) -> list[Any]:
    try:
        document = json.loads(read_text(path))
    except OSError as error:
        raise DecisionsError(f"cannot read the baseline {path}: {error.strerror}", hint="check the path") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DecisionsError(
            f"the baseline {path} cannot be read: {error}",
            hint="after a merge, look for conflict marks or a missing comma; each entry stands on its own line",
        ) from error
    hint = "write one with `auditor review apply` or `auditor gate --update-baseline`"
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise DecisionsError(f"{path} is not a baseline", hint=hint)
    if document.get("schema_version") != SCHEMA_VERSION:
        found = document.get("schema_version")
        raise DecisionsError(
            f"the baseline {path} has schema version {found!r}, but this auditor reads {SCHEMA_VERSION}",
            hint="use the auditor that wrote it, or write a new one with `auditor gate --update-baseline`",
        )
    if not isinstance(document.get("entries"), list):
        raise DecisionsError(f"the baseline {path} has no list of entries", hint=hint)
    entries: list[Any] = document["entries"]
    return entries


def _entry(value: Any, number: int, path: Path) -> BaselineEntry:
    where = f"entry {number} of the baseline {path}"
    if not isinstance(value, dict) or not {"hash", "label", "decision"} <= set(value) <= set(_KEYS):
        raise DecisionsError(f"{where}: needs hash, label and decision, and may have path and date")
    if not all(isinstance(text, str) for text in value.values()):
        raise DecisionsError(f"{where}: every value must be text")
    if value["decision"] not in DECISIONS:
        raise DecisionsError(f"{where}: the decision {value['decision']!r} is none of {', '.join(DECISIONS)}")
    if not is_hash(value["hash"]):
        raise DecisionsError(f"{where}: the hash is not a SHA-256 in 64 hexadecimal digits")
    return BaselineEntry(**value)
