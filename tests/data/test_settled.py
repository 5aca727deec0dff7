"""Images that the reference holds itself: certain where it contradicts them, and out of every estimate."""

from __future__ import annotations

import numpy as np
import pytest

from auditor import detection
from auditor.data.settled import Settled

FAST = detection.DetectionSettings(landmarks=60, plantings=1, dampings=(1.0,), influence_folds=3)


def _clusters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return (rng.normal(size=(n, 6)) + 1.6 * labels[:, None]).astype(np.float32), labels


def test_what_is_settled_is_told_from_the_rest() -> None:
    known = Settled.of(np.array([0, 1, 1, 0]), np.array([-1, 1, 0, -1]))
    assert known.rest.tolist() == [0, 3]
    assert known.wrong.tolist() == [False, False, True, False] and known.right.tolist() == [False, True, False, False]
    assert known.whole(np.array([0.5, 0.25]), right=0.0, wrong=1.0).tolist() == [0.5, 0, 1, 0.25]
    assert known.share(0.5) == (1 + 1) / 4
    assert known.suggested(np.array([1, 1])).tolist() == [1, -1, 0, 1]


def test_nothing_is_settled_without_a_reference() -> None:
    known = Settled.of(np.array([0, 1, 1]), None)
    assert known.rest.tolist() == [0, 1, 2] and not known.wrong.any() and not known.right.any()
    assert known.share(0.25) == 0.25


@pytest.fixture(scope="module")
def settled_detection() -> tuple[detection.Detection, np.ndarray, np.ndarray, np.ndarray]:
    """300 images, 30 wrongly labelled, of which the reference holds 100 with 10 of the wrong ones."""
    x, truth = _clusters(300, 0)
    given = truth.copy()
    wrong = np.arange(0, 300, 10)
    given[wrong] = 1 - given[wrong]
    trusted = np.where(np.arange(300) < 100, truth, -1)
    held = np.arange(100)
    images = detection.Labelled(x, given, 2, (x[held], truth[held]))
    found = detection.detect(images, seed=0, settled=trusted, settings=FAST)
    return found, given, truth, trusted


def test_the_settled_are_certain_and_first(settled_detection) -> None:
    found, given, truth, trusted = settled_detection
    wrong = (trusted >= 0) & (trusted != given)
    right = trusted == given
    assert wrong.sum() == 10
    assert found.suspicion[wrong].min() > np.nanmax(found.suspicion[~wrong])
    assert (found.suggested_label[wrong] == truth[wrong]).all() and (found.suggested_probability[wrong] == 1).all()
    assert (found.p_mislabelled[wrong] == 1).all() and (found.p_mislabelled[right] == 0).all()
    assert np.isnan(found.suspicion[right]).all() and (found.suggested_label[right] == -1).all()
    assert found.signals[right | wrong].isna().all(axis=None) and found.signals[trusted < 0].notna().all(axis=None)


def test_counts_are_those_of_all_images(settled_detection) -> None:
    found, given, _, _ = settled_detection
    assert found.decided
    assert found.share.count == pytest.approx(found.p_mislabelled.sum(), rel=1e-6)
    assert found.share.count_low >= 10  # those that the reference names
    assert found.by_class["n"].tolist() == np.bincount(given).tolist()
    assert found.by_class["expected"].sum() == pytest.approx(found.share.count, rel=1e-6)
    assert found.by_pair["expected"].sum() == pytest.approx(found.share.count, rel=1e-6)
    assert set(found.by_pair["suggested_label"]) <= {0, 1}  # a settled right label suggests nothing
    first = found.review[found.review["k"] == 10].iloc[0]
    assert first["expected_found"] == first["found_low"] == 10
    assert found.review["k"].max() == len(given)


def test_the_rest_is_judged_as_if_the_settled_were_not_there(settled_detection) -> None:
    """A trusted copy of an image that was learnt would look surer than any other."""
    found, given, truth, trusted = settled_detection
    x, _ = _clusters(300, 0)
    rest = trusted < 0
    others = detection.Labelled(x[rest], given[rest], 2, (x[~rest], truth[~rest]))
    alone = detection.detect(others, seed=0, settings=FAST)
    np.testing.assert_array_equal(found.suspicion[rest], alone.suspicion)
    np.testing.assert_array_equal(found.p_mislabelled[rest], alone.p_mislabelled)
    assert found.share.count == pytest.approx(alone.share.count + 10)


def test_undecided_says_what_is_certain_all_the_same() -> None:
    x, truth = _clusters(60, 1)
    given = truth.copy()
    given[:4] = 1 - given[:4]
    trusted = np.where(np.arange(60) < 10, truth, -1)
    images = detection.Labelled(x, given, 2, (x[:10], truth[:10]))
    found = detection.detect(images, seed=0, settled=trusted, settings=FAST)
    assert not found.decided and found.share is None and found.p_mislabelled is None
    assert found.reason.endswith("The reference itself contradicts the labels of 4 images.")
