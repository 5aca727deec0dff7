"""The map: equal items lie in equal places, wrong labels where they belong, and no features break it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditor.pipeline import plane as module
from auditor.pipeline.plane import plane
from auditor.result.evidence import MapDocument


def _places(found: MapDocument) -> Any:
    places = np.frombuffer(base64.b64decode(found["points"]), "<u2").reshape(-1, 2)
    assert len(places) == found["n"]
    return places


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_a_wrong_label_lies_where_it_belongs(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(900) % n_classes
    features = rng.normal(size=(900, 40)) + 6 * np.eye(n_classes, 40)[truth]
    labels = truth.copy()
    wrong = rng.random(900) < 0.1
    labels[wrong] = (truth[wrong] + 1) % n_classes
    places = _places(plane(features, labels, np.arange(900))).astype(float)
    centres = np.stack([np.median(places[truth == c], axis=0) for c in range(n_classes)])
    far = ((places[:, None] - centres) ** 2).sum(axis=2)
    assert (far[wrong, truth[wrong]] < far[wrong, labels[wrong]]).mean() > 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
@example(4, 1, 2, 1)  # the classes have one mean, so nothing tells them apart
def test_any_features_have_a_map(n: int, width: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, labels = rng.integers(0, 3, (n, width)).astype(float), rng.integers(n_classes, size=n)
    order = rng.permutation(n)
    first, again = plane(features, labels, order), plane(features, labels, order)
    assert first == again and first["n"] == n
    # An item's place does not depend on the order in which places are written.
    assert (_places(plane(features, labels, np.arange(n)))[order] == _places(first)).all()


def test_of_many_items_the_first_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    features = np.random.default_rng(0).normal(size=(50, 4))
    assert plane(features, np.arange(50) % 2, np.arange(50)[::-1])["n"] == 10
