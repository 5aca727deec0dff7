"""What else is wrong, as the page shows it: one part for each kind, folded until somebody opens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from auditor.report.wording import number
from auditor.result.documents import AuditDocument, OddItem

SHOWN = 12
"""Items of a kind that the page shows."""

WORDS = {"told": "", "cannot tell": "cannot tell", "left out": "not looked for"}
"""A badge for each outcome."""


@dataclass(frozen=True)
class TableCell:
    """A cell of a table: its text, and whether it is a number."""

    text: str
    numeric: bool


@dataclass(frozen=True)
class ShownOddity:
    """A kind of oddity.

    Attributes
    ----------
    outcome, badge
        Whether the data could tell, and the word for it; empty where they could.
    rows
        The table's rows.
    items
        The first items, to be shown with what they look like.
    more
        How many further items the result names.
    """

    name: str
    title: str
    about: str
    outcome: Literal["told", "cannot tell", "left out"]
    badge: str
    summary: str
    heads: list[str]
    rows: list[list[TableCell]]
    items: list[OddItem]
    more: int
    notes: list[str]


def oddities(audit: AuditDocument) -> list[ShownOddity]:
    """The kinds for which the audit looked, in its order."""
    return [
        ShownOddity(
            one["name"],
            one["title"],
            one["about"],
            one["outcome"],
            WORDS[one["outcome"]],
            one["summary"],
            one["heads"],
            [[_cell(value) for value in row] for row in one["rows"]],
            one["items"][:SHOWN],
            max(0, len(one["items"]) - SHOWN),
            one["notes"],
        )
        for one in audit["oddities"]
        if one["outcome"] != "left out"
    ]


def left_out(audit: AuditDocument) -> list[tuple[str, str]]:
    """Title and reason of the kinds that the audit could not look for."""
    return [(one["title"], one["summary"]) for one in audit["oddities"] if one["outcome"] == "left out"]


def _cell(value: str | float | None) -> TableCell:
    if isinstance(value, str):
        return TableCell(value, numeric=False)
    if value is None:
        return TableCell("", numeric=True)
    return TableCell(f"{value:,.0f}" if float(value).is_integer() else number(value), numeric=True)
