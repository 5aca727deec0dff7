"""What a perfect list could find of planted labels, against lists that are made and counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.experiment import noise, recovery
from auditor.result.ceiling import against_ceiling, at_random, ceiling_of, possible_at


def _perfect(n: int, n_classes: int, share: float, rate: float, seed: int) -> tuple[float, float, float]:
    """Planted labels among the first k of a perfect list, made once: wrong ones first, in any order."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    given_labels = truth.copy()
    wrong = rng.permutation(n)[: round(share * n)]
    given_labels[wrong] = (truth[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    planting = noise.plant(given_labels, n_classes, rate, "uniform", (seed,))
    bad = planting.labels != truth
    order = np.lexsort((rng.random(n), ~bad))
    first = order[: planting.planted.sum()]
    still, other = (planting.planted & bad).sum(), (~planting.planted & bad).sum()
    return float((planting.planted & bad)[first].sum()), float(still), float(other)


@pytest.mark.parametrize(("n_classes", "share"), [(2, 0.0), (2, 0.05), (2, 0.3), (5, 0.05), (5, 0.3), (10, 0.4)])
def test_the_ceiling_is_what_perfect_lists_hold_on_average(n_classes: int, share: float) -> None:
    n, rate = 1000, 0.1
    counted = np.mean([_perfect(n, n_classes, share, rate, seed) for seed in range(60)], axis=0)
    estimate: Any = {"value": share, "interval": [share, share]}
    found = ceiling_of(n, 100, [at_random(n, 100, n_classes)], estimate)
    ours = [100 * found["share"]["value"], found["still_wrong"]["value"], found["other_wrong"]["value"]]
    assert ours == pytest.approx(list(counted), abs=1.5)


def test_one_wrong_label_in_twenty_leaves_a_perfect_list_of_a_hundred_room_for_sixty_eight() -> None:
    """The example of the issue: 100 planted among 1,000, of two classes."""
    found = ceiling_of(1000, 100, [at_random(1000, 100, 2)], {"value": 0.05, "interval": [0.0, 0.1]})
    assert found["still_wrong"]["value"] == pytest.approx(95)
    assert found["other_wrong"]["value"] == pytest.approx(45)
    assert found["share"]["value"] == pytest.approx(95 / 140)
    assert found["share"]["interval"] == pytest.approx([90 / 180, 1.0])
    assert against_ceiling(66, 100, found, 100) == "66 of at most about 68"
    assert against_ceiling(66, 100, None, 100) == "66 of 100"
    assert against_ceiling(40, 100, None, 50) == "40 of at most 50"
    assert "80, where a list that takes all wrong labels alike would hold about 68" in against_ceiling(
        80, 100, found, 100
    )


@given(
    st.integers(20, 5000),
    st.floats(0.01, 0.5),
    st.integers(2, 20),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted),
    st.floats(0, 5000),
)
def test_the_range_holds_the_figure_and_no_list_holds_more_than_was_planted(
    n: int, rate: float, n_classes: int, share: list[float], inspected: float
) -> None:
    k = max(1, round(rate * n))
    estimate: Any = {"value": share[1], "interval": [share[0], share[2]]}
    found = ceiling_of(n, k, [at_random(n, k, n_classes)], estimate)
    for figure in (*found.values(), possible_at(found, inspected)):
        low, high = figure["interval"]  # type: ignore[index]
        assert low - 1e-9 <= figure["value"] <= high + 1e-9  # type: ignore[index]
    assert found["share"]["interval"][1] <= 1 + 1e-9
    assert possible_at(found, inspected)["interval"][1] <= min(k, inspected) + 1e-9
    assert possible_at(found, k)["value"] == pytest.approx(k * found["share"]["value"])


def test_what_is_struck_follows_the_kind_of_noise() -> None:
    labels = np.repeat([0, 1, 2], 40)
    p = np.where(np.arange(120) % 10 == 0, 0.9, 0.0)
    suggested = (labels + 1) % 3
    uniform = noise.plant(labels, 3, 0.2, "uniform", (1,))
    assert recovery.struck(uniform, 3, p, suggested) == at_random(120, 24, 3)
    probabilities = np.full((120, 3), 1e-6)
    probabilities[np.arange(120), suggested] = 1.0
    confused = noise.plant(labels, 3, 0.2, "confusion", (1,), probabilities=probabilities)
    found = recovery.struck(confused, 3, p, suggested)
    assert found.planted == pytest.approx(0.2) and found.mended == pytest.approx(0.2), (
        "each goes to the suggested label"
    )
    influence = np.where(p > 0, -1.0, 1.0)
    helpful = noise.plant(labels, 3, 0.2, "influential", (1,), average_influence=influence)
    assert recovery.struck(helpful, 3, p, suggested).planted == 0.0
    assert recovery.struck(helpful, 3, np.full(120, np.nan), suggested).planted == pytest.approx(0.2)
