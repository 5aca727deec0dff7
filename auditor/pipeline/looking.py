"""The ledger meets the data set: what people found goes into the audit, and what it settles is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.data.dataset import Dataset
from auditor.data.ledger_file import OFF, find_ledger, ledger_digest
from auditor.data.looked import NOT_LOOKED, WRONG, Looked
from auditor.errors import DecisionsError
from auditor.result.documents import LedgerUse
from auditor.review.ledger import Ledger
from auditor.review.looks import Standing
from auditor.system.text import counted, display, plain


@dataclass(frozen=True)
class Opened:
    """A ledger that was read: where it lies, and the sha256 of its bytes."""

    ledger: Ledger
    path: Path
    digest: str


def open_ledger(source: str, setting: str) -> Opened | None:
    """The ledger for an audit of SOURCE; None where there is none.

    Parameters
    ----------
    source
        What the user wrote as SOURCE; empty for a table that a program made.
    setting
        The setting `ledger`.

    Raises
    ------
    DecisionsError
        The ledger cannot be used. A ledger that nobody named is not passed over: what people found would be lost.
    """
    path = find_ledger(source, setting)
    if path is None:
        return None
    digest = ledger_digest(path)
    try:
        return Opened(Ledger.load(path), path, digest)
    except DecisionsError as error:
        if setting:
            raise
        hint = "; ".join(filter(None, [error.hint, f"--ledger {OFF} audits without it"]))
        raise DecisionsError(error.message, hint=hint) from error


def match(data: Dataset, opened: Opened) -> Looked:
    """What a ledger says of each item of a data set.

    An item is found by its content and its label. One look answers all copies of a content under one label. A label
    that is neither the one first audited nor the one found right reopens the item: somebody changed it since.
    """
    ledger = opened.ledger
    index = {name: number for number, name in enumerate(data.classes)}
    first, found = data.labels.copy(), np.full(len(data.labels), NOT_LOOKED, np.int64)
    undecided = np.zeros(len(data.labels), bool)
    judged = {hash for (hash, _), standing in ledger.standings.items() if standing.status != "undecided"}
    reopened = 0
    for row, (hash, number) in enumerate(zip(data.hashes, data.labels, strict=True)):
        label = data.classes[number]
        standing = ledger.standing(hash, label)
        if standing is None:
            reopened += hash in judged
        elif standing.status == "undecided":
            undecided[row] = True
        else:
            before = ledger.first_label(hash, label)
            first[row] = index.get(before, number)
            found[row] = number if _is_right(standing, before, label) else index.get(standing.final_label or "", WRONG)
    here, right = set(data.hashes), found == data.labels
    use: LedgerUse = {
        "source": display(str(opened.path)),
        "sha256": opened.digest,
        "looks": sum(look.judges for look in ledger.looks),
        "settled_right": int(right.sum()),
        "settled_wrong": int((found != NOT_LOOKED).sum() - right.sum()),
        "reopened": reopened,
        "undecided": int(undecided.sum()),
        "gone": sum(hash not in here for hash, _ in ledger.standings),
    }
    return Looked(first, found, undecided, use)


def _is_right(standing: Standing, before: str, label: str) -> bool:
    """Whether today's label is the right one: it was found right, or it is what a wrong one was corrected to."""
    return standing.status == "right" or before != label


def in_words(use: LedgerUse) -> str:
    """What a ledger holds and settles, in one line."""
    parts = [
        f"{use['settled_right']:,} labels settled as right",
        f"{use['settled_wrong']:,} as wrong",
        *([f"{use['undecided']:,} undecided"] if use["undecided"] else []),
        *([f"{use['reopened']:,} reopened by a changed label"] if use["reopened"] else []),
        *([f"{use['gone']:,} of items that are gone"] if use["gone"] else []),
    ]
    return f"ledger {plain(use['source'])}: {counted(use['looks'], 'look', 'looks')}; {', '.join(parts)}"


def looked_notes(data: Dataset) -> list[str]:
    """Sentences for the report about what people found before this audit."""
    if data.looked is None:
        return []
    use = data.looked.use
    settled = use["settled_right"] + use["settled_wrong"]
    notes = [
        f"People looked at {settled:,} of these labels before this audit: {use['settled_right']:,} are settled as "
        f"right and {use['settled_wrong']:,} as wrong. Right ones are not listed again. The estimated number of wrong "
        "labels speaks of the others alone."
    ]
    if use["reopened"]:
        notes.append(
            f"{use['reopened']:,} labels were looked at and have another label now than those that people saw. "
            "They count as labels that nobody has looked at."
        )
    return notes
