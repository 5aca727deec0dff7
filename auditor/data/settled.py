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
    """

    given: Ints
    trusted: Ints

    @classmethod
    def of(cls, given: Ints, trusted: Ints | None) -> Settled:
        """Make it of int64 [N] labels. With None for `trusted` nothing is settled."""
        return cls(given, np.full(len(given), -1, np.int64) if trusted is None else np.asarray(trusted, np.int64))

    @property
    def rest(self) -> Array:
        """Rows int64 of the images that are not settled."""
        return np.flatnonzero(self.trusted < 0)

    @property
    def wrong(self) -> Array:
        """bool [N], True where the reference contradicts the given label."""
        return np.asarray((self.trusted >= 0) & (self.trusted != self.given))

    @property
    def right(self) -> Array:
        """bool [N], True where the reference confirms the given label."""
        return np.asarray(self.trusted == self.given)

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
        """Give the share of wrong labels among all images, if it is `of_rest` among those that are not settled."""
        return float((of_rest * len(self.rest) + self.wrong.sum()) / len(self.given))

    def suspicion(self, found: Floats) -> Floats:
        """Give float64 [N]: settled wrong labels stand above all that was `found`; settled right ones are NaN."""
        return self.whole(found, right=np.nan, wrong=float(found.max()) + 1)

    def suggested(self, found: Ints) -> Ints:
        """Give int64 [N]: the reference's label where it contradicts the given one, -1 where it confirms it."""
        return self.whole(found, right=-1, wrong=self.trusted[self.wrong])
