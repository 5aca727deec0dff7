"""The ledger: what people found, by content and by the label each item had when it was first audited.

The file is made for version control: JSON with one look a line, sorted, so that the looks of two people merge line by
line. A baseline of an earlier version is read as a ledger.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from auditor.certificate.documents import PlanDocument
from auditor.errors import DecisionsError
from auditor.review.baseline import Baseline
from auditor.review.documents import BASELINE_KIND, LEDGER_KIND, SCHEMA_VERSION
from auditor.review.ledger_rows import look_of, plan_of
from auditor.review.looks import Look, Standing, latest, settle
from auditor.review.plans import joined, plan_text
from auditor.system import files
from auditor.system.documents import read_document

LEDGER_NAME = "auditor-ledger.json"
"""The ledger's name beside a corrected manifest and in an audit's folder."""

_MARKS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
"""What a merge leaves at the beginning of a line where two sides disagree."""


@dataclass(frozen=True)
class Ledger:
    """Everything that people found.

    Attributes
    ----------
    plan
        What was fixed before the first drawn item was looked at; None until a sample was drawn. Its items are those
        that nobody had looked at then.
    looks
        Sorted, with one look for each item, reviewer and kind of look: the latest one.
    """

    plan: PlanDocument | None = None
    looks: tuple[Look, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "looks", tuple(latest(self.looks)))

    @cached_property
    def standings(self) -> dict[tuple[str, str], Standing]:
        """What the looks at each item come to, by content and first label. Items nobody looked at are absent."""
        found = defaultdict(list)
        for look in self.looks:
            found[look.item].append(look)
        settled = ((item, settle(looks)) for item, looks in found.items())
        return {item: standing for item, standing in settled if standing is not None}

    @cached_property
    def _corrected(self) -> dict[tuple[str, str], str]:
        """The first label of each content that was found wrong, by content and right label."""
        return {
            (hash, standing.final_label): label
            for (hash, label), standing in reversed(self.standings.items())
            if standing.decision == "relabel" and standing.final_label is not None
        }

    def first_label(self, hash: str, label: str) -> str:
        """The label that an item had when it was first audited: `label` itself, unless the looks changed it."""
        return label if (hash, label) in self.standings else self._corrected.get((hash, label), label)

    def standing(self, hash: str, label: str) -> Standing | None:
        """What the looks say of an item of today's data set. None: nobody looked at it, or its label has changed since.

        Parameters
        ----------
        hash, label
            Its content and its label today. The standing is that of `first_label`.
        """
        return self.standings.get((hash, self.first_label(hash, label)))

    def with_looks(self, looks: tuple[Look, ...]) -> Ledger:
        """The ledger with more looks. Of one reviewer's looks at an item the latest stays."""
        return Ledger(self.plan, (*self.looks, *looks))

    def merged(self, other: Ledger) -> tuple[Ledger, tuple[str, ...]]:
        """Both ledgers as one, and sentences about what did not fit.

        All looks stay. Two plans of the same draw become one. Of two other plans, this ledger's is kept.
        """
        plan, note = joined(self.plan, self._looked_at, other.plan, other._looked_at)
        return Ledger(plan, (*self.looks, *other.looks)), note

    @property
    def _looked_at(self) -> set[tuple[str, str]]:
        return set(self.standings)

    def to_text(self) -> str:
        """The whole text of the file, a `documents.LedgerDocument`."""
        lines = ",\n".join(json.dumps(look.row(), ensure_ascii=False) for look in self.looks)
        looks = f"[\n{lines}\n]" if lines else "[]"
        head = f'"schema_version": {SCHEMA_VERSION}, "kind": "{LEDGER_KIND}"'
        return f'{{{head}, "plan": {plan_text(self.plan)},\n"looks": {looks}}}\n'

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        files.write_text(path, self.to_text())

    @classmethod
    def load(cls, path: str | Path) -> Ledger:
        """Read a ledger, or a baseline of an earlier version as one.

        A baseline names the right label after a correction, not the wrong one before it. Its corrections are read as
        looks that found the right label right.

        Raises
        ------
        DecisionsError
            The file is missing, holds marks of a merge conflict, is damaged, has another version, or is no ledger.
        """
        path = Path(path)
        refuse_conflict_marks(path, "ledger")
        document = read_document(path, kind=None, version=None, error=DecisionsError, what="ledger", hint=_AGAIN)
        if document.get("kind") == BASELINE_KIND:
            return from_baseline(Baseline.load(path))
        document = read_document(
            path, kind=LEDGER_KIND, version=SCHEMA_VERSION, error=DecisionsError, what="ledger", hint=_AGAIN
        )
        rows = document.get("looks")
        if not isinstance(rows, list) or "plan" not in document:
            raise DecisionsError(f"the ledger {path} has no plan or no list of looks", hint=_AGAIN)
        looks = tuple(look_of(row, f"look {number} of the ledger {path}") for number, row in enumerate(rows, start=1))
        plan = document["plan"]
        return cls(None if plan is None else plan_of(plan, f"the ledger {path}"), looks)


_AGAIN = "take the file back from version control, or write it again with `auditor review apply`"


def from_baseline(baseline: Baseline) -> Ledger:
    """A baseline as a ledger. Accepted entries stay what they are: nobody looked at them."""
    return Ledger(
        None,
        tuple(
            Look(e.hash, e.label, "keep" if e.decision == "relabel" else e.decision, time=e.date, path=e.path)
            for e in baseline.entries
        ),
    )


def refuse_conflict_marks(path: Path, what: str) -> None:
    """Refuse a file in which a merge has left its marks.

    Raises
    ------
    DecisionsError
        It has some. The message names the line.
    """
    try:
        lines = files.read_text(path).split("\n")
    except (OSError, ValueError):
        return  # the reader that comes next says it better
    for number, line in enumerate(lines, start=1):
        if line.startswith(_MARKS):
            raise DecisionsError(
                f"the {what} {path} holds a merge conflict at line {number}",
                hint="keep the looks of both sides: remove the lines of marks, and end every look but the last with a "
                "comma; lines that stand twice do no harm",
            )
