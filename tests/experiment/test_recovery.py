"""Recovery figures against literal, slow computations and scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from auditor.experiment import recovery

FLAGS = st.lists(st.booleans(), min_size=4, max_size=60)


def _literal(planted: list[bool]) -> dict[str, object]:
    """Every figure by its definition, one point at a time."""
    n, k = len(planted), sum(planted)
    found_in = lambda m: sum(planted[:m])  # noqa: E731
    pairs = [(i, j) for i in range(n) for j in range(n) if planted[i] and not planted[j]]
    return {
        "precision_at_k": found_in(k) / k,
        "recall_at_k": found_in(k) / k,
        "average_precision": sum(found_in(i + 1) / (i + 1) for i in range(n) if planted[i]) / k,
        "auroc": sum(i < j for i, j in pairs) / len(pairs),
        "found": [found_in(math.floor(share * n + 1e-9)) / k for share in (0.05, 0.1, 0.2)],
        "curve": [found_in(math.floor(step * n / 100 + 1e-9)) / k for step in range(101)],
    }


@given(FLAGS)
def test_figures_are_their_definitions(planted: list[bool]) -> None:
    assume(0 < sum(planted) < len(planted))
    ours = recovery.figures(np.array(planted), np.ones((1, len(planted))))
    for name, value in _literal(planted).items():
        assert ours[name][0] == pytest.approx(value, abs=1e-12), name


@given(FLAGS)
def test_figures_are_scikit_learns(planted: list[bool]) -> None:
    assume(0 < sum(planted) < len(planted))
    flags = np.array(planted)
    scores = -np.arange(len(flags))
    ours = recovery.figures(flags, np.ones((1, len(flags))))
    assert ours["average_precision"][0] == pytest.approx(average_precision_score(flags, scores))
    assert ours["auroc"][0] == pytest.approx(roc_auc_score(flags, scores))


@given(FLAGS, st.integers(0, 99))
def test_a_weight_is_that_many_copies(planted: list[bool], seed: int) -> None:
    flags = np.array(planted)
    weights = np.random.default_rng(seed).integers(0, 4, len(flags))
    copies = np.repeat(flags, weights)
    assume(0 < copies.sum() < len(copies))
    ours = recovery.figures(flags, weights[None].astype(float))
    literal = _literal(copies.tolist())
    # Inspection may stop within the copies of one point; only figures over whole points are the same.
    assert ours["auroc"][0] == pytest.approx(literal["auroc"])


def test_order_and_ranks_agree_and_ties_keep_their_order() -> None:
    suspicion = np.array([0.5, 2.0, 0.5, -1.0, 2.0])
    assert recovery.order_of(suspicion).tolist() == [1, 4, 0, 2, 3]
    assert recovery.ranks_of(suspicion).tolist() == [3, 1, 4, 5, 2]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_ranks_are_one_to_n_and_fall_with_suspicion(values: list[float]) -> None:
    suspicion = np.array(values)
    ranks = recovery.ranks_of(suspicion)
    assert sorted(ranks) == list(range(1, len(values) + 1))
    by_rank = suspicion[np.argsort(ranks)]
    assert (np.diff(by_rank) <= 0).all()


def _first(n: int, k: int) -> np.ndarray:
    return np.arange(n) < k


def test_a_perfect_and_a_reversed_ranking() -> None:
    perfect = recovery.measure([_first(100, 10)], 0)
    for name in ("precision_at_k", "recall_at_k", "average_precision", "auroc"):
        assert perfect[name]["value"] == 1 and perfect[name]["interval"] == [1, 1]
    assert [f["share"] for f in perfect["found"]] == [0.5, 1, 1]
    worst = recovery.measure([_first(100, 10)[::-1]], 0)
    assert worst["auroc"]["value"] == 0 and worst["precision_at_k"]["value"] == 0


def test_intervals_hold_the_value_and_shrink_with_more_points() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for n in (100, 1600):
        flags = np.zeros(n, bool)
        flags[np.argsort(-(rng.normal(size=n) + 1.5 * _first(n, n // 10)))] = _first(n, n // 10)
        order = np.argsort(-(rng.normal(size=n) + 1.5 * _first(n, n // 10)))
        document = recovery.measure([_first(n, n // 10)[order]], 0)
        for name in ("precision_at_k", "average_precision", "auroc"):
            low, high = document[name]["interval"]
            assert 0 <= low <= document[name]["value"] <= high <= 1
        low, high = document["auroc"]["interval"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_auroc_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Scores from two normal distributions a known distance apart: the true AUROC is known."""
    rng = np.random.default_rng(11)
    truth = 0.5 * (1 + math.erf(1.0 / 2))  # P(x + 1 > y) of unit normals
    covered = 0
    for trial in range(60):
        planted = _first(300, 60)
        order = np.argsort(-(rng.normal(size=300) + planted))
        low, high = recovery.measure([planted[order]], trial)["auroc"]["interval"]
        covered += low <= truth <= high
    assert covered >= 50  # 57 expected of 60; below 50 has a chance under 1 in 1000


def test_several_plantings_are_averaged() -> None:
    one, two = _first(50, 5), _first(50, 5)[::-1]
    both = recovery.measure([one, two], 0)
    assert both["auroc"]["value"] == pytest.approx(0.5)
    assert both["precision_at_k"]["value"] == pytest.approx(0.5)


def test_a_random_order_finds_what_chance_says() -> None:
    document = recovery.measure_random(400, 40, 0)
    assert document["auroc"]["value"] == pytest.approx(0.5, abs=0.02)
    assert document["precision_at_k"]["value"] == pytest.approx(0.1, abs=0.02)
    for entry in document["found"]:
        assert entry["share"] == pytest.approx(entry["inspected"], abs=0.02)
        assert entry["interval"][0] <= entry["inspected"] <= entry["interval"][1]


def test_equal_seeds_give_equal_documents() -> None:
    flags = np.random.default_rng(0).permutation(_first(80, 8))
    assert recovery.measure([flags], 5) == recovery.measure([flags], 5)
    assert recovery.measure_random(80, 8, 5) == recovery.measure_random(80, 8, 5)


def test_the_curve_rises_from_none_to_all() -> None:
    flags = np.random.default_rng(0).permutation(_first(37, 5))
    curve = recovery.measure([flags], 0)["curve"]
    assert curve["inspected"][0] == 0 and curve["inspected"][-1] == 1 and len(curve["found"]) == 101
    for name in ("found", "low", "high"):
        assert curve[name][0] == 0 and curve[name][-1] == 1
        assert (np.diff(curve[name]) >= 0).all()


def test_by_class_is_the_mean_of_each_group() -> None:
    influence = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    planted = np.array([True, False, False, True, False])
    trained = np.array([0, 0, 0, 1, 1])
    table = recovery.by_class(influence, planted, trained, ["a", "b", "c"])
    assert table[0] == {
        "label": "a",
        "n_planted": 1,
        "n_clean": 2,
        "mean_planted": 1.0,
        "mean_clean": 2.5,
        "difference": -1.5,
    }
    assert table[1]["difference"] == -1.0
    assert table[2]["mean_planted"] is None and table[2]["difference"] is None
