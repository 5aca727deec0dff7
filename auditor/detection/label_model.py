"""How the given labels came about, as a likelihood: what the share of wrong labels and every probability rest on.

A given label is right, and then follows the posterior q of the true class given the image, or it is wrong, and then is
a mixture of a few kinds of error:

    p(given = j | x) = (1 - sum_k e_k h_k(x)) q_j(x) + sum_k e_k h_k(x) N_k(j | x)

The kinds N_k are those that planted labels stand for: a wrong class at random (`uniform`), one the model confuses with
the true class on this very image (`confusion`), or one that is like the true class in general (`classwise`, the
transition matrix of class-conditional noise; Patrini et al., 2017). Errors hit all images alike (h = 1) or half of
them prefer images the model is unsure of (instance-dependent noise; Xia et al., 2020), which hides them better. Both
are fitted and averaged by how well they explain the labels (Akaike weights; Burnham and Anderson, 2002).

q is a softmax of the stacked head's left-out losses with a scale and class biases, fitted together with the shares
e_k by maximum likelihood. Trusted labels, where there are any, enter as right ones (e = 0) and pin q down. Without them
only the shape of the softmax tells an uncertain model from wrong labels; that is an assumption and is stated as one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from auditor.arrays import Array, Floats

UNIFORM, CONFUSION, CLASSWISE = "uniform", "confusion", "classwise"
KINDS = (UNIFORM, CONFUSION, CLASSWISE)
UNSURE = 0.5
"""Part of the errors that prefers unsure images, in the components that have it."""
PREFERENCE_COST = 50.0
"""Prior against preference, in nats for a share of 1: errors hit all images alike unless the labels say otherwise."""
FREEDOM = 1.0
"""Nats that a fit with preference must be better by to weigh as much as one without: its two further shares, neither
below 0, are worth half a parameter each."""
CLASS_BIAS = 1.0
"""Ridge penalty on the class biases of q."""
LOG_SCALE, SCALE_CONFIDENCE = 0.7, 3.0
"""Prior of the log of q's scale on losses of unit size: a head with left-out losses like these tells its classes apart.
Without it, and without trusted labels, heavy noise and a model that knows nothing explain the labels equally well."""
START = -3.0
LOWEST = -5.0
"""Logits of the shares where a fit starts, and the least where a resample starts: below, the gradient is lost."""
ENOUGH_TRUSTED = 100
"""Fewer trusted images than this do not pin down how sure the model may be."""
ENTRIES = 600_000
"""Images times classes that the parameters are fitted on; beyond it a random part of the images speaks for all."""
RESAMPLED = 4_000
"""Images of one resample; the spread is scaled to all of them."""
ITERATIONS, ITERATIONS_RESAMPLED = 80, 25
SCALE_BOUNDS, BIAS_BOUNDS, SHARE_BOUNDS = (-4.0, 5.0), (-20.0, 20.0), (-12.0, 6.0)
_TINY = 1e-12


@dataclass(frozen=True)
class Component:
    """One kind of error and the part of it that prefers unsure images."""

    kind: str
    unsure: float = 0.0


ALIKE = tuple(Component(kind) for kind in (CONFUSION, UNIFORM, CLASSWISE))
PREFERRING = (*ALIKE, Component(CLASSWISE, UNSURE), Component(CONFUSION, UNSURE))


@dataclass(frozen=True)
class LabelModel:
    """The fitted likelihood.

    Attributes
    ----------
    share
        Of wrong labels among the given ones.
    shares
        What it would be if errors hit all images alike, and if some prefer images the model is unsure of.
    kinds
        Kind -> its part of the wrong labels; they sum to 1.
    right, wrong
        float64 [N + m, C]: the joint probability that label c is given to the image and is right, or wrong. Trusted
        images follow the audited ones.
    parameters
        With preference: log scale, class biases and logits of the shares; where a resample starts.
    """

    share: float
    shares: tuple[float, float]
    kinds: dict[str, float]
    right: Floats
    wrong: Floats
    parameters: Floats

    def log_odds(self) -> Floats:
        """float32 [N + m, C], of wrong against right, for every label on every image."""
        odds = np.log(np.maximum(self.wrong, _TINY)) - np.log(np.maximum(self.right, _TINY))
        return np.asarray(odds, dtype=np.float32)

    def select(self, rows: Array) -> LabelModel:
        """The same model's word on some of the images."""
        return replace(self, right=self.right[rows], wrong=self.wrong[rows])

    def at_share(self, share: float) -> Floats:
        """float64 [N + m, C], probability that a label is wrong if `share` of all labels were."""
        found = max(self.share, _TINY)
        wrong = self.wrong * (share / found)
        right = self.right * ((1 - share) / max(1 - found, _TINY))
        return np.asarray(wrong / np.maximum(wrong + right, _TINY**2))


