"""Asks every kind, and puts what they found into the words of `audit.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.oddities.contract import ITEMS, ROWS, Audited, Cell, Kind, Oddity
from auditor.oddities.registry import KINDS, all_kinds
from auditor.result.documents import OddityDocument
from auditor.result.nouns import Noun
from auditor.system.plugins import call_theirs


def look(audited: Audited) -> dict[str, Oddity]:
    """What each kind found, by its name. Kinds that lack what they need are not asked.

    Raises
    ------
    ConfigError
        A kind of another package failed.
    """
    return {kind.name: _asked(kind, audited) for kind in all_kinds() if not _lacks(kind, audited)}


def documents(audited: Audited, found: Mapping[str, Oddity], noun: Noun) -> list[OddityDocument]:
    """What was found, as `audit.json` has it, in the order of the kinds."""
    return [_document(kind, audited, found.get(kind.name), noun) for kind in all_kinds()]


def with_columns(ranking: pd.DataFrame, data: Dataset, found: Mapping[str, Oddity]) -> pd.DataFrame:
    """The ranking with a column of each kind that has one, behind all others. Where nothing was found it is empty."""
    at = {path: row for row, path in enumerate(data.paths)}
    rows = np.array([at[path] for path in ranking["path"]], dtype=np.int64)
    ranking = ranking.copy()
    for kind in all_kinds():
        if kind.column is not None:
            oddity = found.get(kind.name)
            if oddity is not None and oddity.values is not None:
                ranking[kind.column.name] = oddity.values[rows]
            else:
                ranking[kind.column.name] = np.nan if kind.column.holds == "numbers" else ""
    return ranking


def pictured(data: Dataset, found: Mapping[str, Oddity]) -> list[str]:
    """The paths of the items that are named, each once."""
    rows = (item.row for oddity in found.values() for item in oddity.items[:ITEMS])
    return list(dict.fromkeys(data.paths[row] for row in rows))


def _lacks(kind: Kind, audited: Audited) -> str:
    return next((reason for need in kind.needs if (reason := audited.lacks(need))), "")


def _asked(kind: Kind, audited: Audited) -> Oddity:
    if any(kind is own for own in KINDS):
        return kind.find(audited)
    return call_theirs(
        f"the kind of oddity '{kind.name}'",
        lambda: kind.find(audited),
        Oddity,
        "an Oddity",
        hint="tell those who wrote it, or remove its package",
    )


def _document(kind: Kind, audited: Audited, oddity: Oddity | None, noun: Noun) -> OddityDocument:
    lacks = _lacks(kind, audited)
    found = oddity or Oddity(f"Nobody looked for this: {lacks}.", told=False)
    data = audited.data
    return {
        "name": kind.name,
        "title": noun.of(kind.title),
        "about": noun.of(kind.about),
        "outcome": "left out" if oddity is None else "told" if oddity.told else "cannot tell",
        "summary": noun.of(found.summary),
        "value": _number(found.value),
        "interval": None if found.interval is None else [float(end) for end in found.interval],
        "heads": [noun.of(head) for head in found.heads],
        "rows": [_cells(row) for row in found.rows[:ROWS]],
        "items": [
            {"path": data.paths[item.row], "label": data.classes[data.labels[item.row]], "said": noun.of(item.said)}
            for item in found.items[:ITEMS]
        ],
        "notes": [noun.of(note) for note in found.notes],
        "column": None
        if kind.column is None
        else {"name": kind.column.name, "holds": kind.column.holds, "meaning": noun.of(kind.column.meaning)},
    }


def _cells(row: Sequence[Cell]) -> list[str | float | None]:
    return [cell if cell is None or isinstance(cell, str) else _number(cell) for cell in row]


def _number(value: float | None) -> float | None:
    """A plain number; None where it is not finite, as JSON has no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)
