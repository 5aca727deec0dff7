"""Combines the signals into one suspicion, by a small model fitted on planted labels of this very data set.

A label is planted on one image at a time. The leave-one-out heads say exactly what they would have said of it. This
costs nothing and does not change how any other image is judged. No ground truth is used: the other examples are the
given labels, wrong ones among them. Those lower all odds alike and leave the order as it is. Where many given labels
are wrong, the fit prefers the signals that they fool. Trusted labels, where there are any, therefore count for more
than given ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.compute.draws import draw
from auditor.compute.minimum import Ends, bounded
from auditor.detection.likelihood import UNIFORM
from auditor.detection.planting import confusion_targets, uniform_targets
from auditor.detection.signals import SIGNALS, Signals
from auditor.system.arrays import Array, Floats

GIVEN_WORTH = 0.1
"""Weight of a given label in the fit."""

TRUSTED_TIMES, TRUSTED_PART = 10.0, 0.01
"""A trusted label weighs this many times as much as a given one, or this part of all given ones, whichever is more."""

PENALTY = 10.0
"""Ridge penalty on the coefficients of standardised signals. The log-likelihood is summed over weighted images.

It is strong on purpose. With a thousand images and heavy noise the planted labels hardly show which signal is better.
All signals speak the same way, so equal weights are then the safer answer."""

LOSS_PART, ODDS_PART = 2.0, 1.0
"""What is added to the weights of `stacked_loss` and `error_odds`, as parts of the spread of the whole combination.

Planted labels show only the errors we plant. The label model describes the errors people and machines made. It says
which part of them is at random. That part of `LOSS_PART` is added to `stacked_loss`, since errors at random show best
by how improbable they are. The other part of `ODDS_PART` is added to `error_odds`. With two classes there is only one
wrong label, and nothing is added. Nor is it beside probabilities of the user's own model, or of networks that were
tuned. They are judgements from outside, and what is added would drown them (`docs/tried.md`)."""


OWN = tuple(signal.name for signal in SIGNALS if signal.needs_own)
"""The signals of the user's own model."""


