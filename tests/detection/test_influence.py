"""Average influence of the detection head against pyDVL's exact engine."""

from __future__ import annotations

import numpy as np
import torch

from auditor.detection import influence
from auditor.detection.bench import average_precision
from auditor.detection.influence import InfluenceStudy, choose_damping
from auditor.model.softmax_head import SoftmaxHead

DAMPING = 0.3


def data(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def pydvl_average(x: np.ndarray, y: np.ndarray, ref: tuple[np.ndarray, np.ndarray], head: SoftmaxHead) -> np.ndarray:
    from torch.utils.data import DataLoader, TensorDataset
    from with_pydvl import DirectInfluence

    model = torch.nn.Linear(x.shape[1], 3, dtype=torch.float64)
    model.weight.data, model.bias.data = torch.as_tensor(head.weight).double(), torch.as_tensor(head.bias).double()
    tensors = [torch.as_tensor(x).double(), torch.as_tensor(y)]
    influence = DirectInfluence(model.eval(), torch.nn.functional.cross_entropy, regularization=DAMPING)
    influence = influence.fit(DataLoader(TensorDataset(*tensors), batch_size=len(x)))
    rows = influence.influences(torch.as_tensor(ref[0]).double(), torch.as_tensor(ref[1]), *tensors, mode="up")
    return rows.numpy().mean(axis=0)


def test_average_influence_is_pydvls_on_the_same_head():
    (x, y), (rx, ry) = data(), data(1, 25)
    study = InfluenceStudy(x, 3, reference=(rx, ry), folds=2, seed=0)
    head = SoftmaxHead.train(x, y, 3, DAMPING)
    expected = pydvl_average(x, y, (rx, ry), head)
    found = study.measure(y, DAMPING)
    np.testing.assert_allclose(found.average, expected, rtol=2e-3, atol=2e-4)


def test_without_a_reference_each_image_is_measured_on_folds_it_does_not_train():
    x, y = data()
    study = InfluenceStudy(x, 3, reference=None, folds=2, seed=0)
    found = study.measure(y, DAMPING).average
    for train, held in study.splits:
        head = SoftmaxHead.train(x[train], y[train], 3, DAMPING)
        expected = pydvl_average(x[train], y[train], (x[held], y[held]), head)
        np.testing.assert_allclose(found[train], expected, rtol=2e-3, atol=2e-4)


def test_the_damping_with_the_best_recovery_is_chosen():
    x, y = data(n=150)
    flipped = y.copy()
    flipped[::10] = (y[::10] + 1) % 3
    study = InfluenceStudy(x, 3, reference=data(2), folds=2, seed=0)
    chosen = choose_damping(study, [(flipped, flipped != y)], (0.001, 1.0), average_precision)
    by_damping = {trial.damping: trial.average_precision for trial in chosen.trace}
    assert by_damping[chosen.value] == max(by_damping.values())
    rows, values = study.averages(flipped, [chosen.value])
    assert average_precision((flipped != y)[rows], -values[0]) == by_damping[chosen.value]


def test_with_many_classes_influence_by_class_is_left_out_and_the_average_stays(monkeypatch):
    x, y = data()
    study = InfluenceStudy(x, 3, reference=data(1, 25), folds=2, seed=0)
    whole = study.measure(y, DAMPING)
    monkeypatch.setattr(influence, "CLASSWISE_LIMIT", 3 * 3 * 5 - 1)
    assert not study.by_class
    without = study.measure(y, DAMPING)
    assert np.isnan(without.classwise).all()
    np.testing.assert_allclose(without.average, whole.average, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(without.own, whole.own)
