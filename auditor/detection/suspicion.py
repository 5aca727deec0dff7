"""Signals combined into one suspicion by a small model fitted on planted labels, so that it adapts to the data.

A planted label is put on one image at a time: the leave-one-out heads say exactly what they would have said of it, at
no cost and without shifting the training of anything else. No ground truth enters: the other examples are the given
labels, wrong ones among them, which lowers all odds alike and leaves the order as it is. Where wrong ones are many that
favours the signals that they fool, so that trusted labels, where there are any, count for more than given ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from auditor.detection.likelihood import UNIFORM
from auditor.detection.signals import SIGNALS, Signals
from auditor.system.arrays import Array, Floats

GIVEN_WORTH = 0.1

TRUSTED_TIMES, TRUSTED_PART = 10.0, 0.01
"""Weight of a given label in the fit; a trusted one weighs so many times as much, or as this part of all given ones."""

PENALTY = 10.0
"""Ridge penalty on the coefficients of standardised signals, against a log-likelihood summed over weighted images.

Strong on purpose: with a thousand images and heavy noise the plantings say little of which signal is better, and equal
weights on signals that all speak the same way are then the safer answer."""

CONFUSION_FLOOR = 0.02
"""Share of a planted label's distribution that stays uniform even where the model is sure."""

LOSS_PART, ODDS_PART = 2.0, 1.0
"""What is added to the weights of `stacked_loss` and `error_odds`, as parts of the whole combination's spread, where
there are more classes than two. How wrong labels go wrong, planted ones show as we plant them; the label model, as
people and machines gave them. The first is added by the share of those that are wrong at random, which show best by how
improbable they are, and the second by the share of all others. With two classes there is but one wrong label."""


@dataclass(frozen=True)
class Combination:
    """Suspicion as a weighted sum of signals.

    Attributes
    ----------
    centre, scale
        float64 [S], the standardisation of the signals.
    weights
        float64 [S], at least 0, on standardised signals in the order of `SIGNALS`.
    intercept
        Makes suspicion the log odds of planted against given at even numbers of both.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def suspicion(self, values: Floats) -> Floats:
        """[...] from signals [..., S]."""
        return np.asarray((values - self.centre) / self.scale @ self.weights + self.intercept)

    def table(self, signals: Signals) -> Floats:
        """[N, C]: the suspicion of every label on every image."""
        step = self.weights / self.scale
        total = np.full(signals.log_probabilities.shape, self.intercept - float(self.centre @ step))
        for name, weight in zip(SIGNALS, step, strict=True):
            if weight > 0:
                total += weight * signals.values[name]
        return total


def uniform_targets(labels: Array, n_classes: int) -> Floats:
    """[N, C]: a planted label is any other class alike."""
    q = np.full((len(labels), n_classes), 1 / max(n_classes - 1, 1))
    q[np.arange(len(labels)), labels] = 0
    return q


def confusion_targets(signals: Signals) -> Floats:
    """[N, C]: a planted label follows the probabilities that the model gives the other classes."""
    q = np.exp(signals.log_probabilities.astype(np.float64))
    q[np.arange(len(q)), signals.labels] = 0
    total = q.sum(axis=1, keepdims=True)
    q = np.where(total > 1e-12, q / np.where(total > 1e-12, total, 1), 0)
    even = uniform_targets(signals.labels, q.shape[1])
    return np.where(total > 1e-12, (1 - CONFUSION_FLOOR) * q + CONFUSION_FLOOR * even, even)


def draw(targets: Floats, rng: np.random.Generator) -> Array:
    """int64 [N], one label a row."""
    cumulative = np.cumsum(targets, axis=1)
    drawn = (rng.random((len(targets), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return np.asarray(np.minimum(drawn, targets.shape[1] - 1), dtype=np.int64)


def fit_combination(
    signals: Signals,
    *,
    n_trusted: int,
    plantings: int,
    seed: int,
    kinds: tuple[str, ...],
    use: tuple[str, ...] = SIGNALS,
) -> Combination:
    """Fit the combination on labels planted one at a time.

    Parameters
    ----------
    signals
        Of the given labels and, behind them, of the trusted ones.
    n_trusted
        How many of the last images carry trusted labels.
    plantings
        How many labels of each kind are planted on every image.
    kinds
        `uniform` and `confusion`, or one of them.
    use
        The signals that may weigh something. Of two classes the margin is the stacked loss once more.
    """
    rng = np.random.default_rng([seed, 72])
    n_classes = signals.log_probabilities.shape[1]
    makers = {
        "uniform": lambda: uniform_targets(signals.labels, n_classes),
        "confusion": lambda: confusion_targets(signals),
    }
    given = signals.of(signals.labels)
    planted = np.concatenate(
        [signals.of(draw(targets, rng)) for targets in (makers[k]() for k in kinds) for _ in range(plantings)]
    )
    n = len(given) - n_trusted
    worth = GIVEN_WORTH * np.repeat([1.0, max(TRUSTED_TIMES, TRUSTED_PART * n)], [n, n_trusted])
    many, at_random = n_classes > 2, signals.model.kinds[UNIFORM]
    parts = {"stacked_loss": LOSS_PART * at_random, "error_odds": ODDS_PART * (1 - at_random)}
    bonus = np.array([many * parts.get(name, 0.0) for name in SIGNALS])
    used = np.array([name in use and (many or name != "margin") for name in SIGNALS])
    return fit_weights(given, planted, worth, used, bonus)


def fit_weights(given: Floats, planted: Floats, worth: Floats, use: Array, bonus: Floats) -> Combination:
    """Logistic regression of planted [m N, S] against given [N, S] on the signals in `use` [S]; no weight is negative.

    An image weighs `worth` [N], and so do its planted labels together. `bonus` [S], in units of the combination's
    spread, is added to the weights of standardised signals.
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

    bounds = [(0.0, None)] * x.shape[1] + [(None, None)]
    start = np.append(np.where(constant, 0, 0.1), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}).x
    weights = np.where(constant, 0, found[:-1])
    weights = weights + np.where(constant, 0, bonus * _moments(x @ weights, weight)[1])
    stretch, intercept = _unshrunk(x @ weights, y, weight)
    return Combination(centre, scale, weights * stretch, intercept)


def _moments(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of `values` [n, ...] over the first axis."""
    mean = np.average(values, axis=0, weights=weight)
    return mean, np.sqrt(np.average(np.square(values - mean), axis=0, weights=weight))


def _unshrunk(z: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Stretch and intercept that make a shrunk score `z` log odds again; the order stays.

    One image's worth of penalty keeps them finite where planted and given labels separate perfectly.
    """

    def loss(theta: Floats) -> tuple[float, Floats]:
        value = float(weight @ (np.logaddexp(0, theta[0] * z + theta[1]) - y * (theta[0] * z + theta[1])))
        residual = weight * (expit(theta[0] * z + theta[1]) - y)
        gradient = np.array([residual @ z + (theta[0] - 1), residual.sum() + 1e-3 * theta[1]])
        return value + 0.5 * (theta[0] - 1) ** 2 + 0.5e-3 * theta[1] ** 2, gradient

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, 100.0), (None, None)]).x
    return float(found[0]), float(found[1])
