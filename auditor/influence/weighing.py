"""A reference that knows it is noisy: how much each of its items may say, and what a label says per unit of its pull.

The mean gradient over a reference with wrong labels is the sum of what right labels and wrong labels pull. Near the
optimum of a head that was trained on labels with the same noise the two cancel. An item that is probably wrong should
therefore say little: it counts by a power of the probability of its given label. Weighted so, the gradient of
cross-entropy is that of the generalised cross-entropy, a loss made for wrong labels (Zhang and Sabuncu, 2018). And an
item with a large gradient moves everything, whichever way it points. Dividing influence by the size of that gradient
leaves the direction (in the spirit of relative influence; Barshan et al., 2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.errors import EngineError

Floats = npt.NDArray[np.float64]

ROBUST = 0.7
"""The power, as Zhang and Sabuncu set it. At 0 the loss is cross-entropy, at 1 the mean absolute error."""

_LEAST = 1e-12
"""No gradient is taken to be smaller."""


def robust_weights(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Floats:
    """Weights float64 [n] of reference items: the probability of each given label, to the power `ROBUST`.

    The gradient of ``(1 - p ** ROBUST) / ROBUST`` is this weight times the gradient of ``-log p``.

    Parameters
    ----------
    probabilities
        [n, C], of the model whose influences are measured.
    labels
        int64 [n].
    """
    return np.asarray(np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels] ** ROBUST)


def as_shares(weights: npt.NDArray[Any], n: int) -> Floats:
    """Weights [n] as float64 [1, n] that sum to 1. All alike where every one is 0.

    Raises
    ------
    EngineError
        When there is not one weight for each of the `n` items, or one is below 0 or not finite.
    """
    shares = np.asarray(weights, np.float64)
    if shares.shape != (n,):
        raise EngineError(f"{n} reference points have weights of shape {shares.shape}", hint="give one for each")
    if not (np.isfinite(shares).all() and (shares >= 0).all()):
        raise EngineError("a reference point's weight is below 0 or not finite", hint="give numbers of at least 0")
    largest = shares.max(initial=0.0)
    if largest == 0:
        return np.full((1, n), 1 / max(n, 1))
    shares = shares / largest  # a sum of the smallest numbers there are would lose its digits
    return np.asarray(shares[None] / shares.sum())


def pull(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Floats:
    """Size float64 [N] of each label's own loss gradient at the logits, `|p_i - e_y|`.

    Parameters
    ----------
    probabilities
        [N, C], of the model whose influences are measured.
    labels
        int64 [N], the labels it was trained on.
    """
    residuals = np.array(probabilities, np.float64)
    residuals[np.arange(len(labels)), labels] -= 1
    return np.asarray(np.maximum(np.linalg.norm(residuals, axis=1), _LEAST))


def pulls(probabilities: npt.NDArray[Any]) -> Floats:
    """The same, float64 [N, C], for every label c that an item could carry: `|p_i - e_c|`."""
    p = np.asarray(probabilities, np.float64)
    squares = np.square(p)
    others = squares.sum(axis=1, keepdims=True) - squares
    return np.asarray(np.maximum(np.sqrt(np.maximum(others, 0) + np.square(1 - p)), _LEAST))
