"""The items of an audit with what people found of each: the one place where looks meet the rows of a ranking."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.certificate import item_id
from auditor.result import AuditResult, complete_result
from auditor.review.ledger import Ledger
from auditor.review.looks import Standing
from auditor.sources.base import SETTLED


@dataclass(frozen=True)
class Item:
    """A row of a ranking.

    Attributes
    ----------
    path, hash, label
        The item and its label in this audit.
    first_label
        The label that it had when it was first audited.
    suspicion
        NaN where the audit has none.
    suggested_label
        Empty where the audit has none.
    standing
        What the looks come to; None where nobody has looked at it under this label.
    reference
        Whether a trusted reference settled it in this audit: "right", "wrong", or None.
    """

    path: str
    hash: str
    label: str
    first_label: str
    suspicion: float
    suggested_label: str
    standing: Standing | None
    reference: str | None

    @property
    def id(self) -> str:
        """Its id in plans, by its label in this audit."""
        return item_id(self.hash, self.label)

    @property
    def open(self) -> bool:
        """Whether nobody knows anything for certain about its label."""
        return self.standing is None and self.reference is None


def items_of(result: AuditResult, ledger: Ledger) -> list[Item]:
    """Every item of an audit, sorted by path.

    Raises
    ------
    ResultError
        The result lacks something.
    """
    with complete_result():
        hashes = result.summary["dataset"]["hashes"]
        reference = result.summary["reference"]
        wrong = {row["path"] for row in reference["settled"]["wrong"]} if reference.get("settled") else set()
        columns = [result.ranking[c] for c in ("path", "label", "split", "suspicion", "suggested_label")]
        items = []
        for path, label, split, suspicion, suggested in sorted(zip(*columns, strict=True), key=lambda row: row[0]):
            hash = hashes[path]
            known = ("wrong" if path in wrong else "right") if split == SETTLED else None
            first, standing = ledger.first_label(hash, label), ledger.standing(hash, label)
            shown = suggested if isinstance(suggested, str) else ""
            items.append(Item(path, hash, label, first, float(suspicion), shown, standing, known))
        return items
