"""The decisions of all reviewers of one audit, on disk as soon as they are made.

Each reviewer has a file of decisions, as the report exports it. `auditor review apply` takes them all.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.agreement import Agreement, Other, agreement, one_each, others_of
from auditor.review.decision_files import FOLDER, document, entry, file_name
from auditor.review.decisions import Audited, Decision, load_entries
from auditor.review.documents import DecisionEntry
from auditor.system import files
from auditor.system.text import display

NAME_LENGTH = 80
"""Characters of a reviewer's name."""

MOST_REVIEWERS = 200
"""So many files are kept. More names than that come from a fault, not from people."""

Key = tuple[str, str, str]
"""An item of a reviewer: its path, and for a look of its own how it came to be looked at and the label shown."""

_OWN = ("again", "known-wrong")
"""Looks that are items of their own, beside the decision about the item. `templates/decisions.js` has them too."""


@dataclass(frozen=True)
class Held:
    """A reviewer's decisions as they stand.

    Attributes
    ----------
    revision
        Changes whenever anybody decides. It says nothing else.
    entries
        In the order in which they were made.
    others
        What other reviewers say of the same items.
    agreement
        How far each of them agrees.
    """

    revision: str
    entries: tuple[DecisionEntry, ...]
    others: tuple[Other, ...]
    agreement: tuple[Agreement, ...]


class Desk:
    """Takes decisions and keeps them. Several threads may use it at a time.

    Parameters
    ----------
    result
        The audit that is reviewed.
    out
        Its folder.

    Raises
    ------
    DecisionsError
        A file of decisions that lies there cannot be read, or belongs to another audit.
    """

    def __init__(self, result: AuditResult, out: Path) -> None:
        self.audit_id = result.audit_id
        self.folder = out / FOLDER
        self._audited = Audited.of(result, Path("this decision"))
        self._lock = threading.Lock()
        self._start, self._changes = secrets.token_hex(4), 0
        self._held: dict[str, dict[Key, Decision]] = {}
        for path in sorted(self.folder.glob("*.json")):
            reviewer, decisions = load_entries(path, result)
            self._held.setdefault(reviewer, {}).update((_key(d), d) for d in decisions)
            if path != self.file_of(reviewer):
                raise DecisionsError(
                    f"{path} holds the decisions of {reviewer or 'nobody by name'}, whose file is "
                    f"{self.file_of(reviewer)}",
                    hint="rename it, or move it out of this folder and apply it together with the others",
                )

    @property
    def counts(self) -> dict[str, int]:
        """How many decisions each reviewer has made, by name."""
        with self._lock:
            return {reviewer: len(held) for reviewer, held in sorted(self._held.items()) if held}

    def file_of(self, reviewer: str) -> Path:
        """The reviewer's file."""
        return self.folder / file_name(reviewer)

    @property
    def revision(self) -> str:
        """Changes whenever anybody decides."""
        return f"{self._start}-{self._changes}"

    def held(self, reviewer: str) -> Held:
        """What a reviewer has decided so far."""
        with self._lock:
            return self._shown(_name(reviewer))

    def take(self, reviewer: str, changes: object) -> Held:
        """Take a reviewer's changes, and write the file. All of them are taken, or none.

        Parameters
        ----------
        changes
            A list of entries as a file of decisions has them, without `hash`. An entry whose `decision` is None takes
            the decision about that item back.

        Raises
        ------
        DecisionsError
            A change does not fit the audit.
        OSError
            The file cannot be written. Then nothing has changed.
        """
        name = _name(reviewer)
        checked = self._checked(changes)
        with self._lock:
            if name not in self._held and len(self._held) >= MOST_REVIEWERS:
                raise DecisionsError(f"there are {MOST_REVIEWERS} reviewers already")
            held = dict(self._held.get(name, {}))
            for key, decision in checked:
                held.pop(key, None)
                if decision is not None:
                    held[key] = decision
            self._write(name, held.values())
            self._held[name] = held
            self._changes += 1
            return self._shown(name)

    def _shown(self, name: str) -> Held:
        held = self._held.get(name, {})
        first = {d.path: d for d in held.values() if d.how not in _OWN}
        looks = {other: one_each(decisions.values()) for other, decisions in self._held.items()}
        mine = looks.pop(name, {})
        entries = tuple(entry(d) for d in held.values())
        return Held(self.revision, entries, tuple(others_of(first, looks)), tuple(agreement(mine, looks)))

    def _checked(self, changes: object) -> list[tuple[Key, Decision | None]]:
        if not isinstance(changes, list):
            raise DecisionsError("the changes are no list")
        checked: list[tuple[Key, Decision | None]] = []
        for number, change in enumerate(changes, start=1):
            if not isinstance(change, dict):
                raise DecisionsError(f"change {number} is no decision")
            value: dict[str, Any] = {**change, "hash": self._audited.hashes.get(str(change.get("path")), "")}
            taken_back = value.get("decision") is None
            if taken_back:  # checked like any other: which item it is must be known
                value |= {"decision": "unsure", "new_label": None}
            decision = self._audited.check(value, number)
            checked.append((_key(decision), None if taken_back else decision))
        return checked

    def _write(self, name: str, decisions: Iterable[Decision]) -> None:
        self.folder.mkdir(exist_ok=True)
        files.write_json(self.file_of(name), document(self.audit_id, name, decisions))


def _key(decision: Decision) -> Key:
    own = decision.how in _OWN
    return (decision.path, decision.how if own else "", decision.label if own else "")


def _name(reviewer: str) -> str:
    """The name as it is kept: printable, without blanks around it."""
    return display(reviewer.strip())[:NAME_LENGTH].strip()
