"""Detection beside networks that were tuned on other folds: their word joins the signals, a reference's too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import QUICK, blobs, flip

from auditor.detection import Labelled, detect, suspicion
from auditor.errors import AuditorError


def softmax(values: np.ndarray) -> np.ndarray:
    p = np.exp(values - values.max(1, keepdims=True))
    return (p / p.sum(1, keepdims=True)).astype(np.float32)


def test_what_tuned_networks_say_finds_what_frozen_features_cannot_with_a_reference_too(monkeypatch):
    x, truth = blobs(150, 3, gap=0.2)
    more, trusted = blobs(45, 3, gap=0.2, seed=5)
    given, wrong = flip(truth, 3, 0.15)
    rng = np.random.default_rng(0)
    likely, theirs = (
        np.maximum(softmax(2.5 * np.eye(3)[y] + rng.normal(size=(len(y), 3))), 1e-6) for y in (truth, trusted)
    )
    frozen = Labelled(x, given, 3, (more, trusted))
    tuned = replace(frozen, probabilities=likely, reference_probabilities=theirs, tuned=True)
    with pytest.raises(AuditorError, match="a reference cannot be used where probabilities are given"):
        detect(replace(tuned, reference_probabilities=None), seed=0, settings=QUICK)
    plain, found = (detect(images, seed=0, settings=QUICK) for images in (frozen, tuned))
    assert {"tuned_loss", "tuned_margin"} == set(found.signals.columns) - set(plain.signals.columns)
    assert found.weights["tuned_loss"] + found.weights["tuned_margin"] > 0
    monkeypatch.setattr(suspicion, "ODDS_PART", 50.0)
    monkeypatch.setattr(suspicion, "LOSS_PART", 50.0)
    again, other = (detect(images, seed=0, settings=QUICK) for images in (tuned, frozen))
    assert again.weights == found.weights, "nothing is added beside tuned networks: it would drown them"
    assert other.weights != plain.weights
    first = [int(wrong[np.argsort(-one.suspicion)[: wrong.sum()]].sum()) for one in (plain, found)]
    assert first[1] > first[0] + 4
    some = tuned.select(np.arange(0, 150, 3)).checked()
    np.testing.assert_array_equal(some.probabilities, likely[::3])
    np.testing.assert_array_equal(some.reference_probabilities, theirs)
