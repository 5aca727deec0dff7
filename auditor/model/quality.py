"""How well a model classifies, and its logits as probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from sklearn.metrics import confusion_matrix, f1_score

from auditor.system.arrays import Array


@dataclass(frozen=True)
class Quality:
    """How well a model classifies a split of `n` images.

    Attributes
    ----------
    accuracy, f1_weighted
        Shares from 0 to 1. The F1 score of each class counts by the class's number of images.
    confusion
        `confusion[i][j]` counts the images of given label i that the model predicts as j.
    """

    n: int
    accuracy: float
    f1_weighted: float
    confusion: tuple[tuple[int, ...], ...]


def quality(logits: Array, labels: Array, n_classes: int) -> Quality:
    """Weighted F1, accuracy and confusion matrix of predictions on a split.

    Parameters
    ----------
    logits, labels
        float [N, C], and int64 [N] in 0..C-1.
    """
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, labels=np.arange(n_classes))
    return Quality(
        n=len(labels),
        accuracy=float((predicted == labels).mean()),
        f1_weighted=float(f1_score(labels, predicted, average="weighted", zero_division=0)),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
    )


def softmax(logits: Array) -> Array:
    """Probabilities float64 [N, C] of logits [N, C], a row at a time, in double precision."""
    return np.asarray(scipy.special.softmax(np.asarray(logits, dtype=np.float64), axis=1))