@dataclass(frozen=True)
class _Problem:
    """What is fitted: `x` float64 [N + m, C] evidence for each class, labels [N] and trusted labels [m]."""

    x: torch.Tensor
    labels: torch.Tensor
    trusted: torch.Tensor
    components: tuple[Component, ...]

    @classmethod
    def of(cls, losses: Array, labels: Array, trusted: Array, components: tuple[Component, ...]) -> _Problem:
        x = -torch.as_tensor(losses, dtype=torch.float64)
        x = x - x.mean(dim=1, keepdim=True)
        x = x / (x.square().mean().sqrt() + 1e-9)
        if losses.shape[1] == 2:  # the other class is the only wrong one, whatever the kind
            components = tuple(sorted({Component(UNIFORM, c.unsure) for c in components}, key=lambda c: c.unsure))
            # Nothing but trusted labels tells errors on unsure images of two classes from an unsure model.
            components = components if len(trusted) >= ENOUGH_TRUSTED else tuple(c for c in components if not c.unsure)
        return cls(x, torch.tensor(labels), torch.tensor(trusted), components)

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        return self.x.shape[1]

    def start(self) -> Floats:
        biases, shares = np.zeros(self.n_classes), np.full(len(self.components), START)
        return np.concatenate([[LOG_SCALE], biases, shares])

    def rows(self, audited: Array, trusted: Array) -> _Problem:
        """Some of the audited and some of the trusted images, repeated where they are drawn repeatedly."""
        audited_, trusted_ = torch.as_tensor(audited), torch.as_tensor(trusted)
        x = torch.cat([self.x[audited_], self.x[self.n + trusted_]])
        return _Problem(x, self.labels[audited_], self.trusted[trusted_], self.components)

    def posterior(self, theta: torch.Tensor) -> torch.Tensor:
        """q [N + m, C]."""
        return torch.softmax(self.x * theta[0].exp() + theta[1 : 1 + self.n_classes], dim=1)

    def shares(self, theta: torch.Tensor) -> torch.Tensor:
        """[K]; what is left of 1 is right."""
        logits = torch.cat([torch.zeros(1, dtype=theta.dtype), theta[1 + self.n_classes :]])
        return torch.softmax(logits, dim=0)[1:]

    def joint(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Right and wrong [N + m, C], the trusted images' as if they were audited."""
        return self._joint(self.posterior(theta), self.shares(theta), None)

    def _joint(
        self, q: torch.Tensor, shares: torch.Tensor, given: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Right and wrong of every label, or [n, 1] of one label `given` [n] an image: all that a fit has to know."""
        of_kind = _kinds(q, {c.kind for c in self.components}, self.n, given)
        unsure = 1 - q.square().sum(dim=1, keepdim=True)
        unsure = unsure / unsure[: self.n].mean().clamp(min=_TINY)  # 0 where every image is sure
        wrong, total = torch.zeros_like(unsure), torch.zeros_like(unsure)
        for share, component in zip(shares, self.components, strict=True):
            weight = share * (1 - component.unsure + component.unsure * unsure)
            wrong = wrong + weight * of_kind[component.kind]
            total = total + weight
        return (1 - total).clamp(min=1e-3) * _at(q, given), wrong

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        """Negative log posterior of the parameters."""
        q, shares = self.posterior(theta), self.shares(theta)
        right, wrong = self._joint(q[: self.n], shares, self.labels)
        given = -torch.log(right + wrong + _TINY).sum()
        trusted = -torch.log(_at(q[self.n :], self.trusted) + _TINY).sum()
        preferring = torch.tensor([c.unsure for c in self.components], dtype=theta.dtype)
        prior = 0.5 * CLASS_BIAS * theta[1 : 1 + self.n_classes].square().sum()
        prior = prior + 0.5 * SCALE_CONFIDENCE * (theta[0] - LOG_SCALE) ** 2
        prior = prior + PREFERENCE_COST * (preferring @ shares)
        found: torch.Tensor = (given + trusted + prior) / self.n  # steps of a size that suits L-BFGS
        return found

    def solve(self, start: Floats, iterations: int) -> Floats:
        """Parameters that minimise the loss, by L-BFGS from `start`; bounds keep a trial step from overflowing."""

        def value(at: Floats) -> tuple[float, Floats]:
            theta = torch.tensor(at, requires_grad=True)
            loss = self.loss(theta)
            (gradient,) = torch.autograd.grad(loss, theta)
            return float(loss.detach()), gradient.numpy()

        bounds = [SCALE_BOUNDS, *[BIAS_BOUNDS] * self.n_classes, *[SHARE_BOUNDS] * len(self.components)]
        low, high = np.array(bounds).T
        found = minimize(
            value, np.clip(start, low, high), jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": iterations, "maxcor": 20},
        )  # fmt: skip
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
        alike = q[:n].T @ q[:n] * (1 - torch.eye(n_classes, dtype=q.dtype))
        alike = alike / alike.sum(dim=1, keepdim=True).clamp(min=_TINY)
        found[CLASSWISE] = q @ alike if given is None else (q * alike.T[given]).sum(dim=1, keepdim=True)
    return found


def _at(table: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
    """[n, 1], the column `given` [n] of each row; all of them where none is given."""
    return table if given is None else table.gather(1, given[:, None])


def fit_label_model(
    losses: Array,
    labels: Array,
    trusted: Array,
    *,
    seed: int,
) -> LabelModel:
    """Maximum (penalised) likelihood of how the given labels came about.

    Parameters
    ----------
    losses
        float32 [N + m, C], left-out loss of every label on every image, trusted images last.
    labels, trusted
        int64 [N] given labels and [m] trusted ones (m may be 0).
    seed
        Draws the images that are fitted on where there are too many.
    """
    preferring = _fit(_Problem.of(losses, labels, trusted, PREFERRING), seed)
    alike = _fit(_Problem.of(losses, labels, trusted, ALIKE), seed)
    weight = float(expit(alike.loss - preferring.loss - FREEDOM))

    def average(one: Any, other: Any) -> Any:
        return weight * one + (1 - weight) * other

    share = average(preferring.share, alike.share)
    wrong = {kind: average(preferring.wrong_of[kind], alike.wrong_of[kind]) for kind in KINDS}
    return LabelModel(
        share,
        (alike.share, preferring.share),
        {kind: part / max(share, _TINY) for kind, part in wrong.items()},
        average(preferring.right, alike.right),
        average(preferring.wrong, alike.wrong),
        preferring.parameters,
    )


@dataclass(frozen=True)
class _Fitted:
    """One set of components fitted: its loss in nats, shares by kind, and joint probabilities [N + m, C]."""

    loss: float
    wrong_of: dict[str, float]
    right: Floats
    wrong: Floats
    parameters: Floats

    @property
    def share(self) -> float:
        return sum(self.wrong_of.values())


def _fit(problem: _Problem, seed: int) -> _Fitted:
    most = max(ENTRIES // problem.n_classes, 1000)
    part, n_rows = problem, len(problem.x)
    if n_rows > most:
        rng = np.random.default_rng([seed, 81])
        share = most / n_rows
        part = problem.rows(*(np.sort(rng.permutation(k)[: _scaled(k, share)]) for k in _sizes(problem)))
    parameters = part.solve(problem.start(), ITERATIONS)
    theta = torch.tensor(parameters)
    with torch.no_grad():
        right, wrong = problem.joint(theta)
        shares, loss = problem.shares(theta).numpy(), float(part.loss(theta)) * part.n
    by_kind = dict.fromkeys(KINDS, 0.0)
    for component, share in zip(problem.components, shares, strict=True):
        by_kind[component.kind] += float(share)
    return _Fitted(loss, by_kind, right.numpy(), wrong.numpy(), parameters)


def _sizes(problem: _Problem) -> tuple[int, int]:
    return problem.n, len(problem.trusted)


def _scaled(count: int, share: float) -> int:
    """`count` times `share`, at least 1 of any."""
    return min(count, max(1, round(count * share)))


def spread(
    model: LabelModel,
    losses: Array,
    labels: Array,
    trusted: Array,
    *,
    resamples: int,
    seed: int,
) -> float:
    """Standard error of the share, by refits on resampled audited and trusted images (m-out-of-n bootstrap)."""
    problem = _Problem.of(losses, labels, trusted, PREFERRING)
    size = min(RESAMPLED, max(ENTRIES // problem.n_classes, 1000))
    rng = np.random.default_rng([seed, 82])
    part = min(1.0, size / max(problem.n, 1))
    counts = [_scaled(k, part) for k in _sizes(problem)]
    found = np.empty(resamples)
    for index in range(resamples):
        start = np.append(
            model.parameters[: 1 + problem.n_classes], np.maximum(model.parameters[1 + problem.n_classes :], LOWEST)
        )
        drawn = [rng.integers(0, max(k, 1), c) for k, c in zip(_sizes(problem), counts, strict=True)]
        theta = torch.tensor(problem.rows(*drawn).solve(start, ITERATIONS_RESAMPLED))
        found[index] = float(problem.shares(theta).sum())
    return float(found.std(ddof=1) * np.sqrt(part)) if resamples > 1 else float("inf")
