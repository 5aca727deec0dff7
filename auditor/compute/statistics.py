"""Some statistics that scipy.stats and scikit-learn have too. The import of these takes most of a second.

What is a function of scipy.special is taken from there.
"""

from __future__ import annotations

import numpy as np

from auditor.system.arrays import Array, Floats


def ranks(values: Floats) -> Floats:
    """float64 [n], the rank of each value from 1 on, the lowest first; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def area_under_curve(flags: Array, values: Floats) -> float:
    """How often a value with a flag is higher than one without: area under the ROC curve. Both must occur."""
    flags = np.asarray(flags, dtype=bool)
    n = int(flags.sum())
    return float((ranks(values)[flags].sum() - n * (n + 1) / 2) / (n * (len(flags) - n)))


def isotonic(along: Floats, values: Floats) -> Floats:
    """float64 [n], the rising function of `along` that is nearest to `values`, by least squares.

    Neighbours that fall are pooled until none does (Ayer et al., 1955).
    """
    _, place, counts = np.unique(along, return_inverse=True, return_counts=True)
    means, sizes, spans = list[float](), list[float](), list[int]()
    for value, size in zip((np.bincount(place, values) / counts).tolist(), counts.tolist(), strict=True):
        mean, weight, span = value, float(size), 1
        while means and means[-1] >= mean:
            total = sizes[-1] + weight
            mean = (means.pop() * sizes[-1] + mean * weight) / total
            weight, span = total, span + spans.pop()
            sizes.pop()
        means.append(mean)
        sizes.append(weight)
        spans.append(span)
    return np.asarray(np.repeat(means, spans)[place])


def confusion(labels: Array, predicted: Array, n_classes: int) -> Array:
    """int64 [C, C], how often each label (rows) was predicted as each class (columns)."""
    counted = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return np.asarray(counted.reshape(n_classes, n_classes), dtype=np.int64)


def weighted_f1(matrix: Array) -> float:
    """The mean F1 of the classes of a confusion matrix int64 [C, C], weighted by their labels; 0 where it is empty."""
    hits, labels, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    f1 = np.divide(2.0 * hits, labels + said, out=np.zeros(len(matrix)), where=labels + said > 0)
    return float(f1 @ labels / max(1, int(labels.sum())))
