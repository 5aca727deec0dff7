"""How the given labels came about, as a likelihood. The order of the list rests on it.

How many labels are wrong does not: `posterior` says that, since the best fit is surer than the labels allow.

A given label is right, and then follows the posterior q of the true class given the image. Or it is wrong, and then
comes from a mixture of a few kinds of error:

    p(given = j | x) = (1 - sum_k e_k h_k(x)) q_j(x) + sum_k e_k h_k(x) N_k(j | x)

There are three kinds N_k. `uniform` is a wrong class at random. `confusion` is a class that the model confuses with the
true one on this very image. `classwise` is a class that is like the true one in general (the transition matrix of
class-conditional noise; Patrini et al., 2017). Planted labels stand for the same kinds.

Errors hit all images alike (h = 1), or some of them prefer hard images (instance-dependent noise; Xia et al., 2020): h
is then a power, 0.5 to 2, of how unsure a plain fit of the given labels is of the image. Errors on hard images hide
well, since a plain fit takes them for its own doubt. Both assumptions are fitted. They are averaged by how well they
explain the labels (Akaike weights; Burnham and Anderson, 2002). There is one exception: more than two classes without
trusted labels. Errors on hard images then also explain other faults of the model (a share of 0.14 was found on the
right labels of 3,334 photographs in ten classes). There the second assumption is left out.

q is a softmax of the left-out losses of the stacked head, with a scale and class biases. These are fitted together with
the shares e_k by maximum likelihood. Trusted labels, where there are any, count as right (e = 0) and pin q down.
Without them, only the shape of the softmax separates a model in doubt from wrong labels. This is an assumption, and
results state it as one.
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
    ITERATIONS,
    KINDS,
    TINY,
    UNIFORM,
    Component,
    Problem,
)
from auditor.system.arrays import Array, Floats

PREFERENCE_COST = 20.0
"""Prior against errors that prefer hard images, in nats for a share of 1. Errors hit all images alike unless the
labels say otherwise."""

FREEDOM = 3.0
"""A fit with preference must be better by this many nats to weigh as much as one without: it has three more shares."""

ENOUGH_TRUSTED = 100
"""Trusted images that are needed to pin down how sure the model may be."""

ALIKE = tuple(Component(kind) for kind in (CONFUSION, UNIFORM, CLASSWISE))

PREFERRING = (*ALIKE, *(Component(CONFUSION, power) for power in (0.5, 1.0, 2.0)))


@dataclass(frozen=True)
class LabelModel:
    """The fitted likelihood.

    Attributes
    ----------
    share
        Share of wrong labels among the given ones.
    kinds
        Kind -> its part of the wrong labels. The parts sum to 1.
    right, wrong
        float64 [N + m, C]: the joint probability that label c is given to the image and is right, or wrong. Trusted
        images follow the audited ones.
    """

    share: float
    kinds: dict[str, float]
    right: Floats
    wrong: Floats

    def log_odds(self) -> Floats:
        """Give the log odds of wrong against right, float32 [N + m, C], for every label on every image."""
        odds = np.log(np.maximum(self.wrong, TINY)) - np.log(np.maximum(self.right, TINY))
        return np.asarray(odds, dtype=np.float32)

    def select(self, rows: Array) -> LabelModel:
        """Keep some of the images, by their int64 row numbers."""
        return replace(self, right=self.right[rows], wrong=self.wrong[rows])

    def at_share(self, share: float) -> Floats:
        """Give the probability float64 [N + m, C] that a label is wrong, if `share` of all labels were wrong."""
        found = max(self.share, TINY)
        wrong = self.wrong * (share / found)
        right = self.right * ((1 - share) / max(1 - found, TINY))
        return np.asarray(wrong / np.maximum(wrong + right, TINY**2))


def fit_label_model(
    losses: Array,
    labels: Array,
    trusted: Array,
    *,
    seed: int,
    device: str = "cpu",
) -> LabelModel:
    """Fit by maximum penalised likelihood how the given labels came about.

    Parameters
    ----------
    losses
        float32 [N + m, C], left-out loss of every label on every image. Trusted images come last.
    labels, trusted
        int64 [N] given labels and [m] trusted ones (m may be 0).
    seed
        Draws the images that are fitted on, where there are too many.
    device
        A torch device to compute on.
    """
    problem = Problem.of(losses, labels, trusted, seed, device)
    alike = _fit(problem.asking(ALIKE), seed)
    if problem.n_classes > 2 and len(trusted) < ENOUGH_TRUSTED:
        return _model(alike, alike, 0.0)
    preferring = _fit(problem.asking(PREFERRING, PREFERENCE_COST), seed)
    return _model(alike, preferring, float(expit(alike.loss - preferring.loss - FREEDOM)))


def _model(alike: _Fitted, preferring: _Fitted, weight: float) -> LabelModel:
    """Average both fits. `weight` is that of the fit with preference."""

    def average(one: Any, other: Any) -> Any:
        return weight * one + (1 - weight) * other

    share = average(preferring.share, alike.share)
    wrong = {kind: average(preferring.wrong_of[kind], alike.wrong_of[kind]) for kind in KINDS}
    return LabelModel(
        share,
        {kind: part / max(share, TINY) for kind, part in wrong.items()},
        average(preferring.right, alike.right),
        average(preferring.wrong, alike.wrong),
    )


@dataclass(frozen=True)
class _Fitted:
    """One fit of a set of components: its loss in nats, shares by kind, and joint probabilities [N + m, C]."""

    loss: float
    wrong_of: dict[str, float]
    right: Floats
    wrong: Floats

    @property
    def share(self) -> float:
        return sum(self.wrong_of.values())


def _fit(problem: Problem, seed: int) -> _Fitted:
    part = problem.part(seed)
    theta = problem.tensor(part.solve(problem.start(), ITERATIONS))
    with torch.no_grad():
        right, wrong = problem.joint(theta)
        shares, loss = problem.wrong_by_component(theta).cpu().numpy(), float(part.loss(theta)) * part.n
    by_kind = dict.fromkeys(KINDS, 0.0)
    for component, share in zip(problem.components, shares, strict=True):
        by_kind[component.kind] += float(share)
    return _Fitted(loss, by_kind, right.cpu().numpy(), wrong.cpu().numpy())
