"""The classes that an item most probably shows, the given one among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array, Floats, Ints

MOST = 3
"""Classes that are named for each item."""


@dataclass(frozen=True)
class Likeliest:
    """The likeliest classes of each of N items, the likeliest first.

    Attributes
    ----------
    labels
        int64 [N, k], class indices; -1 where nothing is known.
    probabilities
        float64 [N, k], the probability that the class is the true one. A row adds up to 1 at most.
    """

    labels: Ints
    probabilities: Floats

    def spread(self, rows: Array, n: int) -> Likeliest:
        """Give the same of `n` items, of which these are the ones with the int64 numbers `rows`."""
        labels = np.full((n, self.labels.shape[1]), -1, np.int64)
        probabilities = np.zeros(labels.shape)
        labels[rows], probabilities[rows] = self.labels, self.probabilities
        return Likeliest(labels, probabilities)


def likeliest(truth: Array, given: Ints, p: Floats) -> Likeliest:
    """Find the likeliest classes.

    Parameters
    ----------
    truth
        float [N, C], probability of each class for an item whose given label is wrong. Rows sum to 1, and the given
        label has none.
    given
        int64 [N], the given labels.
    p
        float64 [N], probability that the given label is wrong.
    """
    rows = np.arange(len(given))
    chances = truth.astype(np.float64) * p[:, None]
    chances[rows, given] = 1 - p
    order = np.argsort(-chances, axis=1, kind="stable")[:, :MOST]
    return Likeliest(order, np.take_along_axis(chances, order, axis=1))


def nothing(n: int) -> Likeliest:
    """Give what is said of `n` items where nothing can be decided."""
    return Likeliest(np.full((n, 1), -1, np.int64), np.zeros((n, 1)))
