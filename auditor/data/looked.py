"""What people found about the items of a data set, as arrays. The ledger's words become class indices here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.result.documents import LedgerUse
from auditor.system.arrays import Array, Ints

NOT_LOOKED, WRONG = -1, -2
"""Values of `Looked.found`, as `detection.labelled` has them."""


@dataclass(frozen=True)
class Looked:
    """What people found about N items.

    Attributes
    ----------
    first
        int64 [N], the label that each item had when it was first audited. It is today's label where nobody settled the
        item, and where no item has that class any more.
    found
        int64 [N], the right class of settled items. -1 for items that are not settled, -2 where the label is wrong and
        no class of the data set is known to be right.
    undecided
        bool [N], True where people looked and could not settle the label.
    use
        The ledger and what it settles, for `audit.json`.
    """

    first: Ints
    found: Ints
    undecided: Array
    use: LedgerUse

    def right(self, labels: Ints) -> Array:
        """bool [N], True where people found today's `labels` int64 [N] right."""
        return np.asarray(self.found == labels)

    def wrong(self, labels: Ints) -> Array:
        """bool [N], True where people found today's `labels` int64 [N] wrong."""
        return np.asarray((self.found != NOT_LOOKED) & (self.found != labels))

    def taught(self, labels: Ints) -> Ints:
        """int64 [N], labels to learn from: what people found where a class is known, else today's `labels`."""
        return np.where(self.found >= 0, self.found, labels)

    def words(self, labels: Ints) -> Array:
        """[N] strings for the column `looked`: `right`, `wrong`, `undecided`, or empty where nobody looked."""
        said = np.full(len(labels), "", dtype=object)
        said[self.undecided] = "undecided"
        said[self.right(labels)] = "right"
        said[self.wrong(labels)] = "wrong"
        return said
