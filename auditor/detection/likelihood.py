"""The likelihood of the given labels as a problem to minimise: kinds of error, their shares and the loss.

`label_model` says what it means and fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from auditor.compute.hardware import threads_for
from auditor.compute.minimum import bounded
from auditor.system.arrays import Array, Floats

UNIFORM, CONFUSION, CLASSWISE = "uniform", "confusion", "classwise"

KINDS = (UNIFORM, CONFUSION, CLASSWISE)

MOST_WRONG = 0.98
"""The most that errors of all kinds together may reach on one image."""

CLASS_BIAS = 1.0
"""Ridge penalty on the class biases of q, the posterior of the true class."""

LOG_SCALE, SCALE_CONFIDENCE = 0.7, 3.0
"""Prior of the log of q's scale, for losses scaled to size 1: the head is expected to tell its classes apart. Without
this prior and without trusted labels, heavy noise and a model that knows nothing explain the labels equally well."""

START = -3.0
"""Logit of every share where a fit starts."""

ENTRIES = 600_000
"""Images times classes that the parameters are fitted on at most. Of more images, a random part is taken."""

ITERATIONS = 80

SCALE_BOUNDS, BIAS_BOUNDS, SHARE_BOUNDS = (-4.0, 5.0), (-20.0, 20.0), (-12.0, 6.0)

TINY = 1e-12


@dataclass(frozen=True)
class Component:
    """One kind of error. How often it hits an image grows with this power of how unsure a plain fit is of it."""

    kind: str
    power: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What is fitted. Trusted images follow the audited ones.

    Attributes
    ----------
    x
        float64 [N + m, C], evidence for each class: centred negative losses, scaled to size 1.
    labels, trusted
        int64 [N] given labels and [m] trusted ones.
    hard
        float64 [N + m, K], how hard each image is for each of the K components, from a plain fit.
    components
        K kinds of error.
    cost
        Prior against preference, in nats for a share of 1.
    """

    x: torch.Tensor
    labels: torch.Tensor
    trusted: torch.Tensor
    hard: torch.Tensor
    components: tuple[Component, ...] = ()
    cost: float = 0.0

    @classmethod
    def of(cls, losses: Array, labels: Array, trusted: Array, seed: int, device: str) -> Problem:
        """Set up a problem without components. `hard` [N + m, 1] is how unsure a plain fit is of each image.

        In a plain fit every label is right. `losses` are float32 [N + m, C], `labels` int64 [N], `trusted` int64 [m].
        """
        x = -torch.as_tensor(losses, dtype=torch.float64, device=device)
        x = x - x.mean(dim=1, keepdim=True)
        x = x / (x.square().mean().sqrt() + 1e-9)
        given, known = torch.tensor(labels, device=device), torch.tensor(trusted, device=device)
        plain = cls(x, given, known, x.new_zeros(len(x), 0))
        theta = plain.tensor(plain.part(seed).solve(plain.start(), ITERATIONS))
        return replace(plain, hard=1 - plain.posterior(theta).square().sum(dim=1, keepdim=True))

    def asking(self, components: tuple[Component, ...], cost: float = 0.0) -> Problem:
        """Give a problem without components these ones.

        With two classes there is only one wrong class, so that all kinds of error are `uniform`.
        """
        if self.n_classes == 2:
            powers = sorted({component.power for component in components})
            components = tuple(Component(UNIFORM, power) for power in powers)
        exponents = self.tensor([component.power for component in components])
        return replace(self, components=components, cost=cost, hard=self.hard.clamp(min=TINY) ** exponents)

    def part(self, seed: int) -> Problem:
        """Draw at random as many images as the parameters are fitted on; all where there are few."""
        most, n_rows = max(ENTRIES // self.n_classes, 1000), len(self.x)
        if n_rows <= most:
            return self
        rng = np.random.default_rng([seed, 81])
        return self.rows(*(np.sort(rng.permutation(k)[: part_of(k, most / n_rows)]) for k in sizes(self)))

    def tensor(self, values: Sequence[float] | Floats) -> torch.Tensor:
        """Put parameters or constants on the device of the evidence, in its precision."""
        return torch.tensor(values, dtype=self.x.dtype, device=self.x.device)

    @property
    def n(self) -> int:
        """N, the number of audited images."""
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """C."""
        return self.x.shape[1]

    def start(self) -> Floats:
        """Give the parameters where a fit starts: log scale, C class biases, K logits of shares."""
        biases, shares = np.zeros(self.n_classes), np.full(len(self.components), START)
        return np.concatenate([[LOG_SCALE], biases, shares])

    def rows(self, audited: Array, trusted: Array) -> Problem:
        """Take some audited and some trusted images, by their row numbers. A row may come more than once."""
        audited_, trusted_ = (torch.as_tensor(index, device=self.x.device) for index in (audited, trusted))
        index = torch.cat([audited_, self.n + trusted_])
        return replace(
            self,
            x=self.x[index],
            labels=self.labels[audited_],
            trusted=self.trusted[trusted_],
            hard=self.hard[index],
        )

    def posterior(self, theta: torch.Tensor) -> torch.Tensor:
        """Give q [N + m, C], the probability of each true class."""
        return torch.softmax(self.x * theta[0].exp() + theta[1 : 1 + self.n_classes], dim=1)

    def shares(self, theta: torch.Tensor) -> torch.Tensor:
        """Give the share [K] of each component. The rest, up to 1, is right."""
        logits = torch.cat([theta.new_zeros(1), theta[1 + self.n_classes :]])
        return torch.softmax(logits, dim=0)[1:]

    def joint(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the joint probabilities of right and of wrong, [N + m, C] each, trusted images treated as audited."""
        return self._joint(self.posterior(theta), self.shares(theta), None)

    def _joint(
        self, q: torch.Tensor, shares: torch.Tensor, given: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Right and wrong of every label, or only of the label `given` [n] of each image: [n, 1], enough for a fit."""
        of_kind = _kinds(q, {c.kind for c in self.components}, self.n, given)
        weights = self._weights(shares, len(q))
        wrong = torch.zeros_like(_at(q, given))
        for column, component in enumerate(self.components):
            wrong = wrong + weights[:, column : column + 1] * of_kind[component.kind]
        return (1 - weights.sum(dim=1, keepdim=True)) * _at(q, given), wrong

    def _weights(self, shares: torch.Tensor, n: int) -> torch.Tensor:
        """[n, K], probability of an error of each component on the first `n` images."""
        weights = shares * (self.hard[:n] / self.hard[: self.n].mean(dim=0))
        return weights * (MOST_WRONG / weights.sum(dim=1, keepdim=True).clamp(min=MOST_WRONG))

    def wrong_by_component(self, theta: torch.Tensor) -> torch.Tensor:
        """Give the part [K] of the audited labels that is wrong by each component, within `MOST_WRONG` on any image."""
        return self._weights(self.shares(theta), self.n).mean(dim=0)

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        """Give the negative log posterior of the parameters, divided by N."""
        q, shares = self.posterior(theta), self.shares(theta)
        right, wrong = self._joint(q[: self.n], shares, self.labels)
        given = -torch.log(right + wrong + TINY).sum()
        trusted = -torch.log(_at(q[self.n :], self.trusted) + TINY).sum()
        preferring = self.tensor([float(c.power > 0) for c in self.components])
        prior = 0.5 * CLASS_BIAS * theta[1 : 1 + self.n_classes].square().sum()
        prior = prior + 0.5 * SCALE_CONFIDENCE * (theta[0] - LOG_SCALE) ** 2
        prior = prior + self.cost * (preferring @ shares)
        found: torch.Tensor = (given + trusted + prior) / self.n  # of a size that suits the steps of L-BFGS
        return found

    def solve(self, start: Floats, iterations: int) -> Floats:
        """Minimise the loss by L-BFGS from `start`, within bounds that keep a trial step from overflowing."""

        def value(at: Floats) -> tuple[float, Floats]:
            theta = self.tensor(at).requires_grad_()
            loss = self.loss(theta)
            (gradient,) = torch.autograd.grad(loss, theta)
            return float(loss.detach()), gradient.cpu().numpy()

        bounds = [SCALE_BOUNDS, *[BIAS_BOUNDS] * self.n_classes, *[SHARE_BOUNDS] * len(self.components)]
        low, high = np.array(bounds).T
        with threads_for(self.x.numel()):
            return bounded(value, np.clip(start, low, high), bounds, maxiter=iterations, maxcor=20)


def _kinds(q: torch.Tensor, wanted: set[str], n: int, given: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Kind -> [n, C], probability of a wrong label c when the true class follows q. Rows sum to 1.

    With labels `given` [n] it is [n, 1], for the label of each image only. How classes resemble each other in general
    is read from the first `n` rows, the audited images.
    """
    n_classes, found = q.shape[1], {}
    if UNIFORM in wanted:
        found[UNIFORM] = (1 - _at(q, given)) / (n_classes - 1)
    if CONFUSION in wanted:
        odds = q / (1 - q).clamp(min=1e-6)
        found[CONFUSION] = _at(q, given) * (odds.sum(dim=1, keepdim=True) - _at(odds, given))
    if CLASSWISE in wanted:
        alike = q[:n].T @ q[:n] * (1 - torch.eye(n_classes, dtype=q.dtype, device=q.device))
        alike = alike / alike.sum(dim=1, keepdim=True).clamp(min=TINY)
        found[CLASSWISE] = q @ alike if given is None else (q * alike.T[given]).sum(dim=1, keepdim=True)
    return found


def _at(table: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
    """[n, 1], the column `given` [n] of each row; the whole table where it is None."""
    return table if given is None else table.gather(1, given[:, None])


def sizes(problem: Problem) -> tuple[int, int]:
    """Give the numbers of audited and of trusted images."""
    return problem.n, len(problem.trusted)


def part_of(count: int, share: float) -> int:
    """Give `count` times `share`, rounded; at least 1 where `count` is."""
    return min(count, max(1, round(count * share)))
