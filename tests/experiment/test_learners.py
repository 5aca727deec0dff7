"""One training and its influences, against a literal computation with autograd's full Hessian."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import needs_pydvl
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from torch.nn.functional import cross_entropy

from auditor.experiment.head_learner import FeaturePoints, HeadLearner
from auditor.experiment.run import EngineChoice, Explainer, Run
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.training import Schedule, train_head

N, N_TEST, D, C = 14, 5, 3, 3
DAMPING = 0.01

Points = tuple[np.ndarray, np.ndarray]
"""Features [n, D] and labels [n]."""


def _learner(engine: str = "auto", *, conditioned: bool = False, scale: float = 1.0) -> tuple[HeadLearner, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N + N_TEST, D)).astype(np.float32)
    features[:, 0] *= scale
    labels = np.arange(N + N_TEST) % C
    train, test = (FeaturePoints(features, rows, labels[rows], D) for rows in np.split(np.arange(N + N_TEST), [N]))
    schedule = Schedule(epochs=40, learning_rate=0.05, batch_size=8, seed=0)
    choice = EngineChoice(engine, DAMPING, "cpu", 0)
    learner = HeadLearner(train, None, test, test, C, schedule, choice, conditioned=conditioned)
    return learner, labels[:N]


def _learn(learner: HeadLearner, labels: np.ndarray) -> Run:
    return learner.learn(labels, lambda done, total: None).run


def _explainer(learner: HeadLearner, labels: np.ndarray) -> Explainer:
    return learner.learn(labels, lambda done, total: None).explainer


def _literal(head: SoftmaxHead, train: Points, reference: Points) -> np.ndarray:
    """[n, N] by definition: gradients of single losses, the Hessian of their mean by autograd, one dense solve."""
    x, y = torch.tensor(train[0], dtype=torch.float64), torch.tensor(train[1])
    start = torch.cat([torch.tensor(head.weight).flatten(), torch.tensor(head.bias)]).double()

    def loss(parameters: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weight, bias = parameters[: C * D].view(C, D), parameters[C * D :]
        return cross_entropy(inputs @ weight.T + bias, targets)

    hessian = torch.autograd.functional.hessian(lambda p: loss(p, x, y), start)

    def gradient(inputs: np.ndarray, target: int) -> torch.Tensor:
        one = torch.tensor(inputs, dtype=torch.float64)[None]
        found = torch.autograd.functional.jacobian(lambda p: loss(p, one, torch.tensor([target])), start)
        return torch.as_tensor(found)

    training, testing = (
        torch.stack([gradient(row, int(label)) for row, label in zip(*points, strict=True)])
        for points in (train, reference)
    )
    damped = hessian + DAMPING * torch.eye(len(start), dtype=torch.float64)
    return (testing @ torch.linalg.solve(damped, training.T)).numpy()


def _literal_matrix(learner: HeadLearner, labels: np.ndarray) -> np.ndarray:
    """The same of the head that is trained as the study trains it."""
    head, _ = train_head(learner.train.x, labels, C, learner.schedule)
    return _literal(head, (learner.train.x, labels), (learner.test.x, learner.test.y))


@pytest.mark.parametrize("engine", ["auto", pytest.param("direct", marks=needs_pydvl)])
def test_influences_are_their_definition(engine: str) -> None:
    learner, labels = _learner(engine)
    run, explainer = _learn(learner, labels), _explainer(learner, labels)
    literal = _literal_matrix(learner, labels)
    assert np.allclose(run.average_influence, literal.mean(axis=0), rtol=1e-3, atol=1e-5)
    assert np.allclose(explainer.rows(np.arange(N_TEST)), literal, rtol=1e-3, atol=1e-5)
    everything = explainer.rows_of(np.arange(N, N + N_TEST), learner.test.y)
    assert np.allclose(everything, literal, rtol=1e-3, atol=1e-5)
    assert run.damping == DAMPING and run.solves and all(solve.converged for solve in explainer.solves())


def test_a_weighted_reference_is_its_definition() -> None:
    plain, labels = _learner()
    learner = dataclasses.replace(plain, choice=dataclasses.replace(plain.choice, weighs=True))
    head, _ = train_head(learner.train.x, labels, C, learner.schedule)
    weights = head.probabilities(learner.test.x)[np.arange(N_TEST), learner.test.y] ** 0.7
    size = np.linalg.norm(head.probabilities(learner.train.x) - np.eye(C)[labels], axis=1)
    expected = weights @ _literal_matrix(learner, labels) / weights.sum() / size
    assert np.allclose(_learn(learner, labels).average_influence, expected, rtol=1e-3, atol=1e-5)


def test_equal_labels_give_equal_bytes_and_the_labels_are_not_changed() -> None:
    learner, labels = _learner()
    before = labels.copy()
    one, two = _learn(learner, labels), _learn(learner, labels)
    assert one.average_influence.tobytes() == two.average_influence.tobytes()
    assert one.probabilities.tobytes() == two.probabilities.tobytes() and (labels == before).all()


def test_only_the_labels_differ_between_two_runs() -> None:
    """The test split is judged by its own labels, whatever the training labels are."""
    learner, labels = _learner()
    flipped = (labels + 1) % C
    clean, corrupted = _learn(learner, labels), _learn(learner, flipped)
    assert clean.quality.n == corrupted.quality.n == N_TEST
    assert [sum(row) for row in clean.quality.confusion] == [sum(row) for row in corrupted.quality.confusion]
    assert clean.quality.accuracy != corrupted.quality.accuracy
    assert np.allclose(clean.probabilities.sum(axis=1), 1) and clean.probabilities.shape == (N, C)


def test_a_conditioned_head_does_not_care_about_a_features_unit() -> None:
    small, labels = _learner(conditioned=True)
    large, _ = _learner(conditioned=True, scale=1000.0)
    one, other = _learn(small, labels), _learn(large, labels)
    assert np.allclose(one.average_influence, other.average_influence, rtol=1e-2, atol=1e-4)


def test_parameters_are_counted() -> None:
    learner, _ = _learner()
    assert learner.n_parameters == C * (D + 1)
    assert dataclasses.is_dataclass(learner) and learner.conditioned is False


def _scaled(learner: HeadLearner, points: FeaturePoints) -> np.ndarray:
    """Standardised over the training split, each row of length sqrt(D), by definition."""
    x = learner.train.x.astype(np.float64)
    z = (points.x - x.mean(axis=0)) / x.std(axis=0)
    return z * np.sqrt(D) / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize("engine", ["auto", pytest.param("direct", marks=needs_pydvl)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_influences_of_a_converged_head_are_their_definition(engine: str, scale: float) -> None:
    """Its weight decay is the damping, so the Hessian of what was minimised is the damped one. No scale matters."""
    plain, labels = _learner(engine, scale=scale)
    learner = dataclasses.replace(plain, converged=True)
    x, reference = _scaled(learner, learner.train), _scaled(learner, learner.test)
    head = SoftmaxHead.train(x.astype(np.float32), labels, C, DAMPING)
    literal = _literal(head, (x, labels), (reference, learner.test.y))
    run, explainer = _learn(learner, labels), _explainer(learner, labels)
    assert np.allclose(run.average_influence, literal.mean(axis=0), rtol=2e-3, atol=1e-4)
    assert np.allclose(explainer.rows(np.arange(N_TEST)), literal, rtol=2e-3, atol=1e-4)


def test_a_converged_head_is_at_the_minimum_whatever_the_schedule() -> None:
    """Epochs and rate change nothing. The loss is told at its start, where all classes are alike, and at its end."""
    plain, labels = _learner()
    learner = dataclasses.replace(plain, converged=True, val=plain.test)
    run = _learn(learner, labels)
    again = _learn(dataclasses.replace(learner, schedule=Schedule(1, 1e-9, 1, 0), shared={}), labels)
    assert run.probabilities.tobytes() == again.probabilities.tobytes()
    assert [losses[0] for losses in (run.losses.train, run.losses.val)] == [pytest.approx(np.log(C))] * 2
    own = run.probabilities[np.arange(N), labels]
    assert run.losses.train[1] == pytest.approx(-np.log(own).mean()) and len(run.losses.train) == 2
    x = learner.train.x
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    head = SoftmaxHead.train(x, labels, C, run.weight_decay or 0)
    assert np.allclose(run.probabilities, head.probabilities(x), atol=1e-4)


def test_noisy_labels_get_a_weight_decay_of_their_own() -> None:
    """What tells clean labels best would learn planted ones by heart, and the damage of noise would read too high."""
    x, y = load_digits(n_class=4, return_X_y=True)
    x, noisy = x.astype(np.float32), y.copy()
    noisy[::4] = (noisy[::4] + 1 + np.arange(len(noisy[::4])) % 3) % 4
    train, test = (FeaturePoints(x, rows, y[rows], 64) for rows in np.split(np.arange(len(y)), [500]))
    learner = HeadLearner(
        train, None, test, test, 4, Schedule(1, 1e-3, 768, 0), EngineChoice("auto", 1.0, "cpu", 0), converged=True
    )
    clean, planted = _learn(learner, train.y), _learn(learner, noisy[:500])
    assert clean.weight_decay is not None and planted.weight_decay is not None
    assert planted.weight_decay > clean.weight_decay and planted.quality.accuracy > 0.9


def test_digits_by_probabilities_are_classified_as_well_as_the_probabilities_do() -> None:
    """The features are log odds, of another scale than a network's. Few steps of Adam tell the classes no better."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(y))
    x, y = x[order] / 16, y[order]
    p = cross_val_predict(LogisticRegression(), x, y, cv=3, method="predict_proba")
    odds = np.log(np.maximum(p, 1e-6))
    features = (odds - odds.mean(axis=1, keepdims=True)).astype(np.float32)
    train, test = (FeaturePoints(features, rows, y[rows], 10) for rows in np.split(np.arange(len(y)), [1400]))
    choice = EngineChoice("auto", 0.3, "cpu", 0)
    learner = HeadLearner(train, None, test, test, 10, Schedule(50, 1e-3, 768, 0), choice, converged=True)
    run = _learn(learner, train.y)
    right = float((p[1400:].argmax(axis=1) == test.y).mean())
    assert right > 0.85 and run.quality.accuracy >= right - 0.02
    assert run.probabilities.max(axis=1).mean() > 0.8  # sure where the probabilities are, so confusions can be drawn
