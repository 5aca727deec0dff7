"""Heads that are trained again without a few points, beside a head that is trained from nothing without them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from auditor.errors import EngineError
from auditor.influence import HeadProblem
from auditor.influence.leave_one_out import Question, left_out
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats

N, D, C = 240, 12, 4


def points(seed: int = 0) -> tuple[Array, Array]:
    """Features float64 [N, D] and labels int64 [N], many of them wrong."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D))
    return x, np.asarray((x[:, :C] + rng.normal(size=(N, C))).argmax(axis=1), np.int64)


def from_nothing(x: Array, y: Array, decay: float) -> Floats:
    """The head [C, D + 1] that minimises the loss of `SoftmaxHead.train`, by another library and from zeros."""

    def loss(flat: Floats) -> tuple[float, Floats]:
        theta = flat.reshape(C, D + 1)
        z = x @ theta[:, :-1].T + theta[:, -1]
        log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
        excess = (np.exp(log_p) - np.eye(C)[y]) / len(y)
        size = (theta[:, :-1] ** 2).sum() + 1e-3 * (theta[:, -1] ** 2).sum()
        slope = np.column_stack([excess.T @ x + decay * theta[:, :-1], excess.sum(0) + 1e-3 * decay * theta[:, -1]])
        return float(-log_p[np.arange(len(y)), y].mean() + decay / 2 * size), slope.ravel()

    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 50}
    found = minimize(loss, np.zeros(C * (D + 1)), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(C, D + 1))


def said(theta: Floats, point: Array) -> Floats:
    z = point @ theta[:, :-1].T + theta[:, -1]
    p = np.exp(z - z.max())
    return np.asarray(p / p.sum())


def problem_of(x: Array, y: Array, decay: float) -> HeadProblem:
    head = SoftmaxHead.train(x.astype(np.float32), y, C, decay)
    return HeadProblem(x, y, head.weight, head.bias)


@pytest.mark.parametrize("decay", [1.0, 0.1, 0.01])
def test_each_answer_is_that_of_a_head_trained_from_nothing_without_the_points(decay: float) -> None:
    x, y = points()
    without = [[3], [3, 7], [], [1, 2, 9, 100], list(range(40))]
    questions = [
        Question(x[row], np.array(rows, np.int64)) for row, rows in zip((3, 3, 5, 9, 200), without, strict=True)
    ]
    found = left_out(problem_of(x, y, decay), decay, questions)
    for question, probabilities in zip(questions, found, strict=True):
        keep = np.setdiff1d(np.arange(N), question.without)
        wanted = said(from_nothing(x[keep], y[keep], decay), question.point)
        # A single point moves a probability by a thousandth or so. Six digits of that are asked for.
        assert np.abs(probabilities - wanted).max() < 1e-6


def test_influence_says_the_same_to_first_order() -> None:
    x, y = points()
    decay, row = 0.1, 17
    questions = [Question(x[row], np.array(rows, np.int64)) for rows in ([], *([k] for k in range(60) if k != row))]
    found = left_out(problem_of(x, y, decay), decay, questions)
    from auditor.influence.closed_form import ClosedForm

    influence = ClosedForm(problem_of(x, y, decay), decay).rows(x[[row]], y[[row]])[0]
    others = [k for k in range(60) if k != row]
    losses = -np.log(found[:, y[row]])
    assert np.corrcoef(losses[1:] - losses[0], influence[others])[0, 1] > 0.99


def test_answers_are_the_same_in_any_company() -> None:
    x, y = points(1)
    problem = problem_of(x, y, 0.1)
    questions = [Question(x[row], np.array([row], np.int64)) for row in range(5)]
    together = left_out(problem, 0.1, questions)
    alone = np.concatenate([left_out(problem, 0.1, [question]) for question in questions])
    assert np.abs(together - alone).max() < 1e-7
    assert left_out(problem, 0.1, []).shape == (0, C)


def test_progress_is_told() -> None:
    x, y = points()
    told: list[tuple[int, int]] = []
    left_out(problem_of(x, y, 1.0), 1.0, [Question(x[0], np.array([0]))] * 3, tell=lambda *at: told.append(at))
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("rows", [[0, 0], [N], [-1], list(range(N))])
def test_points_that_cannot_be_left_out_are_refused(rows: list[int]) -> None:
    x, y = points()
    with pytest.raises(EngineError, match="training points"):
        left_out(problem_of(x, y, 1.0), 1.0, [Question(x[0], np.array(rows, np.int64))])
