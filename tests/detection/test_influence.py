"""Influence under every label against pyDVL's own matrix, and the damping that plantings choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.detection import influence
from auditor.detection.damping import Single, choose_damping
from auditor.detection.detect import influence_order
from auditor.detection.influence import InfluenceStudy, Points, fold_count, folds_of
from auditor.detection.precision import average_precision
from auditor.influence import HeadProblem, engine
from auditor.influence.weighing import ROBUST
from auditor.model.scaling import Scaling, even_rows
from auditor.model.softmax_head import SoftmaxHead

DAMPING = 0.3


def data(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def study_of(
    x: np.ndarray,
    classes: int,
    *,
    folds: int = 5,
    trusted: np.ndarray | None = None,
    families: np.ndarray | None = None,
) -> InfluenceStudy:
    points = Points(x, None, trusted, Scaling.of(x))
    n = len(x) + (0 if trusted is None else len(trusted))
    return InfluenceStudy(points, classes, fold=folds_of(families, n, folds, 0))


def single(labels: np.ndarray, classes: int, worth: np.ndarray | None = None) -> Single:
    planted = (labels + np.random.default_rng(1).integers(1, classes, (2, len(labels)))) % classes
    return Single({"uniform": planted}, np.ones(len(labels)) if worth is None else worth, 0.1)


def pydvls(seen: np.ndarray, taught: np.ndarray, held: np.ndarray, head: SoftmaxHead) -> np.ndarray:
    """From pyDVL's own matrix: its rows weighted by the reference's labels, over the size of each gradient."""
    from torch.utils.data import DataLoader, TensorDataset
    from with_pydvl import DirectInfluence

    model = torch.nn.Linear(seen.shape[1], 3, dtype=torch.float64)
    model.weight.data, model.bias.data = torch.as_tensor(head.weight).double(), torch.as_tensor(head.bias).double()
    x, y, points = torch.as_tensor(seen).double(), torch.as_tensor(taught), torch.as_tensor(held).double()
    found = DirectInfluence(model.eval(), torch.nn.functional.cross_entropy, regularization=DAMPING)
    found = found.fit(DataLoader(TensorDataset(x, y), batch_size=len(x)))
    with torch.no_grad():
        weights = model(x).softmax(1).numpy()[np.arange(len(x)), taught] ** ROBUST
        p = model(points).softmax(1).numpy()
    under = []
    for c in range(3):
        matrix = found.influences(x, y, points, torch.full((len(held),), c), mode="up").numpy()
        under.append(weights @ matrix / weights.sum() / np.linalg.norm(p - np.eye(3)[c], axis=1))
    return np.stack(under, axis=1)


@pytest.mark.parametrize(("trusted", "idle"), [(None, 0), (25, 0), (None, 90), (25, 90)])
def test_an_image_is_judged_by_a_head_and_a_reference_that_have_not_seen_it(trusted, idle):
    x, y = data()
    more, labels = data(1, trusted or 0)
    if idle:  # more features than images: the study turns them into fewer
        beside = np.random.default_rng(2).normal(size=(len(x) + len(more), idle)).astype(np.float32)
        x, more = np.hstack([x, beside[: len(x)]]), np.hstack([more, beside[len(x) :]])
    study = study_of(x, 3, folds=2, trusted=None if trusted is None else more)
    scaling, labels = Scaling.of(x), np.concatenate([y, labels])
    found, seen = study.what_if(labels, DAMPING), even_rows(scaling(np.concatenate([x, more])))
    for train, held in study.splits:
        head = SoftmaxHead.train(seen[train], labels[train], 3, DAMPING)
        expected = pydvls(seen[train], labels[train], seen[held], head)
        np.testing.assert_allclose(found[held], expected, rtol=2e-3, atol=2e-4)


def test_no_label_has_a_word_in_what_is_said_of_its_own_image():
    x, y = data()
    study, other = study_of(x, 3), y.copy()
    row = 17
    other[row] = (y[row] + 1) % 3
    before, after = study.what_if(y, DAMPING), study.what_if(other, DAMPING)
    np.testing.assert_array_equal(before[row], after[row])
    assert (before != after).any(), "other images do hear it"
    measured = study.measure(y, DAMPING)
    np.testing.assert_array_equal(measured.average, before)


def test_some_of_the_images_are_judged_as_if_there_were_no_others():
    x, y = data()
    rows = np.arange(0, 60, 2)
    scaling = Scaling.of(x, rows)
    fold = folds_of(None, len(rows), 3, 0)
    some = InfluenceStudy(Points(x, rows, None, scaling), 3, fold=fold).what_if(y[rows], DAMPING)
    alone = InfluenceStudy(Points(x[rows], None, None, scaling), 3, fold=fold).what_if(y[rows], DAMPING)
    np.testing.assert_array_equal(some, alone)


def test_a_family_lies_in_one_fold_so_that_no_copy_speaks_for_a_label():
    x, _ = data()
    families = np.arange(60) // 3
    study = study_of(x, 3, families=families)
    assert all(not set(families[train]) & set(families[held]) for train, held in study.splits)


def test_wrong_labels_are_found_although_the_reference_holds_as_many():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 400)
    x = (rng.normal(size=(400, 12)) + 2.5 * np.eye(4, 12)[true]).astype(np.float32)
    given = np.where(rng.random(400) < 0.3, rng.integers(0, 4, 400), true)
    study = study_of(x, 4)
    plain, seen = np.zeros(400), even_rows(Scaling.of(x)(x))
    for train, held in study.splits:
        head = SoftmaxHead.train(seen[train], given[train], 4, 0.1)
        problem = HeadProblem(seen[train], given[train], head.weight, head.bias)
        plain[train] += engine(problem, "auto", 0.1).average(seen[held], given[held])
    wrong = given != true
    harm = -study.what_if(given, 0.1)[np.arange(400), given]
    ours, theirs = average_precision(wrong, harm), average_precision(wrong, -plain)
    assert ours > 0.9 and 1 - ours < (1 - theirs) / 2, (ours, theirs)


def test_the_damping_that_tells_planted_labels_best_is_chosen():
    x, y = data(n=150)
    study, worth = study_of(x, 3, folds=3), np.linspace(0.5, 1, 150)
    chosen, _ = choose_damping(study, y, single(y, 3, worth), (0.001, 1.0), average_precision)
    by_damping = {trial.damping: trial.average_precision for trial in chosen.trace}
    assert by_damping[chosen.value] == max(by_damping.values()) and chosen.chosen
    harm, planted, rows = -study.what_if(y, chosen.value).astype(float), single(y, 3).planted["uniform"], np.arange(150)
    values = np.concatenate([harm[rows, y], harm[rows, planted[0]], harm[rows, planted[1]]])
    weights = np.concatenate([worth, worth / 18, worth / 18])
    again = average_precision(np.repeat([False, True], [150, 300]), values, weights)
    assert abs(again - by_damping[chosen.value]) < 0.02, "the start of a head does not matter"


def test_by_influence_known_wrong_labels_come_first_and_unknown_influence_last():
    suspicion = np.array([9.0, 1.0, 2.0, 3.0, np.nan, 0.5])
    influence = np.array([0.9, -0.1, -0.3, np.nan, -5.0, np.nan])
    order = influence_order(suspicion, influence, np.array([True, False, False, False, False, False]))
    assert np.isnan(order[4])
    assert list(np.argsort(-order[[0, 1, 2, 3, 5]])) == [0, 2, 1, 3, 4]


@pytest.mark.parametrize(
    ("scores", "tried"),
    [
        ({0.3: 0.4, 1.0: 0.5, 3.0: 0.2}, [0.3, 1.0, 3.0]),
        ({1.0: 0.5, 3.0: 0.6, 10.0: 0.7}, [1.0, 3.0, 10.0]),
        ({0.1: 0.7, 0.3: 0.6, 1.0: 0.5, 3.0: 0.4}, [0.1, 0.3, 1.0, 3.0]),
        ({0.3: 0.5, 1.0: 0.6, 3.0: 0.9, 10.0: 0.8}, [1.0, 3.0, 10.0]),
    ],
)
def test_dampings_behind_one_that_is_worse_are_not_tried(monkeypatch, scores, tried):
    x, y = data(n=40)
    study, asked = study_of(x, 3, folds=2), []
    whole = InfluenceStudy.tried
    monkeypatch.setattr(InfluenceStudy, "tried", lambda self, z, d, start: asked.append(d) or whole(self, z, d, start))
    chosen, _ = choose_damping(study, y, single(y, 3), (1.0, 3.0, 0.3, 10.0, 0.1), lambda *_: scores[asked[-1]])
    assert [trial.damping for trial in chosen.trace] == tried and chosen.value == max(scores, key=lambda d: scores[d])


def test_few_images_get_more_folds():
    assert [fold_count(n, 2) for n in (0, 8, 1000, 2500, 50_000)] == [10, 10, 10, 8, 5]
    assert fold_count(600, 200) == fold_count(5000, 10) == 5, "many classes are work enough"
    assert int(folds_of(None, 8, fold_count(8, 2), 0).max()) + 1 == 8


def test_a_damping_is_tried_on_as_many_folds_as_it_takes(monkeypatch):
    x, y = data(n=150)
    study = study_of(x, 3)
    assert len(study.tried(y, DAMPING, ())[0].rows) == 150
    monkeypatch.setattr(influence, "TUNED", 10)
    tried, heads = study.tried(y, DAMPING, ())
    assert len(heads) == 2 and len(tried.rows) == sum(len(held) for _, held in study.splits[:2])
    np.testing.assert_allclose(tried.average, study.what_if(y, DAMPING)[tried.rows], atol=1e-6)


def test_trusted_images_choose_no_damping():
    x, y = data(n=60)
    trusted, labels = data(3, 20)
    told = []
    study = study_of(x, 3, trusted=trusted)
    choose_damping(study, np.concatenate([y, labels]), single(y, 3), (1.0,), lambda *given: told.append(given) or 0.5)
    assert [len(part) for part in told[0]] == [3 * 60] * 3


def test_with_many_classes_influence_by_class_is_left_out_and_the_average_stays(monkeypatch):
    x, y = data()
    study = study_of(x, 3, folds=2)
    whole = study.measure(y, DAMPING)
    monkeypatch.setattr(influence, "CLASSWISE_LIMIT", 3 * 3 * 5 - 1)
    assert not study.by_class
    without = study.measure(y, DAMPING)
    assert np.isfinite(whole.classwise).all() and np.isnan(without.classwise).all()
    np.testing.assert_array_equal(without.average, whole.average)
    np.testing.assert_array_equal(without.own, whole.own)