@dataclass(frozen=True)
class Combination:
    """Suspicion as a weighted sum of signals.

    Attributes
    ----------
    centre, scale
        float64 [S], the standardisation of the signals.
    weights
        float64 [S], at least 0, on standardised signals in the order of `Signals.values`.
    intercept
        Makes the suspicion the log odds of planted against given, at equal numbers of both.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def suspicion(self, values: Floats) -> Floats:
        """Give the suspicion float64 [...] of signals float64 [..., S]."""
        return np.asarray((values - self.centre) / self.scale @ self.weights + self.intercept)

    def table(self, signals: Signals) -> Floats:
        """Give the suspicion float64 [N, C] of every label on every image."""
        step = self.weights / self.scale
        total = np.full(signals.log_probabilities.shape, self.intercept - float(self.centre @ step))
        for values, weight in zip(signals.values.values(), step, strict=True):
            if weight > 0:
                total += weight * values
        return total


def fit_combination(
    signals: Signals,
    *,
    n_trusted: int,
    plantings: int,
    seed: int,
    kinds: tuple[str, ...],
    use: tuple[str, ...] | None = None,
    heads_part: float = 1.0,
) -> Combination:
    """Fit the combination on labels planted one at a time.

    Parameters
    ----------
    signals
        Of the given labels, then of the trusted ones.
    n_trusted
        How many of the last images carry trusted labels.
    plantings
        How many labels of each kind are planted on every image.
    seed
        Draws the planted labels.
    kinds
        `uniform` and `confusion`, or one of them.
    use
        Names of the signals that may have a weight; None for all. With two classes `margin` has none in any case: it
        says the same as `stacked_loss`.
    heads_part
        Beside probabilities of the user's own model, the weights of all other signals are multiplied by this.
    """
    rng = np.random.default_rng([seed, 72])
    n_classes = signals.log_probabilities.shape[1]
    makers = {
        "uniform": lambda: uniform_targets(signals.labels, n_classes),
        "confusion": lambda: confusion_targets(signals.log_probabilities, signals.labels),
    }
    given = signals.of(signals.labels)
    planted = np.concatenate(
        [signals.of(draw(targets, rng)) for targets in (makers[k]() for k in kinds) for _ in range(plantings)]
    )
    n = len(given) - n_trusted
    worth = GIVEN_WORTH * np.repeat([1.0, max(TRUSTED_TIMES, TRUSTED_PART * n)], [n, n_trusted])
    many, at_random = n_classes > 2, signals.model.kinds[UNIFORM]
    guarded = many and not {"own_loss", "tuned_loss"} & set(signals.values)
    parts = {"stacked_loss": LOSS_PART * at_random, "error_odds": ODDS_PART * (1 - at_random)}
    bonus = np.array([guarded * parts.get(name, 0.0) for name in signals.values])
    used = np.array([(use is None or name in use) and (many or name != "margin") for name in signals.values])
    part = np.array([1.0 if name in OWN else heads_part for name in signals.values])
    return fit_weights(given, planted, worth, used, Added(bonus, part))


@dataclass(frozen=True)
class Added:
    """What changes the weights of standardised signals after the fit.

    Attributes
    ----------
    bonus
        float64 [S], added to them, in units of the combination's spread.
    part
        float64 [S], by which they are multiplied.
    """

    bonus: Floats
    part: Floats


def fit_weights(given: Floats, planted: Floats, worth: Floats, use: Array, added: Added) -> Combination:
    """Fit logistic regression of planted against given labels. No weight is negative.

    Parameters
    ----------
    given
        float64 [N, S], signals of the labels as they are.
    planted
        float64 [k N, S], signals of k planted labels for each image.
    worth
        float64 [N], weight of each image. Its planted labels together weigh as much.
    use
        bool [S], the signals that may have a weight.
    added
        What changes the fitted weights.
    """
    both = np.concatenate([given, planted])
    times = len(planted) // len(given)
    weight = np.concatenate([worth, np.tile(worth / times, times)])
    centre, scale = _moments(both, weight)
    constant = ~use | (scale <= 1e-9 * (1 + np.abs(centre)))
    scale = np.where(constant, 1, scale)
    x = (both - centre) / scale
    x[:, constant] = 0
    y = np.repeat([0.0, 1.0], [len(given), len(planted)])

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = x @ theta[:-1] + theta[-1]
        value = float(weight @ (np.logaddexp(0, z) - y * z)) + 0.5 * PENALTY * float(theta[:-1] @ theta[:-1])
        residual = weight * (expit(z) - y)
        return value, np.append(x.T @ residual + PENALTY * theta[:-1], residual.sum())

    bounds: list[Ends] = [(0.0, None)] * x.shape[1] + [(None, None)]
    start = np.append(np.where(constant, 0, 0.1), 0.0)
    found = bounded(loss, start, bounds, maxiter=200)
    weights = np.where(constant, 0, found[:-1])
    weights = weights + np.where(constant, 0, added.bonus * _moments(x @ weights, weight)[1])
    weights = weights * added.part
    stretch, intercept = _unshrunk(x @ weights, y, weight)
    return Combination(centre, scale, weights * stretch, intercept)


def _moments(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of `values` [n, ...] along the first axis."""
    mean = np.average(values, axis=0, weights=weight)
    return mean, np.sqrt(np.average(np.square(values - mean), axis=0, weights=weight))


def _unshrunk(z: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Stretch and intercept that turn a shrunk score `z` [n] into log odds again. The order stays.

    A penalty as heavy as one image keeps both finite where planted and given labels separate perfectly.
    """

    def loss(theta: Floats) -> tuple[float, Floats]:
        value = float(weight @ (np.logaddexp(0, theta[0] * z + theta[1]) - y * (theta[0] * z + theta[1])))
        residual = weight * (expit(theta[0] * z + theta[1]) - y)
        gradient = np.array([residual @ z + (theta[0] - 1), residual.sum() + 1e-3 * theta[1]])
        return value + 0.5 * (theta[0] - 1) ** 2 + 0.5e-3 * theta[1] ** 2, gradient

    found = bounded(loss, np.array([1.0, 0.0]), [(1e-3, 100.0), (None, None)])
    return float(found[0]), float(found[1])
