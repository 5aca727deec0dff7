"""How the given labels came about, as a likelihood: what the share of wrong labels and every probability rest on.

A given label is right, and then follows the posterior q of the true class given the image, or it is wrong, and then is
a mixture of a few kinds of error:

    p(given = j | x) = (1 - sum_k e_k h_k(x)) q_j(x) + sum_k e_k h_k(x) N_k(j | x)

The kinds N_k are those that planted labels stand for: a wrong class at random (`uniform`), one the model confuses with
the true class on this very image (`confusion`), or one that is like the true class in general (`classwise`, the
transition matrix of class-conditional noise; Patrini et al., 2017). Errors hit all images alike (h = 1) or, some of
them, images that are hard (instance-dependent noise; Xia et al., 2020): h is a power, 0.5 to 2, of how unsure a plain
fit of the given labels is of the image. Such errors hide well: a plain fit takes them for its own doubt. Both
assumptions are fitted and averaged by how well they explain the labels (Akaike weights; Burnham and Anderson, 2002),
but for many classes without trusted labels, where errors on hard images also explain whatever else is off about the
model (0.14 on the right labels of 3,334 photographs in ten classes); there the second one widens the interval alone.
A third fit, which holds nothing against errors on hard images, says how many there could be.

q is a softmax of the stacked head's left-out losses with a scale and class biases, fitted together with the shares
e_k by maximum likelihood. Trusted labels, where there are any, enter as right ones (e = 0) and pin q down. Without them
only the shape of the softmax tells an uncertain model from wrong labels; that is an assumption and is stated as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from auditor.arrays import Array, Floats
from auditor.machine import threads_for

UNIFORM, CONFUSION, CLASSWISE = "uniform", "confusion", "classwise"
KINDS = (UNIFORM, CONFUSION, CLASSWISE)
PREFERENCE_COST = 20.0
"""Prior against preference, in nats for a share of 1: errors hit all images alike unless the labels say otherwise."""
FREEDOM = 3.0
"""Nats that a fit with preference must be better by to weigh as much as one without: its three further shares."""
MOST_WRONG = 0.98
"""The most that errors of all kinds together may reach on one image."""
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
    """One kind of error; how often it hits an image goes with this power of how unsure a plain fit is of it."""

    kind: str
    power: float = 0.0


ALIKE = tuple(Component(kind) for kind in (CONFUSION, UNIFORM, CLASSWISE))
PREFERRING = (*ALIKE, *(Component(CONFUSION, power) for power in (0.5, 1.0, 2.0)))


@dataclass(frozen=True)
class LabelModel:
    """The fitted likelihood.

    Attributes
    ----------
    share
        Of wrong labels among the given ones.
    kinds
        Kind -> its part of the wrong labels; they sum to 1.
    right, wrong
        float64 [N + m, C]: the joint probability that label c is given to the image and is right, or wrong. Trusted
        images follow the audited ones.
    evidence
        What was fitted, for `spread` to fit again.
    """

    share: float
    kinds: dict[str, float]
    right: Floats
    wrong: Floats
    evidence: Evidence

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
class Spread:
    """How far off the share may be.

    Attributes
    ----------
    shares
        What it would be if errors hit all images alike, if some prefer hard images, and if nothing spoke against that.
    error
        Standard error of drawing these images.
    """

    shares: tuple[float, float, float]
    error: float


@dataclass(frozen=True)
class Evidence:
    """The question before any kind of error is asked for, and the answers that have been found."""

    problem: _Problem
    alike: Answer
    preferring: Answer | None


@dataclass(frozen=True)
class Answer:
    """The share of wrong labels by one fit, and its parameters: log scale, class biases and logits of the shares."""

    share: float
    parameters: Floats


@dataclass(frozen=True)
class _Problem:
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
    def of(cls, losses: Array, labels: Array, trusted: Array, seed: int, device: str) -> _Problem:
        """Nothing is asked yet; `hard` [N + m, 1] is how unsure a plain fit is, in which every label is right."""
        x = -torch.as_tensor(losses, dtype=torch.float64, device=device)
        x = x - x.mean(dim=1, keepdim=True)
        x = x / (x.square().mean().sqrt() + 1e-9)
        given, known = torch.tensor(labels, device=device), torch.tensor(trusted, device=device)
        plain = cls(x, given, known, x.new_zeros(len(x), 0))
        theta = plain.tensor(plain.part(seed).solve(plain.start(), ITERATIONS))
        return replace(plain, hard=1 - plain.posterior(theta).square().sum(dim=1, keepdim=True))

    def asking(self, components: tuple[Component, ...], cost: float = 0.0) -> _Problem:
        """Of a problem that asks nothing: errors of these kinds, and how hard each finds the images.

        Of two classes the other one is the only wrong one, whatever the kind.
        """
        if self.n_classes == 2:
            powers = sorted({component.power for component in components})
            components = tuple(Component(UNIFORM, power) for power in powers)
        exponents = self.tensor([component.power for component in components])
        return replace(self, components=components, cost=cost, hard=self.hard.clamp(min=_TINY) ** exponents)

    def part(self, seed: int) -> _Problem:
        """As many of the images, drawn at random, as the parameters are fitted on."""
        most, n_rows = max(ENTRIES // self.n_classes, 1000), len(self.x)
        if n_rows <= most:
            return self
        rng = np.random.default_rng([seed, 81])
        return self.rows(*(np.sort(rng.permutation(k)[: _scaled(k, most / n_rows)]) for k in _sizes(self)))

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

    def rows(self, audited: Array, trusted: Array) -> _Problem:
        """Some of the audited and some of the trusted images, repeated where they are drawn repeatedly."""
        audited_, trusted_ = (torch.as_tensor(index, device=self.x.device) for index in (audited, trusted))
        index = torch.cat([audited_, self.n + trusted_])
        return replace(
            self, x=self.x[index], labels=self.labels[audited_], trusted=self.trusted[trusted_],
            hard=self.hard[index],
        )  # fmt: skip

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
        given = -torch.log(right + wrong + _TINY).sum()
        trusted = -torch.log(_at(q[self.n :], self.trusted) + _TINY).sum()
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
        alike = q[:n].T @ q[:n] * (1 - torch.eye(n_classes, dtype=q.dtype, device=q.device))
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
    device: str = "cpu",
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
    device
        Where to compute.
    """
    problem = _Problem.of(losses, labels, trusted, seed, device)
    alike = _fit(problem.asking(ALIKE), seed)
    if problem.n_classes > 2 and len(trusted) < ENOUGH_TRUSTED:  # preference widens the interval alone
        return _model(problem, alike, None, 0.0)
    preferring = _fit(problem.asking(PREFERRING, PREFERENCE_COST), seed)
    return _model(problem, alike, preferring, float(expit(alike.loss - preferring.loss - FREEDOM)))


