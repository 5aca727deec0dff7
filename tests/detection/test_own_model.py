"""Our heads beside the user's own model: how far they count is read from labels planted together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.detection import DetectionSettings, Labelled, detect
from auditor.detection.own_model import PARTS, Part, Together, heads_part, plant_together
from auditor.detection.planting import uniform_targets
from auditor.detection.precision import average_precision
from auditor.detection.suspicion import Combination

RNG = np.random.default_rng(0)
NAMES = ("stacked_loss", "own_loss")
EQUAL = Combination(np.zeros(2), np.ones(2), np.ones(2), 0.0)


def trial(heads: float, own: float) -> Together:
    """Labels of which a tenth is planted; each signal tells them with some strength."""
    planted = np.arange(2000) % 10 == 0
    noise = RNG.normal(size=(2, 2000))
    return Together(
        "uniform", {"stacked_loss": heads * planted + noise[0], "own_loss": own * planted + noise[1]}, planted
    )


@pytest.mark.parametrize(("heads", "own", "part"), [(0.0, 3.0, 0.0), (3.0, 0.0, 1.0), (3.0, 3.0, 1.0)])
def test_heads_that_many_wrong_labels_mislead_do_not_count(heads: float, own: float, part: float) -> None:
    assert heads_part(EQUAL, NAMES, {"own_loss"}, [trial(heads, own), trial(heads, own)]).value == part


def test_the_part_is_the_smallest_that_the_best_does_not_surely_beat() -> None:
    trials = [trial(0.7, 3.0), trial(1.0, 2.0), trial(0.2, 3.0)]
    totals = {
        part: [average_precision(t.planted, t.values["own_loss"] + part * t.values["stacked_loss"]) for t in trials]
        for part in PARTS
    }
    found = heads_part(EQUAL, NAMES, {"own_loss"}, trials)
    assert found.found["uniform"] == pytest.approx(totals[found.value])
    best = np.array(max(totals.values(), key=sum))
    beaten = {p: np.mean(best - v) > np.std(best - v, ddof=1) / np.sqrt(3) for p, v in totals.items()}
    assert found.value == min(part for part in PARTS if not beaten[part])


def test_a_signal_that_the_trials_do_not_measure_is_left_out() -> None:
    wide = Combination(np.zeros(3), np.ones(3), np.ones(3), 0.0)
    trials = [trial(0.0, 3.0)]
    assert heads_part(wide, (*NAMES, "average_influence"), {"own_loss"}, trials).value == 0.0


@given(st.integers(1, 60), st.integers(2, 5), st.floats(0, 1), st.integers(0, 9))
def test_copies_are_planted_together_and_nothing_keeps_its_label_by_chance(
    n: int, classes: int, rate: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    families = rng.integers(0, n, n)
    labels = rng.integers(0, classes, n)[families]  # copies carry one label
    planted = plant_together(uniform_targets(labels, classes), labels, families, rate, rng)
    changed = planted != labels
    for family in np.unique(families):
        members = families == family
        assert len(set(planted[members])) == 1 and len(set(changed[members])) == 1
    if rate == 0:
        assert not changed.any()
    if rate == 1:
        assert changed.all()


def test_a_model_that_is_right_about_everything_is_not_drowned_by_heads_that_learnt_wrong_labels() -> None:
    """Features say nothing, the model's probabilities nearly all: the list follows the model."""
    n, classes = 400, 4
    truth = np.arange(n) % classes
    wrong = RNG.random(n) < 0.2
    labels = np.where(wrong, (truth + 1 + RNG.integers(0, classes - 1, n)) % classes, truth)
    logits = 2.5 * np.eye(classes)[truth] + RNG.normal(size=(n, classes))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    images = Labelled(RNG.normal(size=(n, 6)).astype(np.float32), labels, classes, probabilities=p.astype(np.float32))
    found = detect(images, seed=0, settings=DetectionSettings(plantings=1, splits=2, landmarks=100))
    alone = average_precision(wrong, -np.log(p[np.arange(n), labels]))
    assert average_precision(wrong, found.suspicion) > alone - 0.02


def test_a_gain_counts_above_its_standard_error() -> None:
    plain = Part(1.0, {"uniform": (0.5, 0.5, 0.5, 0.5)})
    assert Part(0.0, {"uniform": (0.5, 0.53, 0.5, 0.53)}).surely_beats(plain)
    assert not Part(0.0, {"uniform": (0.48, 0.53, 0.48, 0.53)}).surely_beats(plain)
    assert not plain.surely_beats(plain)
    assert Part(0.0, {"uniform": (0.6,)}).surely_beats(Part(1.0, {"uniform": (0.5,)}))


def test_how_kinds_of_noise_differ_is_no_error_of_the_gain() -> None:
    plain = Part(1.0, {"uniform": (0.5, 0.5), "confusion": (0.5, 0.5)})
    steady = Part(0.0, {"uniform": (0.495, 0.496), "confusion": (0.53, 0.531)})
    assert steady.surely_beats(plain)
    assert not Part(0.0, {"uniform": (0.511, 0.511), "confusion": (0.489, 0.489)}).surely_beats(plain)
