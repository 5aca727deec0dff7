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

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from auditor.detection.likelihood import (
    CLASSWISE,
    CONFUSION,
    ENTRIES,
    ITERATIONS,
    ITERATIONS_RESAMPLED,
    KINDS,
    TINY,
    UNIFORM,
    Component,
    Problem,
    component_sizes,
    scaled_losses,
)
from auditor.system.arrays import Array, Floats

PREFERENCE_COST = 20.0
"""Prior against preference, in nats for a share of 1: errors hit all images alike unless the labels say otherwise."""

FREEDOM = 3.0
"""Nats that a fit with preference must be better by to weigh as much as one without: its three further shares."""

LOWEST = -5.0
"""Logits of the shares where a fit starts, and the least where a resample starts: below, the gradient is lost."""

ENOUGH_TRUSTED = 100
"""Fewer trusted images than this do not pin down how sure the model may be."""

RESAMPLED = 4_000
"""Images of one resample; the spread is scaled to all of them."""

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
        odds = np.log(np.maximum(self.wrong, TINY)) - np.log(np.maximum(self.right, TINY))
        return np.asarray(odds, dtype=np.float32)

    def select(self, rows: Array) -> LabelModel:
        """The same model's word on some of the images."""
        return replace(self, right=self.right[rows], wrong=self.wrong[rows])

    def at_share(self, share: float) -> Floats:
        """float64 [N + m, C], probability that a label is wrong if `share` of all labels were."""
        found = max(self.share, TINY)
        wrong = self.wrong * (share / found)
        right = self.right * ((1 - share) / max(1 - found, TINY))
        return np.asarray(wrong / np.maximum(wrong + right, TINY**2))


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

    problem: Problem
    alike: Answer
    preferring: Answer | None


@dataclass(frozen=True)
class Answer:
    """The share of wrong labels by one fit, and its parameters: log scale, class biases and logits of the shares."""

    share: float
    parameters: Floats


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
    problem = Problem.of(losses, labels, trusted, seed, device)
    alike = _fit(problem.asking(ALIKE), seed)
    if problem.n_classes > 2 and len(trusted) < ENOUGH_TRUSTED:  # preference widens the interval alone
        return _model(problem, alike, None, 0.0)
    preferring = _fit(problem.asking(PREFERRING, PREFERENCE_COST), seed)
    return _model(problem, alike, preferring, float(expit(alike.loss - preferring.loss - FREEDOM)))


def _model(problem: Problem, alike: _Fitted, preferring: _Fitted | None, weight: float) -> LabelModel:
    """Both fits averaged, `weight` being that of the one with preference."""
    evidence = Evidence(problem, alike.answer, None if preferring is None else preferring.answer)
    preferring = preferring or alike

    def average(one: Any, other: Any) -> Any:
        return weight * one + (1 - weight) * other

    share = average(preferring.share, alike.share)
    wrong = {kind: average(preferring.wrong_of[kind], alike.wrong_of[kind]) for kind in KINDS}
    return LabelModel(
        share,
        {kind: part / max(share, TINY) for kind, part in wrong.items()},
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


def _fit(problem: Problem, seed: int, start: Floats | None = None) -> _Fitted:
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


def _lifted(parameters: Floats, problem: Problem) -> Floats:
    """Where another fit starts: no share so low that its gradient is lost."""
    first = 1 + problem.n_classes
    return np.append(parameters[:first], np.maximum(parameters[first:], LOWEST))


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


def _standard_error(problem: Problem, parameters: Floats, resamples: int, seed: int) -> float:
    """Of the share of wrong labels, by the m-out-of-n bootstrap."""
    size = min(RESAMPLED, max(ENTRIES // problem.n_classes, 1000))
    rng = np.random.default_rng([seed, 82])
    part = min(1.0, size / max(problem.n, 1))
    counts = [scaled_losses(k, part) for k in component_sizes(problem)]
    start = _lifted(parameters, problem)
    found = np.empty(resamples)
    for index in range(resamples):
        drawn = problem.rows(
            *(rng.integers(0, max(k, 1), c) for k, c in zip(component_sizes(problem), counts, strict=True))
        )
        theta = drawn.tensor(drawn.solve(start, ITERATIONS_RESAMPLED))
        found[index] = float(drawn.wrong_by_component(theta).sum())
    return float(found.std(ddof=1) * np.sqrt(part)) if resamples > 1 else float("inf")