def _model(problem: _Problem, alike: _Fitted, preferring: _Fitted | None, weight: float) -> LabelModel:
    """Both fits averaged, `weight` being that of the one with preference."""
    evidence = Evidence(problem, alike.answer, None if preferring is None else preferring.answer)
    preferring = preferring or alike

    def average(one: Any, other: Any) -> Any:
        return weight * one + (1 - weight) * other

    share = average(preferring.share, alike.share)
    wrong = {kind: average(preferring.wrong_of[kind], alike.wrong_of[kind]) for kind in KINDS}
    return LabelModel(
        share,
        {kind: part / max(share, _TINY) for kind, part in wrong.items()},
        average(preferring.right, alike.right),
        average(preferring.wrong, alike.wrong),
        evidence,
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

    @property
    def answer(self) -> Answer:
        return Answer(self.share, self.parameters)


def _fit(problem: _Problem, seed: int, start: Floats | None = None) -> _Fitted:
    part = problem.part(seed)
    parameters = part.solve(problem.start() if start is None else _lifted(start, problem), ITERATIONS)
    theta = problem.tensor(parameters)
    with torch.no_grad():
        right, wrong = problem.joint(theta)
        shares, loss = problem.wrong_by_component(theta).cpu().numpy(), float(part.loss(theta)) * part.n
    by_kind = dict.fromkeys(KINDS, 0.0)
    for component, share in zip(problem.components, shares, strict=True):
        by_kind[component.kind] += float(share)
    return _Fitted(loss, by_kind, right.cpu().numpy(), wrong.cpu().numpy(), parameters)


def _lifted(parameters: Floats, problem: _Problem) -> Floats:
    """Where another fit starts: no share so low that its gradient is lost."""
    first = 1 + problem.n_classes
    return np.append(parameters[:first], np.maximum(parameters[first:], LOWEST))


def _sizes(problem: _Problem) -> tuple[int, int]:
    return problem.n, len(problem.trusted)


def _scaled(count: int, share: float) -> int:
    """`count` times `share`, at least 1 of any."""
    return min(count, max(1, round(count * share)))


def spread(evidence: Evidence, *, resamples: int, seed: int) -> Spread:
    """How far off the share may be: other assumptions, and refits on resampled audited and trusted images."""
    plain = evidence.problem
    problem = plain.asking(PREFERRING, PREFERENCE_COST)
    preferring = evidence.preferring or _fit(problem, seed).answer
    free = _fit(plain.asking(PREFERRING), seed, preferring.parameters)
    shares = evidence.alike.share, preferring.share, free.share
    if evidence.preferring is None:  # the estimate is that of errors that hit all images alike, and so is its error
        problem, preferring = plain.asking(ALIKE), evidence.alike
    return Spread(shares, _standard_error(problem, preferring.parameters, resamples, seed))


def _standard_error(problem: _Problem, parameters: Floats, resamples: int, seed: int) -> float:
    """Of the share of wrong labels, by the m-out-of-n bootstrap."""
    size = min(RESAMPLED, max(ENTRIES // problem.n_classes, 1000))
    rng = np.random.default_rng([seed, 82])
    part = min(1.0, size / max(problem.n, 1))
    counts = [_scaled(k, part) for k in _sizes(problem)]
    start = _lifted(parameters, problem)
    found = np.empty(resamples)
    for index in range(resamples):
        drawn = problem.rows(*(rng.integers(0, max(k, 1), c) for k, c in zip(_sizes(problem), counts, strict=True)))
        theta = drawn.tensor(drawn.solve(start, ITERATIONS_RESAMPLED))
        found[index] = float(drawn.wrong_by_component(theta).sum())
    return float(found.std(ddof=1) * np.sqrt(part)) if resamples > 1 else float("inf")
