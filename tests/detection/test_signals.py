"""Signals of a label must not have seen it."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detection.heads import Scaling
from auditor.detection.signals import Views


@pytest.mark.parametrize(("n", "d"), [(300, 600), (600, 20)], ids=["more features than images", "fewer"])
def test_the_stacked_loss_knows_nothing_of_the_label_it_judges(n, d):
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 2
    x = rng.normal(size=(n, d)) + 0.3 * rng.normal(size=(2, d))[truth]
    labels = truth.copy()
    wrong = rng.permutation(n)[: n // 10]
    labels[wrong] = 1 - labels[wrong]
    views = Views(Scaling.of(x)(x), 2, n_trusted=0, landmarks=1000, seed=0)
    loss = views.signals(labels).values["stacked_loss"]
    # The loss of the true class is as low where the given label is another one: the judge was not told.
    of_truth = loss[np.arange(n), truth]
    kept = np.setdiff1d(np.arange(n), wrong)
    error = np.hypot(of_truth[wrong].std() / len(wrong) ** 0.5, of_truth[kept].std() / len(kept) ** 0.5)
    assert abs(of_truth[wrong].mean() - of_truth[kept].mean()) < 3 * error
