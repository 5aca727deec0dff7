"""Detection through its public face: what it finds, what it says, and what it survives."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
from helpers import other_device
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score
from worlds import QUICK, blobs, flip

from auditor.detection import Detection, Labelled, Scorer, detect
from auditor.detection.influence import InfluenceStudy
from auditor.detection.kernel_head import KernelHead
from auditor.detection.precision import average_precision
from auditor.detection.signals import SIGNALS
from auditor.errors import AuditorError


def all_finite(found: Detection) -> None:
    assert np.isfinite(found.suspicion).all()
    assert np.isfinite(found.signals.to_numpy()).all()
    assert np.isfinite(found.suggested_probability).all()
    for frame in (found.by_class, found.by_pair, found.review):
        assert np.isfinite(frame.to_numpy(float)).all()
    if found.p_mislabelled is not None:
        assert ((found.p_mislabelled >= 0) & (found.p_mislabelled <= 1)).all()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("trusted", [False, True])
def test_flips_are_found_counted_and_corrected(classes, trusted):
    x, y = blobs(600, classes)
    labels, wrong = flip(y, classes, 0.15)
    reference = blobs(200, classes, seed=5) if trusted else None
    found = detect(Labelled(x, labels, classes, reference), seed=0, settings=QUICK)
    all_finite(found)
    assert average_precision(wrong, found.suspicion) > 0.95
    assert found.decided and found.share is not None and found.p_mislabelled is not None
    assert found.share.low <= 0.15 <= found.share.high
    assert found.share.value == pytest.approx(found.p_mislabelled.mean(), abs=1e-3)
    suspects = np.argsort(-found.suspicion)[:50]
    assert (found.suggested_label[suspects] == y[suspects]).mean() > 0.9
    assert found.basis == ("trusted reference" if trusted else "shape of the posterior")


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("trusted", [False, True])
def test_another_device_finds_the_same(classes, trusted):
    device = other_device()
    x, y = blobs(600, classes, gap=1.5)
    labels, _ = flip(y, classes, 0.15)
    reference = blobs(200, classes, gap=1.5, seed=5) if trusted else None
    one, other = (
        detect(Labelled(x, labels, classes, reference), seed=0, settings=QUICK, device=d) for d in ("cpu", device)
    )
    assert spearmanr(one.suspicion, other.suspicion).statistic > 0.9999
    influence = [found.signals["average_influence"] for found in (one, other)]
    assert spearmanr(*influence).statistic > 0.9999
    assert one.damping.value == other.damping.value
    assert one.share is not None and other.share is not None
    assert one.share.value == pytest.approx(other.share.value, abs=2e-3)


def test_with_many_classes_a_signal_is_left_out_and_said(monkeypatch):
    x, y = blobs(120, 3)
    whole = detect(Labelled(x, y, 3), seed=0, settings=QUICK)
    monkeypatch.setattr("auditor.detection.influence.CLASSWISE_LIMIT", 1)
    found = detect(Labelled(x, y, 3), seed=0, settings=QUICK)
    assert whole.notes == () and "3 classes" in found.notes[0]
    assert (
        set(whole.signals) - set(found.signals)
        == {"classwise_average_influence"}
        == set(whole.weights) - set(found.weights)
    )
    all_finite(found)
    assert found.suspicion.tobytes() == whole.suspicion.tobytes()


def test_clean_labels_are_not_called_wrong():
    x, y = blobs(600, 3)
    found = detect(Labelled(x, y, 3), seed=0, settings=QUICK)
    assert found.share is not None and found.share.low == 0 and found.share.value < 0.02


def test_equal_inputs_give_equal_bytes():
    x, y = blobs(120, 3)
    first, second = (detect(Labelled(x, y, 3), seed=3, settings=QUICK) for _ in range(2))
    assert first.suspicion.tobytes() == second.suspicion.tobytes()
    assert first.signals.equals(second.signals)
    assert first.share == second.share and first.review.equals(second.review)


def test_where_many_labels_are_wrong_trusted_ones_say_which():
    x, y = blobs(400, 2, gap=0.8)
    hard = np.argsort(np.abs(x[:, 0] - x[:, 0].mean()))[:300]
    labels = y.copy()
    labels[np.random.default_rng(0).permutation(hard)[:160]] ^= 1
    reference = blobs(60, 2, gap=0.8, seed=5)
    without = tuple(signal.name for signal in SIGNALS if signal.name != "trusted_loss")
    found, less, blind = (
        detect(Labelled(x, labels, 2, trusted), seed=0, settings=replace(QUICK, signals=use))
        for trusted, use in ((reference, None), (reference, without), (None, None))
    )
    assert found.weights["trusted_loss"] > 0
    assert "trusted_loss" not in blind.signals.columns
    assert "trusted_loss" not in blind.weights
    good, before = (average_precision_score(labels != y, d.suspicion) for d in (found, less))
    assert 1 - good < 0.8 * (1 - before), (good, before)


def test_wrong_reference_labels_are_listed():
    x, y = blobs(400, 3)
    rx, ry = blobs(150, 3, seed=5)
    ry = ry.copy()
    ry[7] = (ry[7] + 1) % 3
    found = detect(Labelled(x, y, 3, (rx, ry)), seed=0, settings=QUICK)
    assert found.reference_suspects.tolist()[:1] == [7]


def test_review_adds_up():
    x, y = blobs(400, 3)
    labels, _ = flip(y, 3, 0.1)
    found = detect(Labelled(x, labels, 3), seed=0, settings=QUICK)
    review, p = found.review, found.p_mislabelled
    assert p is not None
    assert review["k"].iloc[-1] == 400
    assert review["expected_found"].iloc[-1] == pytest.approx(p.sum())
    assert (review["found_low"] <= review["expected_found"]).all()
    assert (review["expected_found"] <= review["found_high"]).all()
    assert review["expected_found"].is_monotonic_increasing
    assert (review["found_high"] <= review["k"]).all()
    for frame in (found.by_class, found.by_pair):
        assert frame["expected"].sum() == pytest.approx(p.sum())


@pytest.mark.parametrize("trusted", [False, True])
def test_the_interval_is_made_of_what_the_result_says(trusted: bool) -> None:
    x, y = blobs(300, 3)
    reference = blobs(120, 3, seed=5) if trusted else None
    found = detect(Labelled(x, flip(y, 3, 0.2)[0], 3, reference), seed=0, settings=QUICK)
    assert found.share is not None
    made_of = found.spread
    assert found.share.low == min(made_of.low, found.share.value)
    assert found.share.high == max(made_of.high, made_of.contradicted)


def test_too_few_images_are_said_to_be_too_few():
    x, y = blobs(50, 2)
    found = detect(Labelled(x, y, 2), seed=0, settings=QUICK)
    assert not found.decided and found.share is None and found.p_mislabelled is None
    assert "50 images are too few" in found.reason
    all_finite(found)


def test_features_without_information_decide_nothing():
    rng = np.random.default_rng(0)
    found = detect(Labelled(rng.normal(size=(400, 10)), rng.integers(0, 2, 400), 2), seed=0, settings=QUICK)
    assert not found.decided
    all_finite(found)


@pytest.mark.parametrize(
    ("x", "y", "classes"),
    [
        (np.ones((300, 4), np.float32), np.arange(300) % 3, 3),
        (np.eye(3, dtype=np.float32)[np.arange(300) % 3], np.arange(300) % 3, 3),
        (np.random.default_rng(0).normal(size=(30, 200)).astype(np.float32), np.arange(30) % 2, 2),
        (np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32), np.repeat([0, 1], [295, 5]), 2),
        (np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32), np.zeros(300, int), 2),
        (np.random.default_rng(0).normal(size=(160, 5)).astype(np.float32) * 1e20, np.arange(160) % 80, 80),
    ],
    ids=["equal features", "separable", "N<D", "five images of a class", "one class only", "80 classes, huge values"],
)
def test_hard_cases_give_numbers(x, y, classes):
    for reference in (None, (x[:2], y[:2])):
        all_finite(detect(Labelled(x, y, classes, reference), seed=0, settings=QUICK))


def test_a_planted_labelling_is_scored_without_knowing_its_flips():
    x, y = blobs(500, 3)
    labels, wrong = flip(y, 3, 0.1)
    suspicion = Scorer(Labelled(x, y, 3), seed=0, settings=QUICK).suspicion(labels, 0)
    assert average_precision(wrong, suspicion) > 0.95
    found = detect(Labelled(x, labels, 3), seed=0, settings=QUICK)
    np.testing.assert_array_equal(suspicion, found.suspicion)
    assert average_precision(wrong, -found.signals["average_influence"].to_numpy()) > 0.7
    more, rows = np.concatenate([x[:7] + 9, x]), np.arange(7, 507)
    some = Scorer(Labelled(more, np.concatenate([y[:7], y]), 3), seed=0, rows=rows, settings=QUICK)
    np.testing.assert_array_equal(suspicion, some.suspicion(labels, 0))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((10, 2)), np.zeros(9, int), "shape"),
        (np.full((10, 2), np.nan), np.zeros(10, int), "not finite"),
        (np.ones((10, 2)), np.full(10, 2), "must lie in 0..1"),
        (np.ones((3, 2)), np.array([0, 1, 0]), "too few"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, message):
    with pytest.raises(AuditorError, match=message):
        detect(Labelled(x, y, 2), seed=0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_average_precision_is_scikit_learns(pairs):
    wrong, values = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], float)
    expected = average_precision_score(wrong, values) if wrong.any() else 0.0
    assert average_precision(wrong, values) == pytest.approx(expected)


@pytest.mark.parametrize("n_trusted", [5, 40, 200])
def test_a_reference_that_says_the_opposite_of_all_labels_is_no_all_clear(n_trusted: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300 + n_trusted)
    x = rng.normal(size=(len(truth), 20)).astype(np.float32)
    x[:, 0] += 6 * truth
    opposite, trusted = 1 - truth[:300], (x[300:], truth[300:])
    found = detect(Labelled(x[:300], opposite, 2, trusted), seed=0, settings=QUICK)
    assert not found.decided and "The reference contradicts the given labels" in found.reason
    agreed = detect(Labelled(x[:300], truth[:300], 2, trusted), seed=0, settings=QUICK)
    assert agreed.decided and agreed.share is not None and agreed.share.value < 0.05


def test_the_bases_are_gone_before_influence_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are most of detection's memory, and influence needs memory of its own."""
    heads, alive = [], []
    made, measured = KernelHead.__init__, InfluenceStudy.measure

    def made_and_noted(self, *args, **options):
        made(self, *args, **options)
        heads.append(weakref.ref(self))

    def noted_and_measured(self, *args):
        alive.append(sum(head() is not None for head in heads))
        return measured(self, *args)

    monkeypatch.setattr(KernelHead, "__init__", made_and_noted)
    monkeypatch.setattr(InfluenceStudy, "measure", noted_and_measured)
    x, y = blobs(120, 2)
    detect(Labelled(x, y, 2), seed=0, settings=QUICK)
    assert len(heads) == 2 and alive == [0]
