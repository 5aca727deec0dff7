"""Audited images that the trusted reference holds themselves: what it says of them needs no estimate.

Detection looks at the others alone. A head that has seen an image under its given label is surer of the trusted copy
than of any image it has not seen, so that trusted labels would no longer show how sure the model may be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array, Floats, Ints


@dataclass(frozen=True)
class Settled:
    """Which images are settled, and how.

    Attributes
    ----------
    given, trusted
        int64 [N], the given labels, and what the reference says of the same images; -1 where it does not hold them.
    """

    given: Ints
    trusted: Ints

    @classmethod
    def of(cls, given: Ints, trusted: Ints | None) -> Settled:
        """None settles nothing."""
        return cls(given, np.full(len(given), -1, np.int64) if trusted is None else np.asarray(trusted, np.int64))

    @property
    def rest(self) -> Array:
        """int64, the images that are not settled."""
        return np.flatnonzero(self.trusted < 0)

    @property
    def wrong(self) -> Array:
        """bool [N], the reference says another class than the given label."""
        return np.asarray((self.trusted >= 0) & (self.trusted != self.given))

    @property
    def right(self) -> Array:
        """bool [N], the reference says the same."""
        return np.asarray(self.trusted == self.given)

    def whole(self, found: Array, *, right: float, wrong: float | Array) -> Array:
        """[N], what was `found` of the rest, in its dtype, and what holds of settled images."""
        out = np.full(len(self.given), right, dtype=found.dtype)
        out[self.rest] = found
        out[self.wrong] = wrong
        return out

    def share(self, of_rest: float) -> float:
        """The share of wrong labels among all images where it is `of_rest` among those that are not settled."""
        return float((of_rest * len(self.rest) + self.wrong.sum()) / len(self.given))

    def suspicion(self, found: Floats) -> Floats:
        """float64 [N], the settled wrong labels above all that was `found`; NaN where a label is surely right."""
        return self.whole(found, right=np.nan, wrong=float(found.max()) + 1)

    def suggested(self, found: Ints) -> Ints:
        """int64 [N], the reference's class where it says another; -1 where the label is right for sure."""
        return self.whole(found, right=-1, wrong=self.trusted[self.wrong])
