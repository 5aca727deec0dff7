"""Average influence of the detection head against pyDVL's own matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.detection import influence
from auditor.detection.bench import average_precision
from auditor.detection.detect import influence_order
from auditor.detection.influence import InfluenceStudy, choose_damping, folds_of
from auditor.influence import HeadProblem, engine
from auditor.model.scaling import even_rows
from auditor.model.softmax_head import SoftmaxHead

DAMPING = 0.3


def data(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def pydvl_average(x: np.ndarray, y: np.ndarray, ref: tuple[np.ndarray, np.ndarray], head: SoftmaxHead) -> np.ndarray:
    """From pyDVL's own matrix: its rows weighted by the probability of their label, over the size of each gradient."""
    from torch.utils.data import DataLoader, TensorDataset
    from with_pydvl import DirectInfluence

    model = torch.nn.Linear(x.shape[1], 3, dtype=torch.float64)
    model.weight.data, model.bias.data = torch.as_tensor(head.weight).double(), torch.as_tensor(head.bias).double()
    tensors = [torch.as_tensor(x).double(), torch.as_tensor(y)]
    influence = DirectInfluence(model.eval(), torch.nn.functional.cross_entropy, regularization=DAMPING)
    influence = influence.fit(DataLoader(TensorDataset(*tensors), batch_size=len(x)))
    held = torch.as_tensor(ref[0]).double()
    rows = influence.influences(held, torch.as_tensor(ref[1]), *tensors, mode="up").numpy()
    with torch.no_grad():
        weights = model(held).softmax(1).numpy()[np.arange(len(held)), ref[1]]
        pull = (model(tensors[0]).softmax(1) - torch.nn.functional.one_hot(tensors[1], 3)).norm(dim=1).numpy()
    return np.asarray(weights @ rows / weights.sum() / pull)


@pytest.mark.parametrize("trusted", [None, 25])
def test_an_image_is_measured_on_folds_it_does_not_train_and_on_trusted_ones(trusted):
    x, y = data()
    reference = None if trusted is None else data(1, trusted)
    study = InfluenceStudy(x, 3, reference=reference, fold=folds_of(None, len(x), 2, 0))
    found, seen = study.measure(y, DAMPING).average, even_rows(x)
    for train, held in study.splits:
        head = SoftmaxHead.train(seen[train], y[train], 3, DAMPING)
        target = seen[held], y[held]
        if reference is not None:
            target = np.concatenate([seen[held], even_rows(reference[0])]), np.concatenate([y[held], reference[1]])
        expected = pydvl_average(seen[train], y[train], target, head)
        np.testing.assert_allclose(found[train], expected, rtol=2e-3, atol=2e-4)


def test_a_family_lies_in_one_fold_so_that_no_copy_speaks_for_a_label():
    x, _ = data()
    families = np.arange(60) // 3
    study = InfluenceStudy(x, 3, reference=None, fold=folds_of(families, 60, 5, 0))
    assert all(not set(families[train]) & set(families[held]) for train, held in study.splits)


def test_wrong_labels_are_found_although_the_reference_holds_as_many():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 400)
    x = (rng.normal(size=(400, 12)) + 2.5 * np.eye(4, 12)[true]).astype(np.float32)
    given = np.where(rng.random(400) < 0.3, rng.integers(0, 4, 400), true)
    study = InfluenceStudy(x, 4, reference=None, fold=folds_of(None, len(x), 5, 0))
    plain, seen = np.zeros(400), even_rows(x)
    for train, held in study.splits:
        head = SoftmaxHead.train(seen[train], given[train], 4, 0.1)
        problem = HeadProblem(seen[train], given[train], head.weight, head.bias)
        plain[train] += engine(problem, "auto", 0.1).average(seen[held], given[held])
    wrong = given != true
    ours = average_precision(wrong, -study.measure(given, 0.1).average)
    assert ours > 0.8 and ours > average_precision(wrong, -plain) + 0.1, (ours, average_precision(wrong, -plain))


def test_the_damping_with_the_best_recovery_is_chosen():
    x, y = data(n=150)
    flipped = y.copy()
    flipped[::10] = (y[::10] + 1) % 3
    study = InfluenceStudy(x, 3, reference=data(2), fold=folds_of(None, len(x), 2, 0))
    chosen = choose_damping(study, [(flipped, flipped != y)], (0.001, 1.0), np.ones(150), average_precision)
    by_damping = {trial.damping: trial.average_precision for trial in chosen.trace}
    assert by_damping[chosen.value] == max(by_damping.values())
    tried, _ = study.averages(flipped, chosen.value, ())
    again = average_precision((flipped != y)[tried.rows], -tried.average, np.ones(len(tried.rows)))
    assert abs(again - by_damping[chosen.value]) < 0.02, "the start of a head does not matter"


def test_by_influence_known_wrong_labels_come_first_and_unknown_influence_last():
    suspicion = np.array([9.0, 1.0, 2.0, 3.0, np.nan, 0.5])
    influence = np.array([0.9, -0.1, -0.3, np.nan, -5.0, np.nan])
    order = influence_order(suspicion, influence, np.array([True, False, False, False, False, False]))
    assert np.isnan(order[4])
    assert list(np.argsort(-order[[0, 1, 2, 3, 5]])) == [0, 2, 1, 3, 4]


def test_candidates_weaker_than_one_that_overfits_are_not_tried():
    x, y = data(n=150)
    flipped = np.where(np.arange(150) % 10 == 0, (y + 1) % 3, y)
    study = InfluenceStudy(x, 3, reference=None, fold=folds_of(None, len(x), 3, 0))
    given = iter((0.2, 0.5, 0.4, 0.9))
    chosen = choose_damping(
        study, [(flipped, flipped != y)], (1.0, 3.0, 0.3, 0.1), np.ones(150), lambda *_: next(given)
    )
    assert chosen.value == 1.0 and [trial.damping for trial in chosen.trace] == [0.3, 1.0, 3.0]


def test_with_many_classes_influence_by_class_is_left_out_and_the_average_stays(monkeypatch):
    x, y = data()
    study = InfluenceStudy(x, 3, reference=data(1, 25), fold=folds_of(None, len(x), 2, 0))
    whole = study.measure(y, DAMPING)
    monkeypatch.setattr(influence, "CLASSWISE_LIMIT", 3 * 3 * 5 - 1)
    assert not study.by_class
    without = study.measure(y, DAMPING)
    assert np.isnan(without.classwise).all()
    np.testing.assert_allclose(without.average, whole.average, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(without.own, whole.own)
