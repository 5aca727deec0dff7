"""The posterior: it holds the truth where a best fit was sure of something else, and it listens to people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.detection.estimate import TENTH, TIMES
from auditor.detection.grid import Heard, Kind, Point, means_of, softmax, walk
from auditor.detection.hidden import SHAPES, mixture, shapes
from auditor.detection.labelled import NOT_LOOKED, WRONG
from auditor.detection.posterior import Posterior, directed, posterior
from auditor.detection.precision import average_precision

KINDS = ("uniform", "one-sided", "hard")
RATES = (0.0, 0.005, 0.02, 0.05, 0.1, 0.3)


def world(n: int, classes: int, kind: str, rate: float, *, sharp: float = 6.0, seed: int = 0):
    """Losses of a head that learnt from the noisy labels, given labels, and which are wrong.

    The head is calibrated to what it saw, as a left-out head is: its probabilities are those of the given label.
    """
    rng = np.random.default_rng(seed)
    q = softmax(-sharp * rng.normal(size=(n, classes)), 1.0)
    truth = (rng.random((n, 1)) > q.cumsum(1)[:, :-1]).sum(1)
    step, seen = rng.integers(1, classes, n), q.copy()
    hit = rng.random(n) < rate
    seen = (1 - rate) * q + rate * (1 - q) / (classes - 1)
    if kind == "one-sided":
        hit = (truth == 0) & (rng.random(n) < min(0.45, rate * classes))
        step = np.ones(n, int)
        moved = min(0.45, rate * classes) * q[:, 0]
        seen = q.copy()
        seen[:, 0] -= moved
        seen[:, 1] += moved
    if kind == "hard":
        unsure = 1 - (q**2).sum(1)
        hit = rng.random(n) < np.minimum(rate * unsure / unsure.mean(), 0.9)
        seen = q
    labels = np.where(hit, (truth + step) % classes, truth)
    return -np.log(np.maximum(seen, 1e-9)), labels, labels != truth


def heard(losses: np.ndarray, labels: np.ndarray, found: np.ndarray | None = None, **other: np.ndarray) -> Heard:
    n, classes = losses.shape
    return Heard(
        losses,
        labels,
        np.full(n, NOT_LOOKED) if found is None else found,
        other.get("families", np.arange(n)),
        other.get("trusted_losses", np.empty((0, classes))),
        other.get("trusted", np.empty(0, np.int64)),
    )


def ends(known: Posterior) -> tuple[float, float]:
    return known.spread.low, max(known.spread.high, known.spread.contradicted)


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", RATES)
def test_the_interval_holds_the_truth_of_every_kind(classes: int, kind: str, rate: float) -> None:
    losses, labels, wrong = world(1200, classes, kind, rate)
    known = posterior(heard(losses, labels), seed=0)
    low, high = ends(known)
    assert low <= wrong.mean() <= high
    assert low < known.value < high, "a mean, never an edge"
    assert known.p.mean() == pytest.approx(known.value)
    assert ((known.p > 0) & (known.p < 1)).all()
    np.testing.assert_allclose(known.truth.sum(axis=1), 1, atol=1e-4)
    assert (known.truth[np.arange(1200), labels] == 0).all()


def _of_a_clean_head(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classes with a tenth of wrong labels, judged by a head that learnt from right ones."""
    return world(1200, 2, kind, 0.0)[0], *world(1200, 2, kind, 0.1)[1:]


def test_it_knows_whether_errors_go_one_way() -> None:
    one, both = (posterior(heard(*_of_a_clean_head(kind)[:2]), seed=0).one_way for kind in ("one-sided", "uniform"))
    assert 0 <= both < 0.2 < 0.9 < one <= 1


def test_the_list_follows_the_posterior_as_far_as_errors_go_one_way() -> None:
    losses, labels, wrong = _of_a_clean_head("one-sided")
    known = posterior(heard(losses, labels), seed=0)
    plain = losses[np.arange(1200), labels]
    order = directed(plain, known)
    assert average_precision(wrong, order) > average_precision(wrong, plain) + 0.01
    assert (order.mean(), order.std()) == (pytest.approx(plain.mean()), pytest.approx(plain.std(), rel=0.1))
    np.testing.assert_array_equal(directed(plain, replace(known, one_way=0.0)), plain)
    alone = directed(plain, replace(known, one_way=1.0))
    assert (np.diff(known.p[np.argsort(alone)]) >= -1e-5).all()
    flat = np.full(1200, 2.0)
    np.testing.assert_array_equal(directed(flat, known), flat)


