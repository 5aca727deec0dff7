"""Signals of a label must not have seen it."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detection import DetectionSettings
from auditor.detection.views import Views
from auditor.model.scaling import Scaling

NO_TRUSTED = np.empty(0, np.int64)


@pytest.mark.parametrize(("n", "d"), [(300, 600), (600, 20)], ids=["more features than images", "fewer"])
def test_the_stacked_loss_knows_nothing_of_the_label_it_judges(n, d):
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 2
    x = rng.normal(size=(n, d)) + 0.3 * rng.normal(size=(2, d))[truth]
    labels = truth.copy()
    wrong = rng.permutation(n)[: n // 10]
    labels[wrong] = 1 - labels[wrong]
    views = Views(Scaling.of(x)(x), NO_TRUSTED, 2, settings=DetectionSettings(landmarks=1000), seed=0)
    loss = views.signals(labels).values["stacked_loss"]
    # The loss of the true class is as low where the given label is another one: the judge was not told.
    of_truth = loss[np.arange(n), truth]
    kept = np.setdiff1d(np.arange(n), wrong)
    error = np.hypot(of_truth[wrong].std() / len(wrong) ** 0.5, of_truth[kept].std() / len(kept) ** 0.5)
    assert abs(of_truth[wrong].mean() - of_truth[kept].mean()) < 3 * error


def test_folds_drawn_anew_steady_what_an_image_is_told_without_its_label() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 20)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=120) > 0).astype(int)

    def losses(seed: int, splits: int) -> np.ndarray:
        settings = DetectionSettings(landmarks=1000, splits=splits)
        views = Views(Scaling.of(x)(x), NO_TRUSTED, 2, settings=settings, seed=seed)
        assert len(views.splits) == splits
        return views.signals(y).values["stacked_loss"]

    once, often = (np.std([losses(seed, splits) for seed in range(4)], axis=0).mean() for splits in (1, 6))
    assert often < 0.7 * once
    np.testing.assert_allclose(np.exp(-losses(0, 6)).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("n", "classes", "splits"), [(500, 2, 6), (4000, 2, 3), (20_000, 2, 1), (900, 300, 1)])
def test_folds_are_drawn_anew_as_often_as_it_costs_little(n: int, classes: int, splits: int) -> None:
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    views = Views(x, NO_TRUSTED, classes, settings=DetectionSettings(landmarks=20), seed=0)
    assert len(views.splits) == splits


def test_views_take_the_memory_of_the_features() -> None:
    x = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    y, few = np.arange(90) % 3, DetectionSettings(landmarks=50)
    given = x.copy()
    one = Views(given, NO_TRUSTED, 3, settings=few, seed=0).signals(y)
    assert not np.array_equal(given, x)
    other = Views(x.copy(), NO_TRUSTED, 3, settings=few, seed=0).signals(y)
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[name])


@pytest.mark.parametrize(("of_class", "vouched"), [((5, 5), True), ((20, 4), False), ((20, 0), False)])
def test_trusted_labels_of_every_class_teach_a_head_that_given_ones_do_not_touch(of_class, vouched) -> None:
    rng = np.random.default_rng(0)
    trusted = np.repeat([0, 1], of_class)
    truth = np.concatenate([np.arange(100) % 2, trusted])
    x = rng.normal(size=(len(truth), 4)) + 3 * truth[:, None]
    views = Views(Scaling.of(x)(x), trusted, 2, settings=DetectionSettings(landmarks=200), seed=0)
    assert views.vouched is vouched
    one, other = (views.signals(rng.integers(0, 2, 100)).values["trusted_loss"] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    if vouched:
        rows = np.arange(len(truth))
        assert (one[rows, truth] < one[rows, 1 - truth]).mean() > 0.95
    else:
        assert not one.any()


def test_features_that_are_all_equal_teach_nothing() -> None:
    views = Views(np.zeros((30, 3), np.float32), np.arange(12) % 2, 2, settings=DetectionSettings(landmarks=20), seed=0)
    assert not views.vouched
    assert all(np.isfinite(values).all() for values in views.signals(np.arange(18) % 2).values.values())
