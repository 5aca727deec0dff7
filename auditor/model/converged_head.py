"""A softmax head at the minimum of its loss, with the weight decay that left-out labels like best.

It classifies what no network has made: features and probabilities that a user gives, texts, and rows of tables. Their
scale is any, and so the steps of a training with a fixed learning rate may go nowhere. This problem is convex. Its
minimum does not depend on a start, a rate or a number of epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array

WEIGHT_DECAYS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
"""Candidates, the strongest first."""

FOLDS = 3

ALL_FOLDS = 2**20
"""Up to so many numbers in the features every fold is left out once. Beyond it one fold tells enough."""


def choose_weight_decay(features: Array, labels: Array, n_classes: int, seed: int, *, device: str = "cpu") -> float:
    """The weight decay whose head gives left-out labels the smallest mean cross-entropy.

    They are tried from the strongest down, until left-out labels are told worse again.

    Parameters
    ----------
    features, labels
        float [N, D] on a common scale, and int64 [N] in 0..C-1.
    seed
        Draws the folds.
    """
    n = len(labels)
    if n < 2:
        return WEIGHT_DECAYS[0]
    fold = np.random.default_rng([seed, 0xDECA]).permutation(n) % min(FOLDS, n)
    folds = range(int(fold.max()) + 1) if features.size <= ALL_FOLDS else range(1)
    paths = [_left_out_losses(features, labels, n_classes, fold == at, device) for at in folds]
    best, least = WEIGHT_DECAYS[0], math.inf
    for decay in WEIGHT_DECAYS:
        total = sum(next(path) for path in paths)
        if total > least:
            break
        best, least = decay, total
    return best


def _left_out_losses(features: Array, labels: Array, n_classes: int, out: Array, device: str) -> Iterator[float]:
    """Summed loss of the labels where bool [N] `out`, by heads that learnt the others: one for each weight decay."""
    seen, taught, held = features[~out], labels[~out], features[out]
    head: SoftmaxHead | None = None
    for decay in WEIGHT_DECAYS:
        head = SoftmaxHead.train(seen, taught, n_classes, decay, start=head, device=device)
        yield mean_loss(head, held, labels[out]) * int(out.sum())


def mean_loss(head: SoftmaxHead, features: Array, labels: Array) -> float:
    """Mean cross-entropy of labels int64 [n], without weight decay."""
    z = head.logits(features)
    z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]).mean())
