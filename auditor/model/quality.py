"""TODO auditor.model.quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from auditor.system.arrays import Array


@dataclass(frozen=True)
class Quality:
    """How well a model classifies a split: `confusion[i][j]` counts given label i predicted as j."""

    n: int
    accuracy: float
    f1_weighted: float
    confusion: tuple[tuple[int, ...], ...]


def quality(logits: Array, labels: Array, n_classes: int) -> Quality:
    """Weighted F1, accuracy and confusion matrix of predictions on a split."""
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, labels=np.arange(n_classes))
    return Quality(
        n=len(labels),
        accuracy=float((predicted == labels).mean()),
        f1_weighted=float(f1_score(labels, predicted, average="weighted", zero_division=0)),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
    )


def softmax(logits: Array) -> Array:
    """Row-wise softmax, float64 [N, C]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponential = np.exp(shifted)
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))
