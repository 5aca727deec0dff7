"""One person's look at an item, and what all looks at an item settle.

An item is a content under the label that it had when it was first audited. More than half of the people who looked must
agree. Until they do, the item is undecided.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from auditor.review.documents import BaselineWord, DecisionWord, How, LookRow

Status = Literal["right", "wrong", "undecided"]
"""What the looks at an item say of the label it had."""

WRONG: tuple[BaselineWord, ...] = ("relabel", "drop")
"""Decisions that call a label wrong."""


@dataclass(frozen=True)
class Look:
    """One line of a ledger. `documents.LookRow` explains the fields."""

    hash: str
    label: str
    decision: BaselineWord
    final_label: str | None = None
    reviewer: str = ""
    time: str = ""
    how: How = "rank"
    probability: float | None = None
    path: str = ""

    @property
    def item(self) -> tuple[str, str]:
        """The content and the label it had when it was first audited."""
        return self.hash, self.label

    @property
    def judges(self) -> bool:
        """Whether it judges the item's own label. An accepted suspect was not looked at; a made label is another."""
        return self.decision != "accepted" and self.how != "known-wrong"

    @property
    def moment(self) -> float:
        """When it was, in seconds since 1970 (a time without a zone is UTC); minus infinity where that is unknown."""
        try:
            when = datetime.datetime.fromisoformat(self.time)
        except ValueError:
            return -math.inf
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()

    def row(self) -> LookRow:
        """The look as the file holds it."""
        return {
            "hash": self.hash,
            "label": self.label,
            "decision": self.decision,
            "final_label": self.final_label,
            "reviewer": self.reviewer,
            "time": self.time,
            "how": self.how,
            "probability": self.probability,
            "path": self.path,
        }


@dataclass(frozen=True)
class Standing:
    """What all looks at one item come to.

    Attributes
    ----------
    status
        "right" or "wrong" where more than half of the reviewers say so, else "undecided".
    decision
        What becomes of the item: `keep`, `relabel`, `drop`, or `unsure`. A wrong label whose reviewers name different
        remedies, none more often than all others, is `unsure` too: it stays until somebody settles it.
    final_label
        The right label where it is known: the item's own after `keep`, the new one after `relabel`, else None.
    reviewers
        How many people looked.
    calls
        How many of them called the label wrong.
    agreed
        Whether all of them said the same.
    """

    status: Status
    decision: DecisionWord
    final_label: str | None
    reviewers: int
    calls: int
    agreed: bool


def settle(looks: Iterable[Look]) -> Standing | None:
    """What the looks at one item come to. None where nobody has looked at it.

    Each reviewer counts once, with the latest look. Somebody who is unsure is on neither side.
    """
    voices = [look for look in latest(looks) if look.judges]
    if not voices:
        return None
    calls = [look for look in voices if look.decision in WRONG]
    keeps = [look for look in voices if look.decision == "keep"]
    agreed = len({(look.decision, look.final_label) for look in voices}) == 1
    if 2 * len(keeps) > len(voices):
        return Standing("right", "keep", voices[0].label, len(voices), len(calls), agreed)
    if 2 * len(calls) <= len(voices):
        return Standing("undecided", "unsure", None, len(voices), len(calls), agreed)
    remedies = Counter(look.final_label for look in calls).most_common(2)
    final, times = remedies[0]
    if len(remedies) > 1 and remedies[1][1] == times:
        return Standing("wrong", "unsure", None, len(voices), len(calls), agreed)
    return Standing("wrong", "drop" if final is None else "relabel", final, len(voices), len(calls), agreed)


def latest(looks: Iterable[Look]) -> list[Look]:
    """One look for each item, reviewer and kind of look: the latest one, sorted. Made labels are a kind of their own.

    Of looks at the same moment, the one that calls the label wrong counts, then the one in doubt. A look without a name
    is dropped where a named one says the same at the same time: it is the same look, from before the name was given.
    """
    chosen: dict[tuple[object, ...], Look] = {}
    for look in sorted(looks, key=lambda look: (look.moment, _WEIGHT[look.decision], _order(look))):
        chosen[(*look.item, look.reviewer, look.how == "known-wrong", look.decision == "accepted")] = look
    named = {_said(look) for look in chosen.values() if look.reviewer}
    kept = [look for look in chosen.values() if look.reviewer or not look.time or _said(look) not in named]
    return sorted(kept, key=_order)


_WEIGHT: dict[BaselineWord, int] = {"accepted": 0, "keep": 1, "unsure": 2, "drop": 3, "relabel": 3}
"""Of one reviewer's looks at the same moment, the heavier one counts."""


def _said(look: Look) -> tuple[object, ...]:
    return (*look.item, look.decision, look.final_label, look.time, look.how == "known-wrong")


def _order(look: Look) -> tuple[object, ...]:
    """The order of the lines of a ledger. It is total, so equal looks give equal bytes."""
    probability = -1.0 if look.probability is None else look.probability
    final = (look.final_label is not None, look.final_label or "")
    return (*look.item, look.reviewer, look.how, look.time, look.decision, final, probability, look.path)
