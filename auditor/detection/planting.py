"""Draws labels to plant: which other class an image gets in place of its own label."""

from __future__ import annotations

import numpy as np

from auditor.system.arrays import Array, Floats

CONFUSION_FLOOR = 0.02
"""Part of the confusion distribution that stays uniform, even where the model is sure."""


def uniform_targets(labels: Array, n_classes: int) -> Floats:
    """Give every other class the same probability.

    Parameters
    ----------
    labels
        int64 [N], the labels of now. The own label has probability 0.
    n_classes
        C.

    Returns
    -------
    float64 [N, C], rows sum to 1.
    """
    q = np.full((len(labels), n_classes), 1 / max(n_classes - 1, 1))
    q[np.arange(len(labels)), labels] = 0
    return q


def confusion_targets(log_probabilities: Array, labels: Array) -> Floats:
    """Give the other classes the probabilities that the model gives them.

    Parameters
    ----------
    log_probabilities
        float32 [N, C], of a head that has not seen the image's own label.
    labels
        int64 [N], the labels of now. The own label has probability 0.

    Returns
    -------
    float64 [N, C], rows sum to 1.
    """
    q = np.exp(log_probabilities.astype(np.float64))
    q[np.arange(len(q)), labels] = 0
    total = q.sum(axis=1, keepdims=True)
    q = np.where(total > 1e-12, q / np.where(total > 1e-12, total, 1), 0)
    even = uniform_targets(labels, q.shape[1])
    return np.where(total > 1e-12, (1 - CONFUSION_FLOOR) * q + CONFUSION_FLOOR * even, even)
