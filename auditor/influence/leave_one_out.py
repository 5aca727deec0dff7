"""What a head would say of a point if some training points had not been there: it is trained again without them.

Influence is a first-order answer. This is the exact one, for a few points. All heads are trained together by Newton's
method from the head of all points, with the Hessian of that head: a few points less hardly change it, so each step
leaves about a hundredth of what was missing. Steps end where the gradient of each head's own loss says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute.hardware import threads_for
from auditor.errors import EngineError
from auditor.influence.base import Array, HeadProblem
from auditor.influence.conjugate_gradient import Stopping, Systems, conjugate_gradient
from auditor.influence.head import KroneckerBasis, LinearHead
from auditor.system.arrays import Ints

TOLERANCE = 1e-6
"""Largest gradient of a head's loss, relative to that of one point's share, at which training ends."""

STEPS = 40
"""The most steps of Newton's method."""

INNER = 1e-3
"""Relative residual of each step's solve. More digits would be lost to the Hessian, which is not the head's own."""

BIAS_PART = 1e-3
"""Part of the weight decay that falls on the bias, as in `SoftmaxHead.train`."""

_NUMBERS = 2**23
"""Parameters of the heads that are trained together."""


@dataclass(frozen=True)
class Question:
    """What would the head say of a point without some training points?

    Attributes
    ----------
    point
        float [D], features as the head sees them.
    without
        int64 [r], training points that are left out. None of them twice.
    """

    point: Array
    without: Ints


def left_out(
    problem: HeadProblem,
    weight_decay: float,
    questions: Sequence[Question],
    *,
    device: str = "cpu",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Array:
    """Probabilities float64 [k, C] that each question's point gets from a head trained without its points.

    Parameters
    ----------
    problem
        Training points, and the head at the minimum of `SoftmaxHead.train`'s loss, or near it.
    weight_decay
        Of that loss.
    questions
        k of them.
    device
        A torch device.
    tell
        Called with the questions that are answered, and with all of them.

    Raises
    ------
    EngineError
        A question leaves out a point that is not there, or too many; or a head does not reach its minimum.
    """
    for question in questions:
        rows = question.without
        if len(np.unique(rows)) != len(rows) or len(rows) >= problem.n_points:
            raise EngineError(f"{len(rows)} of {problem.n_points} training points cannot be left out")
        if len(rows) and not (rows.min() >= 0 and rows.max() < problem.n_points):
            raise EngineError(f"there are {problem.n_points} training points, and a question names another one")
    with threads_for(problem.n_points * problem.weight.shape[1]):
        trainer = _Trainer(problem, weight_decay, device)
        step = max(1, _NUMBERS // trainer.head.n_parameters)
        parts = list[Array]()
        for start in range(0, len(questions), step):
            parts.append(trainer.answers(questions[start : start + step]))
            tell(min(start + step, len(questions)), len(questions))
    return np.concatenate(parts) if parts else np.empty((0, problem.n_classes))


class _Trainer:
    """Trains heads on all training points but a few. Parameters are [k, C, D+1], the bias in the last column."""

    def __init__(self, problem: HeadProblem, weight_decay: float, device: str) -> None:
        self.head = LinearHead(problem, device)
        self.basis = KroneckerBasis(self.head)
        self.decay = torch.full((self.head.n_columns,), weight_decay, dtype=torch.float64, device=self.head.device)
        self.decay[-1] *= BIAS_PART
        self.damping = weight_decay
        start = torch.cat([self.head.weight, self.head.bias[:, None]], dim=1)[None]
        self.start = self._trained(start, [np.empty(0, np.int64)])

    def answers(self, questions: Sequence[Question]) -> Array:
        """float64 [k, C]."""
        found = self._trained(self.start.repeat(len(questions), 1, 1), [q.without for q in questions])
        points = torch.as_tensor(np.stack([q.point for q in questions]), dtype=torch.float64, device=self.head.device)
        logits = torch.einsum("kcd,kd->kc", found[:, :, :-1], points) + found[:, :, -1]
        return np.asarray(torch.softmax(logits, dim=1).cpu().numpy())

    def _trained(self, theta: torch.Tensor, without: Sequence[Ints]) -> torch.Tensor:
        """Parameters [k, C, D+1] at the minimum of each head's loss."""
        best = torch.full((len(theta),), torch.inf, dtype=torch.float64, device=theta.device)
        enough = TOLERANCE * self._share()
        for _ in range(STEPS):
            gradient = self._gradient(theta, without)
            size = gradient.flatten(1).norm(dim=1)
            if bool((size <= enough).all()):
                return theta
            if not bool((size < best).any()):
                break
            best = size
            theta = theta - self._solved(gradient)
        raise EngineError(
            "a head that was trained again without an item did not reach the minimum of its loss",
            hint="leave out --exact",
        )

    def _share(self) -> float:
        """What one point adds to the gradient: its features' typical length over N."""
        rows = self.head.columns(self.head.spaced(256))
        return float(rows.norm(dim=1).mean()) / self.head.n_points

    def _gradient(self, theta: torch.Tensor, without: Sequence[Ints]) -> torch.Tensor:
        """[k, C, D+1], gradients of the mean loss over the points that are left, with weight decay."""
        head, k = self.head, len(theta)
        flat = theta.reshape(k * head.n_classes, head.n_columns)
        out = torch.zeros_like(flat)
        for part, features in head.chunks(k * head.n_classes):
            residuals = self._residuals(flat, features, head.labels[part])
            out[:, :-1].addmm_(residuals, features)
            out[:, -1] += residuals.sum(1)
        out = out.view_as(theta)
        for number, rows in enumerate(without):
            if len(rows):
                x = head.columns(rows)
                y = head.labels[torch.as_tensor(rows, device=head.device)]
                out[number] -= self._residuals(theta[number], x[:, :-1], y) @ x
        left = [head.n_points - len(rows) for rows in without]
        n_left = torch.as_tensor(left, dtype=torch.float64, device=head.device)
        return out / n_left[:, None, None] + self.decay * theta

    def _residuals(self, flat: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """[k C, n], probabilities minus one-hot labels of `features` [n, D] by heads [k C, D+1]."""
        n_classes = self.head.n_classes
        logits = torch.addmm(flat[:, -1:], flat[:, :-1], features.T).view(-1, n_classes, len(features))
        p = torch.softmax(logits, dim=1)
        p[:, labels, torch.arange(len(labels), device=p.device)] -= 1
        return p.view(-1, len(features))

    def _solved(self, gradient: torch.Tensor) -> torch.Tensor:
        """The gradients through the inverse of the Hessian of all points' loss, weight decay included."""
        shape = gradient.shape
        less = self.decay - self.damping  # the solver adds the weight decay to the bias too

        def product(v: torch.Tensor) -> torch.Tensor:
            v = v.view(-1, *shape[1:])
            return (self.head.product(v) + less * v).flatten(1)

        def precondition(r: torch.Tensor, dampings: torch.Tensor) -> torch.Tensor:
            return self.basis.solve(r.view(-1, *shape[1:]), dampings).flatten(1)

        dampings = torch.full((shape[0],), self.damping, dtype=torch.float64, device=gradient.device)
        systems = Systems(product, gradient.flatten(1), dampings, precondition)
        return conjugate_gradient(systems, Stopping(INNER, 500)).z.view(shape)
