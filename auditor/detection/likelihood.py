"""TODO auditor.detection.likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize

from auditor.compute.hardware import threads_for
from auditor.system.arrays import Array, Floats

UNIFORM, CONFUSION, CLASSWISE = "uniform", "confusion", "classwise"

KINDS = (UNIFORM, CONFUSION, CLASSWISE)

MOST_WRONG = 0.98
"""The most that errors of all kinds together may reach on one image."""

CLASS_BIAS = 1.0
"""Ridge penalty on the class biases of q."""

LOG_SCALE, SCALE_CONFIDENCE = 0.7, 3.0
"""Prior of the log of q's scale on losses of unit size: a head with left-out losses like these tells its classes apart.
Without it, and without trusted labels, heavy noise and a model that knows nothing explain the labels equally well."""

START = -3.0

ENTRIES = 600_000
"""Images times classes that the parameters are fitted on; beyond it a random part of the images speaks for all."""

ITERATIONS, ITERATIONS_RESAMPLED = 80, 25

SCALE_BOUNDS, BIAS_BOUNDS, SHARE_BOUNDS = (-4.0, 5.0), (-20.0, 20.0), (-12.0, 6.0)

TINY = 1e-12


@dataclass(frozen=True)
class Component:
    """One kind of error; how often it hits an image goes with this power of how unsure a plain fit is of it."""

    kind: str
    power: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What is fitted: `x` float64 [N + m, C] evidence for each class, labels [N] and trusted labels [m].

    `hard` float64 [N + m, K] is how hard each image is in the eyes of each component, from a plain fit; `cost` the
    prior against preference.
    """

    x: torch.Tensor
    labels: torch.Tensor
    trusted: torch.Tensor
    hard: torch.Tensor
    components: tuple[Component, ...] = ()
    cost: float = 0.0

    @classmethod
    def of(cls, losses: Array, labels: Array, trusted: Array, seed: int, device: str) -> Problem:
        """Nothing is asked yet; `hard` [N + m, 1] is how unsure a plain fit is, in which every label is right."""
        x = -torch.as_tensor(losses, dtype=torch.float64, device=device)
        x = x - x.mean(dim=1, keepdim=True)
        x = x / (x.square().mean().sqrt() + 1e-9)
        given, known = torch.tensor(labels, device=device), torch.tensor(trusted, device=device)
        plain = cls(x, given, known, x.new_zeros(len(x), 0))
        theta = plain.tensor(plain.part(seed).solve(plain.start(), ITERATIONS))
        return replace(plain, hard=1 - plain.posterior(theta).square().sum(dim=1, keepdim=True))

    def asking(self, components: tuple[Component, ...], cost: float = 0.0) -> Problem:
        """Of a problem that asks nothing: errors of these kinds, and how hard each finds the images.

        Of two classes the other one is the only wrong one, whatever the kind.
        """
        if self.n_classes == 2:
            powers = sorted({component.power for component in components})
            components = tuple(Component(UNIFORM, power) for power in powers)
        exponents = self.tensor([component.power for component in components])
        return replace(self, components=components, cost=cost, hard=self.hard.clamp(min=TINY) ** exponents)

    def part(self, seed: int) -> Problem:
        """As many of the images, drawn at random, as the parameters are fitted on."""
        most, n_rows = max(ENTRIES // self.n_classes, 1000), len(self.x)
        if n_rows <= most:
            return self
        rng = np.random.default_rng([seed, 81])
        return self.rows(
            *(np.sort(rng.permutation(k)[: scaled_losses(k, most / n_rows)]) for k in component_sizes(self))
        )

    def tensor(self, values: Sequence[float] | Floats) -> torch.Tensor:
        """Parameters or constants, in the precision and on the device of the evidence."""
        return torch.tensor(values, dtype=self.x.dtype, device=self.x.device)

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        return self.x.shape[1]

    def start(self) -> Floats:
        biases, shares = np.zeros(self.n_classes), np.full(len(self.components), START)
        return np.concatenate([[LOG_SCALE], biases, shares])

    def rows(self, audited: Array, trusted: Array) -> Problem:
        """Some of the audited and some of the trusted images, repeated where they are drawn repeatedly."""
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
        """q [N + m, C]."""
        return torch.softmax(self.x * theta[0].exp() + theta[1 : 1 + self.n_classes], dim=1)

    def shares(self, theta: torch.Tensor) -> torch.Tensor:
        """[K]; what is left of 1 is right."""
        logits = torch.cat([theta.new_zeros(1), theta[1 + self.n_classes :]])
        return torch.softmax(logits, dim=0)[1:]

    def joint(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Right and wrong [N + m, C], the trusted images' as if they were audited."""
        return self._joint(self.posterior(theta), self.shares(theta), None)

    def _joint(
        self, q: torch.Tensor, shares: torch.Tensor, given: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Right and wrong of every label, or [n, 1] of one label `given` [n] an image: all that a fit has to know."""
        of_kind = _kinds(q, {c.kind for c in self.components}, self.n, given)
        weights = self._weights(shares, len(q))
        wrong = torch.zeros_like(_at(q, given))
        for column, component in enumerate(self.components):
            wrong = wrong + weights[:, column : column + 1] * of_kind[component.kind]
        return (1 - weights.sum(dim=1, keepdim=True)) * _at(q, given), wrong

    def _weights(self, shares: torch.Tensor, n: int) -> torch.Tensor:
        """[n, K]: how probable an error of each component is on the first `n` images."""
        weights = shares * (self.hard[:n] / self.hard[: self.n].mean(dim=0))
        return weights * (MOST_WRONG / weights.sum(dim=1, keepdim=True).clamp(min=MOST_WRONG))

    def wrong_by_component(self, theta: torch.Tensor) -> torch.Tensor:
        """[K], the part of the audited labels that is wrong by each; what no image can take is not in it."""
        return self._weights(self.shares(theta), self.n).mean(dim=0)

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        """Negative log posterior of the parameters."""
        q, shares = self.posterior(theta), self.shares(theta)
        right, wrong = self._joint(q[: self.n], shares, self.labels)
        given = -torch.log(right + wrong + TINY).sum()
        trusted = -torch.log(_at(q[self.n :], self.trusted) + TINY).sum()
        preferring = self.tensor([float(c.power > 0) for c in self.components])
        prior = 0.5 * CLASS_BIAS * theta[1 : 1 + self.n_classes].square().sum()
        prior = prior + 0.5 * SCALE_CONFIDENCE * (theta[0] - LOG_SCALE) ** 2
        prior = prior + self.cost * (preferring @ shares)
        found: torch.Tensor = (given + trusted + prior) / self.n  # steps of a size that suits L-BFGS
        return found

    def solve(self, start: Floats, iterations: int) -> Floats:
        """Parameters that minimise the loss, by L-BFGS from `start`; bounds keep a trial step from overflowing."""

        def value(at: Floats) -> tuple[float, Floats]:
            theta = self.tensor(at).requires_grad_()
            loss = self.loss(theta)
            (gradient,) = torch.autograd.grad(loss, theta)
            return float(loss.detach()), gradient.cpu().numpy()

        bounds = [SCALE_BOUNDS, *[BIAS_BOUNDS] * self.n_classes, *[SHARE_BOUNDS] * len(self.components)]
        low, high = np.array(bounds).T
        with threads_for(self.x.numel()):
            found = minimize(
                value,
                np.clip(start, low, high),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": iterations, "maxcor": 20},
            )
        return np.asarray(found.x)


def _kinds(q: torch.Tensor, wanted: set[str], n: int, given: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Kind -> [n, C], probability of a wrong label c when the true class follows q; rows sum to 1.

    With one label `given` [n] an image, [n, 1] of that label alone. What classes are like in general is read off the
    first `n` rows, the audited images.
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
    """[n, 1], the column `given` [n] of each row; all of them where none is given."""
    return table if given is None else table.gather(1, given[:, None])


def component_sizes(problem: Problem) -> tuple[int, int]:
    return problem.n, len(problem.trusted)


def scaled_losses(count: int, share: float) -> int:
    """`count` times `share`, at least 1 of any."""
    return min(count, max(1, round(count * share)))
