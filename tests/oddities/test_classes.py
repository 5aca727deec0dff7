"""Classes that are one, and classes that are two: what is said, how sure it is, and what it cannot tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from auditor.detection import DetectionSettings, Labelled, detect
from auditor.detection.detect import BY_HEART
from auditor.detection.rivals import Rivals, rivals
from auditor.oddities.classes import compared, find, interval, needed
from auditor.oddities.contract import Audited, Oddity
from auditor.system.arrays import Array, Ints

NAMES = ("a <b>", "=1+1", "c", "d")


def _blobs(n: int, n_classes: int, seed: int) -> tuple[Array, Ints]:
    """Classes that lie apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n)
    centres = 5 * np.eye(n_classes, 8)
    return (rng.normal(size=(len(labels), 8)) + centres[labels]).astype(np.float32), labels


def _found(x: Array, labels: Ints, reason: str = "", families: Ints | None = None, features: bool = True) -> Oddity:
    """What the kind finds beside scores by the class means of the other half of the items."""
    n_classes = int(labels.max()) + 1
    half = np.random.default_rng(0).random(len(labels)) < 0.5
    losses = np.empty((len(labels), n_classes))
    for part in (half, ~half):
        means = np.stack([x[~part & (labels == c)].mean(axis=0) for c in range(n_classes)])
        losses[part] = ((x[part][:, None] - means[None]) ** 2).sum(axis=2) / 2
    losses += np.log(np.exp(-losses).sum(axis=1, keepdims=True) + 1e-12)
    families = np.arange(len(labels)) if families is None else families
    table = SimpleNamespace(given=None if features else SimpleNamespace(features=None))
    data = SimpleNamespace(features=x, labels=labels, classes=NAMES[:n_classes], table=table)
    detection = SimpleNamespace(p_mislabelled=None, rivals=rivals(losses, labels, families), reason=reason)
    return find(Audited(cast(Any, data), families, None, cast(Any, detection), 0))


def test_a_class_that_was_cut_in_two_at_random_is_named() -> None:
    x, labels = _blobs(400, 3, 0)
    cut = np.flatnonzero(labels == 1)
    labels = labels.copy()
    labels[cut[::2]] = 3
    oddity = _found(x, labels)
    assert oddity.told and oddity.value == 1 and oddity.interval == (1, 1)
    assert oddity.summary.startswith("'=1+1' and 'd' are hardly told apart")
    first = dict(zip(oddity.heads, oddity.rows[0], strict=True))
    assert (first["finding"], first["class"], first["other class"]) == ("hardly told apart", "=1+1", "d")
    assert first["from"] < 0.5 < first["to"] < 2 / 3  # type: ignore[operator]


def test_classes_that_lie_apart_are_not_named_and_neither_are_flips() -> None:
    x, labels = _blobs(200, 3, 1)
    for part in (0.0, 0.1, 0.3):
        flipped = labels.copy()
        flipped[np.flatnonzero(labels == 0)[: round(200 * part)]] = 1
        oddity = _found(x, flipped)
        assert oddity.told and oddity.value == 0 and oddity.interval == (0, 0)
        assert oddity.summary.startswith("No two classes are mixed up as if they were one.")


def test_few_images_cannot_tell_and_say_how_many_would() -> None:
    x, labels = _blobs(25, 3, 2)
    oddity = _found(x, labels)
    assert not oddity.told and oddity.value is None and f"with about {needed(3)} images of each" in oddity.summary
    enough = _found(*_blobs(needed(3), 3, 2))
    assert enough.told
    x, labels = _blobs(200, 3, 3)
    copies = _found(x, labels, families=np.arange(600) // 20)
    assert not copies.told, "ten different images of a class are few, however often they are there"


def test_between_one_and_two_nobody_can_tell() -> None:
    x, labels = _blobs(100, 3, 9)
    mixed = np.flatnonzero(labels < 2)[::2]
    labels = labels.copy()
    labels[mixed[::2]] = 0
    labels[mixed[1::2]] = 1
    oddity = _found(x, labels)
    assert oddity.summary.startswith("'a <b>' and '=1+1' may be mixed up") and oddity.interval == (0, 1)


def test_labels_known_by_heart_show_no_overlap() -> None:
    oddity = _found(*_blobs(200, 3, 4), reason=BY_HEART)
    assert not oddity.told and "agree with every given label" in oddity.summary


def test_a_class_with_two_groups_is_named_with_the_group_of_each_image() -> None:
    x, labels = _blobs(200, 4, 5)
    merged = np.minimum(labels, 2)
    oddity = _found(x, merged)
    assert oddity.told and "'c' falls into two groups" in oddity.summary and "two views" in oddity.summary
    assert oddity.values is not None and set(oddity.values[merged < 2]) == {""}
    parts = oddity.values[merged == 2]
    agree = ((parts == "larger") == (labels[merged == 2] == 3)).mean()
    assert max(agree, 1 - agree) > 0.95
    assert all("group of 'c'" in item.said for item in oddity.items) and len(oddity.items) == 8


def test_without_features_overlap_is_found_all_the_same() -> None:
    oddity = _found(*_blobs(200, 3, 6), features=False)
    assert oddity.told and "two groups" not in oddity.summary and "that needs features" in oddity.notes[1]


def test_the_interval_holds_the_true_area_nearly_always() -> None:
    rng, missed = np.random.default_rng(7), 0
    truth = 0.76025  # of two normal distributions, one standard deviation apart
    for _ in range(300):
        one, other = rng.normal(1, 1, 60), rng.normal(0, 1, 40)
        area = roc_auc_score(np.repeat([1, 0], [60, 40]), np.concatenate([one, other]))
        low, high = interval(area, 60, 40, 0.05)
        missed += not low <= truth <= high
    assert binomtest(missed, 300, 0.05, alternative="greater").pvalue > 0.01


def test_an_interval_is_never_a_point() -> None:
    for told in (0.0, 0.5, 1.0):
        low, high = interval(told, 40, 40, 0.05)
        assert 0 <= low < high <= 1 and high - low > 0.05
    assert interval(0.9, 30, 50, 0.05)[0] == pytest.approx(1 - interval(0.1, 50, 30, 0.05)[1], abs=0.03)


def test_pairs_of_small_classes_are_left_out_and_all_pairs_share_one_error() -> None:
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    few = Rivals(pairs, np.array([0.5, 0.5, 0.5]), np.array([[100, 100], [100, 5], [100, 5]]))
    assert [(one.one, one.other) for one in compared(few)] == [(0, 1)]
    many = Rivals(pairs, np.array([0.5, 0.5, 0.5]), np.full((3, 2), 100))
    assert compared(many)[0].high > compared(few)[0].high
    assert compared(Rivals(pairs[:0], np.empty(0), pairs[:0])) == ()


@pytest.mark.parametrize("cut", [True, False])
def test_detection_hands_on_how_well_its_heads_tell_classes_apart(cut: bool) -> None:
    x, labels = _blobs(80, 2, 8)
    given = labels.copy()
    if cut:
        given[np.flatnonzero(labels == 0)[::2]] = 2
    found = detect(Labelled(x, given, int(given.max()) + 1, None), seed=0, settings=DetectionSettings(damping=10.0))
    assert found.rivals is not None
    told = dict(zip(map(tuple, found.rivals.pairs.tolist()), found.rivals.told.tolist(), strict=True))
    assert told[0, 1] > 0.95
    assert not cut or told[0, 2] < 0.65
