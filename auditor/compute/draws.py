"""Random draws that more than one room makes."""

from __future__ import annotations

import numpy as np

from auditor.system.arrays import Array, Floats


def draw(targets: Floats, rng: np.random.Generator) -> Array:
    """Draw one class a row, by inverting the cumulative distribution.

    Parameters
    ----------
    targets
        float64 [N, C], not negative. Rows need not sum to 1.
    rng
        Gives one uniform number a row.

    Returns
    -------
    int64 [N].
    """
    cumulative = np.cumsum(targets, axis=1)
    drawn = (rng.random((len(targets), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return np.asarray(np.minimum(drawn, targets.shape[1] - 1), dtype=np.int64)
