"""Planting: the exact number, never a point's own class, every class keeps a point, equal seeds give equal flips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.errors import ConfigError, UndecidedError
from auditor.experiment.noise import check, plant

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=5)
RATE = st.floats(0.01, 0.49)


def _problem(counts: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    probabilities = rng.dirichlet(np.full(len(counts), 0.3), len(labels))
    return labels, rng.normal(size=len(labels)), probabilities


@given(COUNTS, RATE, st.sampled_from(["uniform", "confusion", "influential", "one-sided"]), st.integers(0, 99))
def test_invariants(counts: list[int], rate: float, kind: str, seed: int) -> None:
    labels, influence, probabilities = _problem(counts, seed)
    n_classes, before = len(counts), labels.copy()
    assume(1 <= round(rate * len(labels)) <= len(labels) - n_classes)
    given_arguments = {"average_influence": influence, "probabilities": probabilities}
    try:
        planting = plant(labels, n_classes, rate, kind, (seed, 1), **given_arguments)
    except UndecidedError:
        assert kind == "influential" and all(round(rate * n) == 0 or n == 1 for n in counts)
        return
    assert (labels == before).all(), "the given labels must not be changed"
    assert (planting.planted == (planting.labels != labels)).all()
    assert planting.labels.min() >= 0 and planting.labels.max() < n_classes
    if kind == "one-sided":
        (source,) = np.unique(labels[planting.planted])
        assert len(np.unique(planting.labels[planting.planted])) == 1
        assert planting.planted.sum() == min(round(rate * len(labels)), counts[source] // 2)
    elif kind != "influential":
        assert planting.planted.sum() == round(rate * len(labels))
    for index, n in enumerate(counts):
        flipped = int(planting.planted[labels == index].sum())
        assert flipped < n, "every class keeps a point of its own"
        if kind == "influential":
            assert flipped == min(round(rate * n), n - 1)
    again = plant(labels, n_classes, rate, kind, (seed, 1), **given_arguments)
    assert (again.labels == planting.labels).all()


def test_seeds_differ() -> None:
    labels = np.repeat([0, 1, 2], 50)
    first, second = (plant(labels, 3, 0.2, "uniform", (0, i)).labels for i in (0, 1))
    assert (first != second).any()


def test_one_sided_flips_go_between_classes_that_the_model_confuses() -> None:
    labels = np.repeat([0, 1, 2], 50)
    sure = np.eye(3)[labels] + np.where((labels == 1)[:, None], [0, 0, 1.0], 0)
    for seed in range(5):
        planting = plant(labels, 3, 0.1, "one-sided", (seed,), probabilities=sure / sure.sum(axis=1, keepdims=True))
        assert set(labels[planting.planted]) == {1} and set(planting.labels[planting.planted]) == {2}
        assert planting.planted.sum() == 15
    with pytest.raises(ConfigError, match="one-sided noise needs"):
        plant(labels, 3, 0.1, "one-sided", (0,))


def test_influential_flips_the_highest_of_each_class() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    influence = np.arange(20.0)
    planting = plant(labels, 2, 0.2, "influential", (0,), average_influence=influence)
    assert np.flatnonzero(planting.planted).tolist() == [8, 9, 18, 19]


def test_confusion_goes_where_the_model_points() -> None:
    labels = np.zeros(200, dtype=np.int64)
    labels[:40] = np.arange(40) % 4
    probabilities = np.tile([0.5, 0.0, 0.499, 0.001], (200, 1))
    planting = plant(labels, 4, 0.4, "confusion", (0,), probabilities=probabilities)
    from_zero = planting.labels[planting.planted & (labels == 0)]
    assert (from_zero == 2).mean() > 0.95


def test_uniform_targets_are_uniform() -> None:
    labels = np.repeat([0, 1, 2], 4000)
    planting = plant(labels, 3, 0.4, "uniform", (0,))
    steps = (planting.labels - labels)[planting.planted] % 3
    share = float((steps == 1).mean())  # 4800 draws: a standard deviation is 0.007
    assert abs(share - 0.5) < 0.04


def test_a_sure_model_still_gives_another_class() -> None:
    labels = np.repeat([0, 1], 20)
    probabilities = np.eye(2)[labels]
    planting = plant(labels, 2, 0.25, "confusion", (0,), probabilities=probabilities)
    assert planting.planted.sum() == 10


def test_too_few_points_is_undecided() -> None:
    with pytest.raises(UndecidedError, match="4 training images are too few"):
        plant(np.array([0, 0, 1, 1]), 2, 0.1, "uniform", (0,))


@pytest.mark.parametrize("kind", ["uniform", "confusion"])
def test_classes_of_one_image_each_are_planted_too(kind: str) -> None:
    labels = np.arange(30)
    planting = plant(labels, 30, 0.1, kind, (0,), probabilities=np.full((30, 30), 1 / 30))
    assert planting.planted.sum() == 3


def test_influential_noise_on_classes_too_small_is_said_before() -> None:
    labels = np.repeat(np.arange(30), 3)
    with pytest.raises(UndecidedError, match="no class has more than 3 training images"):
        plant(labels, 30, 0.1, "influential", (0,), average_influence=np.zeros(90))
    with pytest.raises(UndecidedError, match="influential"):
        check(labels, 0.1, "influential")
    check(labels, 0.4, "influential")
    assert plant(labels, 30, 0.4, "influential", (0,), average_influence=np.zeros(90)).planted.sum() == 30


@pytest.mark.parametrize("kind", ["influential", "confusion"])
def test_what_a_kind_needs_must_be_there(kind: str) -> None:
    with pytest.raises(ConfigError):
        plant(np.repeat([0, 1], 20), 2, 0.25, kind, (0,))