def test_what_people_found_corrects_the_estimate() -> None:
    losses, labels, wrong = world(1500, 4, "hard", 0.15)
    doubt = losses[np.arange(1500), labels]
    looked = np.argsort(-doubt)[:200]
    before = posterior(heard(losses, labels), seed=0)
    answers = []
    for wrong_ones in (wrong[looked], np.zeros(200, bool), np.ones(200, bool)):
        found = np.full(1500, NOT_LOOKED)
        found[looked] = np.where(wrong_ones, WRONG, labels[looked])
        answers.append(posterior(heard(losses, labels, found), seed=0))
    true, none, every = answers
    rest = np.setdiff1d(np.arange(1500), looked)
    assert none.value < true.value < every.value
    assert ends(true)[0] <= wrong[rest].mean() <= ends(true)[1]
    assert true.value == pytest.approx(true.p[rest].mean())
    assert abs(true.p[looked].sum() - wrong[looked].sum()) < abs(before.p[looked].sum() - wrong[looked].sum()) + 5


def test_copies_count_once() -> None:
    losses, labels, _ = world(400, 3, "uniform", 0.1)
    once = posterior(heard(losses, labels), seed=0)
    times = 5
    tiled = heard(np.tile(losses, (times, 1)), np.tile(labels, times), families=np.tile(np.arange(400), times))
    copied = posterior(tiled, seed=0)
    assert copied.spread == pytest.approx(once.spread) or ends(copied) == pytest.approx(ends(once), abs=0.02)
    assert copied.value == pytest.approx(once.value, abs=0.01)


def test_trusted_items_that_fit_the_head_leave_less_to_errors() -> None:
    losses, labels, _ = world(1000, 3, "uniform", 0.0, sharp=2.0)
    other, known, _ = world(1000, 3, "uniform", 0.0, sharp=2.0, seed=1)
    alone = posterior(heard(losses, labels), seed=0)
    helped = posterior(heard(losses, labels, trusted_losses=other, trusted=known), seed=0)
    assert helped.value < alone.value and helped.spread.high <= alone.spread.high


def test_a_part_of_many_items_gives_the_same_answer_and_equal_seeds_equal_bytes() -> None:
    losses, labels, _ = world(9000, 3, "uniform", 0.1)
    one, again = (posterior(heard(losses, labels), seed=0) for _ in range(2))
    assert one.p.tobytes() == again.p.tobytes() and one.spread == again.spread
    few = posterior(heard(losses[:2900], labels[:2900]), seed=0)
    assert one.value == pytest.approx(few.value, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 12), st.floats(0.001, 0.5), st.integers(0, 10**6))
def test_right_and_wrong_of_all_labels_add_up_to_one(classes: int, n: int, share: float, seed: int) -> None:
    """Every kind of error is a law of the given label: over all labels an item could carry, it sums to 1."""
    losses = 2 * np.random.default_rng(seed).normal(size=(n, classes))
    names = ("uniform",) if classes == 2 else ("uniform", "confusion", "classwise")
    kinds = [Kind(((name, power),), None, 1.0) for name in names for power in (0.0, 1.0)]
    kinds += [Kind((), (0, 1), 1.0), Kind((("uniform", 0.0), ("uniform", 2.0)), None, 1.0)]
    points = [Point(1.6, kind, one, 0.0) for kind in kinds for one in (share, share / 2)]
    total = np.zeros((len(points), n))
    means = means_of(heard(losses, np.zeros(n, np.int64)), 1.6)
    for label in range(classes):
        for rows, right, wrong in walk(heard(losses, np.full(n, label)), points, means):
            assert (right >= 0).all() and (wrong >= 0).all()
            total[rows] += right + wrong
    np.testing.assert_allclose(total, 1, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 12), st.floats(0.0, 1.0), st.booleans(), st.integers(0, 10**6))
def test_hidden_errors_make_up_what_is_wanted_of_them(
    classes: int, n: int, part: float, steep: bool, seed: int
) -> None:
    """They are probabilities, and steep ones are never more of a label that the head doubts less."""
    rng = np.random.default_rng(seed)
    q, labels = softmax(3 * rng.normal(size=(n, classes)), 1.0), rng.integers(0, classes, n)
    hides, rest = shapes(q, labels), rng.random(n)
    assert hides.shape == (n, SHAPES) and ((hides >= 0) & (hides <= 1)).all()
    assert (np.diff(hides[:, :-1], axis=1) >= -1e-12)[hides[:, -2] == 1].all(), "more power, more contradicted errors"
    available = rest @ hides / n
    cases = np.array([part, 0.0, part / 2])
    shaped = mixture(np.tile(available, (3, 1)), cases * available[-1], steep=steep)
    assert rest @ (hides @ shaped.T) / n == pytest.approx(cases * available[-1], abs=1e-9)
    p = hides @ shaped[0]
    assert (p >= 0).all() and (p <= 1 + 1e-9).all()
    assert rest @ p / n == pytest.approx(part * available[-1], abs=1e-9)


