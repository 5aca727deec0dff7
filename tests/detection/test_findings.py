"""False all-clears that were found once: each is now right, or the estimate says that it cannot tell."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from worlds import QUICK, blobs, flip

from auditor.data.families import families
from auditor.detection import Detection, Labelled, detect

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[3] / "shared" / "data"))


def holds(found: Detection, wrong: np.ndarray) -> None:
    """The interval holds the truth, the mean lies inside it, and table, headline and items agree."""
    assert found.share is not None and found.p_mislabelled is not None
    assert found.share.count_low <= wrong.sum() <= found.share.count_high, found.said
    assert found.share.low < found.share.value < found.share.high
    assert found.p_mislabelled.sum() == pytest.approx(found.share.count)
    assert found.review["expected_found"].iloc[-1] == pytest.approx(found.share.count)
    assert found.by_class["expected"].sum() == pytest.approx(found.share.count)
    assert (found.suggested_probability <= found.p_mislabelled + 1e-6).all()
    # The three likeliest classes have the list's own probabilities: what is left of one for the label that is given.
    chances, kept = found.likeliest.probabilities, 1 - found.p_mislabelled
    assert (np.isclose(chances, kept[:, None]).any(axis=1) | (kept <= chances[:, -1] + 1e-6)).all()
    assert (chances.sum(axis=1) <= 1 + 1e-6).all()


@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_one_class_partly_filed_as_another(gap: float) -> None:
    x, y = blobs(1000, 2, gap=gap)
    labels = y.copy()
    labels[np.flatnonzero(y == 0)[:100]] = 1
    found = detect(Labelled(x, labels, 2), seed=0, settings=QUICK)
    holds(found, labels != y)
    assert found.share is not None and found.share.value > 0.02


def test_a_second_audit_after_a_reviewer_corrected_the_first_thirty() -> None:
    x, y = blobs(1100, 2, gap=1.0)
    labels, wrong = flip(y, 2, 0.05)
    first = detect(Labelled(x, labels, 2), seed=0, settings=QUICK)
    holds(first, wrong)
    order = np.argsort(-first.suspicion)
    looked = order[: int(np.searchsorted(np.cumsum(wrong[order]), 30)) + 1]
    people = np.full(1100, -1)
    people[looked] = y[looked]
    second = detect(Labelled(x, labels, 2, found=people), seed=0, settings=QUICK)
    rest = people == -1
    assert second.share is not None and second.p_mislabelled is not None
    assert second.share.count_low <= wrong[rest].sum() == 25 <= second.share.count_high
    assert second.share.count > 5, "not 'perhaps none'"
    assert second.share.count == pytest.approx(second.p_mislabelled[rest].sum())
    top = np.argsort(-np.nan_to_num(second.suspicion, nan=-np.inf))[:14]
    assert second.p_mislabelled[top].mean() > 0.5 * wrong[top].mean()


@pytest.mark.parametrize("noise", [0.0, 0.2], ids=["doubles", "altered"])
@pytest.mark.parametrize("copies", [2, 3])
def test_copies_do_not_vouch_for_each_other(noise: float, copies: int) -> None:
    x, y = blobs(300, 2, d=30, gap=0.6)
    labels, wrong = flip(y, 2, 0.087)
    rng = np.random.default_rng(1)
    many = np.concatenate([x + noise * rng.normal(size=x.shape) for _ in range(copies)]).astype(np.float32)
    images = Labelled(many, np.tile(labels, copies), 2, groups=families(many))
    found = detect(images, seed=0, settings=QUICK)
    holds(found, np.tile(wrong, copies))
    assert any("copies" in note for note in found.notes)
    assert found.share is not None and found.share.value > 0.02
    first = np.argsort(-found.suspicion)[: copies * wrong.sum()]
    assert np.tile(wrong, copies)[first].mean() > 0.5


def test_doubt_of_weak_features_is_no_count_of_errors() -> None:
    x, y = blobs(1000, 4, d=6, gap=0.7)
    found = detect(Labelled(x, y, 4), seed=0, settings=QUICK)
    if found.decided:
        assert found.cannot_tell and "cannot tell" in found.said and "without looks" in found.said
        assert found.share is not None and found.share.low < 0.005
    else:
        assert "could be anything" in found.reason


@pytest.mark.parametrize(("name", "checked_wrong"), [("mnist", 15), ("20news", 82)])
def test_probabilities_of_a_strong_model_with_errors_that_people_confirmed(name: str, checked_wrong: int) -> None:
    folder = DATA / "label-errors" / name
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set AUDITOR_DATA")
    p = np.load(folder / "probabilities.npy").astype(np.float64)
    labels = np.load(folder / "labels.npy").astype(np.int64)
    x = np.log(np.maximum(p, 1e-6)).astype(np.float32)
    found = detect(Labelled(x, labels, p.shape[1]), seed=0, settings=QUICK)
    assert found.share is not None and found.p_mislabelled is not None
    assert found.share.count_high >= checked_wrong and found.share.count >= 0.5 * checked_wrong
    assert found.p_mislabelled.max() > 0.5, "some image is more probably wrong than right"


@pytest.mark.parametrize("agree", [1.0, 0.9])
def test_a_model_that_knows_the_labels_by_heart_vouches_for_none(agree: float) -> None:
    x, y = blobs(300, 2, gap=1.0)
    labels, wrong = flip(y, 2, 0.1)
    said = np.where(np.arange(300) < agree * 300, labels, 1 - labels)
    likely = np.where(said[:, None] == np.arange(2), 0.98, 0.02).astype(np.float32)
    found = detect(Labelled(x, labels, 2, probabilities=likely), seed=0, settings=QUICK)
    assert wrong.any() and found.decided == (agree < 1)
    assert agree < 1 or "learnt these labels by heart" in found.reason


def test_a_model_that_no_wrong_label_misled_is_not_drowned_by_heads_that_these_labels_misled() -> None:
    """Probabilities alone: the list adds to what they say. With a bonus for our own heads it added less."""
    rng = np.random.default_rng(0)
    n, n_classes = 600, 8
    truth = rng.integers(0, n_classes, n)
    odds = rng.normal(size=(n, n_classes)) * rng.uniform(0.3, 3, size=(n, 1))  # sure of some items, not of others
    odds[np.arange(n), truth] += 3
    p = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < 0.1
    given = np.where(wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    x = np.log(p) - np.log(p).mean(axis=1, keepdims=True)
    likely = p.astype(np.float32)
    found = detect(Labelled(x.astype(np.float32), given, n_classes, probabilities=likely), seed=0, settings=QUICK)
    own, other = p[np.arange(n), given], p.copy()
    other[np.arange(n), given] = 0
    best = max(average_precision_score(wrong, -own), average_precision_score(wrong, other.max(axis=1) - own))
    assert average_precision_score(wrong, found.suspicion) >= 1.2 * best
