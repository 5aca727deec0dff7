"""Audited images that the trusted reference holds too. What it says of them is certain and needs no estimate.

Detection looks only at the other images. A head that has seen an image under its given label is surer of the trusted
copy than of any image it has not seen. Trusted labels would then no longer show how sure the model may be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array, Floats, Ints


@dataclass(frozen=True)
class Settled:
    """Which of N images are settled, and how.

    Attributes
    ----------
    given
        int64 [N], the given labels.
    trusted
        int64 [N], the reference's label of the same image; -1 where the reference does not hold it.
    found
        int64 [N], the class that people found; -1 where nobody looked, -2 where the label is wrong and the class is
        not known. The reference's word counts where both speak.
    """

    given: Ints
    trusted: Ints
    found: Ints

    @classmethod
    def of(cls, given: Ints, trusted: Ints | None, found: Ints | None = None) -> Settled:
        """Make it of int64 [N] labels. With None for `trusted` or `found` that column settles nothing."""
        nothing = np.full(len(given), -1, np.int64)
        known = nothing if trusted is None else np.asarray(trusted, np.int64)
        seen = nothing if found is None else np.where(known < 0, np.asarray(found, np.int64), -1)
        return cls(given, known, seen)

    @property
    def audited(self) -> Array:
        """Rows int64 of the images that the reference does not hold."""
        return np.flatnonzero(self.trusted < 0)

    @property
    def looked(self) -> Array:
        """bool [N], True where people looked."""
        return np.asarray(self.found != -1)

    @property
    def rest(self) -> Array:
        """Rows int64 of the images that are not settled."""
        return np.flatnonzero((self.trusted < 0) & ~self.looked)

    @property
    def wrong(self) -> Array:
        """bool [N], True where the reference contradicts the given label."""
        return np.asarray((self.trusted >= 0) & (self.trusted != self.given))

    @property
    def right(self) -> Array:
        """bool [N], True where the reference confirms the given label."""
        return np.asarray(self.trusted == self.given)

    @property
    def found_wrong(self) -> Array:
        """bool [N], True where people found that the given label is wrong."""
        return np.asarray(self.looked & (self.found != self.given))

    def whole(self, found: Array, *, right: float, wrong: float | Array) -> Array:
        """Fill up to all images what was `found` of those that are not settled.

        Parameters
        ----------
        found
            [n], one value for each image of `rest`.
        right, wrong
            Values of images that are settled as right, and as wrong.

        Returns
        -------
        [N], in the dtype of `found`.
        """
        out = np.full(len(self.given), right, dtype=found.dtype)
        out[self.rest] = found
        out[self.wrong] = wrong
        return out

    def share(self, of_rest: float) -> float:
        """Give the share of wrong labels among all images that nobody looked at, if it is `of_rest` in the rest."""
        return float((of_rest * len(self.rest) + self.wrong.sum()) / max(1, int((~self.looked).sum())))

    def suspicion(self, found: Floats) -> Floats:
        """Give float64 [N]: wrong labels by the reference stand above all that was `found`; settled others are NaN."""
        return self.whole(found, right=np.nan, wrong=float(found.max(initial=0.0)) + 1)

    def suggested(self, found: Ints) -> Ints:
        """Give int64 [N]: the reference's or people's label where it contradicts the given one; -1 where none does."""
        out = self.whole(found, right=-1, wrong=self.trusted[self.wrong])
        out[self.found_wrong] = np.maximum(self.found[self.found_wrong], -1)
        return out