def test_without_looks_nobody_knows_which_doubts_are_errors_and_looks_tell() -> None:
    """Errors that gather where the head contradicts most: people who looked there make the rest of the list surer."""
    losses, _, _ = world(1200, 6, "uniform", 0.0)
    q = softmax(losses, 1.0)
    rng = np.random.default_rng(3)
    labels = (rng.random((1200, 1)) > q.cumsum(1)[:, :-1]).sum(1)  # calibrated: no label tells what follows
    surer = q**3 / (q**3).sum(1, keepdims=True)
    right = np.minimum(1, surer[np.arange(1200), labels] / q[np.arange(1200), labels])
    wrong = rng.random(1200) > right
    found = np.full(1200, NOT_LOOKED)
    some = rng.permutation(1200)[:300]
    found[some] = np.where(wrong[some], WRONG, labels[some])
    alone, told = posterior(heard(losses, labels), seed=0), posterior(heard(losses, labels, found), seed=0)
    rest = found == NOT_LOOKED
    assert abs(told.value - wrong[rest].mean()) < abs(alone.value - wrong[rest].mean())

    def sure(known: Posterior) -> float:
        return float(np.log(np.where(wrong, known.p, 1 - known.p))[rest].mean())

    assert sure(told) > sure(alone)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_looks_that_find_one_class_right_say_nothing_of_errors_that_go_the_other_way(rate: float) -> None:
    losses, labels, wrong = world(1200, 2, "one-sided", rate)
    looked = np.argsort(-posterior(heard(losses, labels), seed=0).p, kind="stable")[:100]
    found = np.full(1200, NOT_LOOKED)
    found[looked] = np.where(wrong[looked], WRONG, labels[looked])
    rest = found == NOT_LOOKED
    known = posterior(heard(losses, labels, found), seed=0)
    low, high = ends(known)
    assert low <= wrong[rest].mean() <= high
    assert known.p[rest & (labels == 0)].mean() < 0.02, "nothing was filed as this class"


@pytest.mark.parametrize("strong", [False, True])
def test_looks_at_the_top_speak_for_the_rest_only_where_the_scores_see_the_errors(strong: bool) -> None:
    """Half of the errors lie where chance put them, whatever weak scores say. The reviewer read a third of the list."""
    losses, labels, wrong = world(1000, 2, "uniform", 0.05 if strong else 0.0, sharp=20.0 if strong else 1.0)
    order = np.argsort(-losses[np.arange(1000), labels])
    if not strong:
        rng = np.random.default_rng(1)
        wrong[rng.permutation(1000)[:40]] = True
        wrong[order[:50]] |= rng.random(50) < 0.25
    looked = order[: 150 if strong else 330]
    found = np.full(1000, NOT_LOOKED)
    found[looked] = np.where(wrong[looked], WRONG, labels[looked])
    rest = found == NOT_LOOKED
    known = posterior(heard(losses, labels, found), seed=0)
    low, high = ends(known)
    assert low <= wrong[rest].mean() <= high
    if strong:
        assert wrong[rest].mean() < 0.005 and high < 0.02, "it may still pass at 2%"
    else:
        assert high >= max(TENTH, TIMES * low), "cannot tell"
        assert high <= heard(losses, labels, found).seen() + 1e-9, "the rest is no worse than what people saw"


def test_looks_at_items_that_are_better_than_the_rest_do_not_bound_it() -> None:
    """Nobody looked at what the labels doubt: no wrong label among the others says nothing of it."""
    losses, labels, wrong = world(1000, 2, "uniform", 0.1, sharp=6.0)
    best = np.argsort(losses[np.arange(1000), labels])[:400]
    found = np.full(1000, NOT_LOOKED)
    found[best] = labels[best]
    known = posterior(heard(losses, labels, found), seed=0)
    rest = found == NOT_LOOKED
    assert heard(losses, labels, found).seen() < 0.01 < wrong[rest].mean() <= ends(known)[1]
