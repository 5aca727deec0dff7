"""Estimates the share of wrong labels with its interval, or says why the data cannot support an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.detection import calibration as cal
from auditor.detection.bench import Bench, Scores
from auditor.detection.label_model import ENOUGH_TRUSTED, Spread, spread
from auditor.detection.results import Share
from auditor.detection.signals import Signals
from auditor.system.arrays import Array, Floats

REFERENCE_PRIOR = 0.02
"""Share of wrong labels that is assumed of a trusted reference before its scores are looked at."""

REFERENCE_SUSPECT = 0.5
"""A trusted label is suspect where it is wrong with more than this probability."""


@dataclass(frozen=True)
class Estimate:
    """What calibration found for N audited images and m trusted ones.

    Attributes
    ----------
    share
        None where nothing can be decided.
    spread
        What the interval of the share is made of.
    p, low, high
        float64 [N] each, probability that the label is wrong, at the estimated share and at both ends of its interval.
    doubted
        float64 [m], probability that each trusted label is wrong.
    basis
        What the share rests on: a key of `detect.ASSUMPTIONS`.
    reason
        Why nothing can be decided; empty where it can.
    """

    share: Share | None
    spread: Spread
    p: Floats
    low: Floats
    high: Floats
    doubted: Floats
    basis: str
    reason: str


def estimate_share(bench: Bench, table: Floats, signals: Signals, scores: Scores) -> Estimate:
    """Estimate the share and every probability.

    Parameters
    ----------
    bench
        The audited images and their reference.
    table
        float64 [N + m, C], suspicion of every label on every image.
    signals, scores
        Of the given labels.
    """
    n, reference = bench.n, len(bench.trusted) >= ENOUGH_TRUSTED
    model = signals.model
    doubt = spread(model.evidence, resamples=bench.settings.bootstrap, seed=bench.seed)
    low, high = cal.interval(doubt.shares, doubt.error, n, reference=reference)
    p = cal.in_order(expit(signals.values["error_odds"][np.arange(n), bench.labels]), scores.suspicion)
    value, least, most = (cal.at_share(p, share) for share in (model.share, low, high))
    basis = "trusted reference" if reference else "shape of the posterior"
    area = cal.separation(bench.planted_one_by_one(table, signals), scores.suspicion)
    reason = _contradiction(bench, signals) or _undecided(n, area, model.share, low, high, bench.n_classes)
    share = None if reason else cal.as_share(model.share, low, high, n)
    doubted = model.at_share(REFERENCE_PRIOR)[np.arange(n, len(table)), bench.trusted]
    return Estimate(share, doubt, value, least, most, doubted, basis, reason)


def _undecided(n: int, area: float, value: float, low: float, high: float, n_classes: int) -> str:
    """Say why no share can be stated; empty where it can."""
    if n < cal.SMALLEST:
        return f"{n} images are too few to estimate a share of wrong labels; at least {cal.SMALLEST} are needed."
    needed = 0.5 + max(cal.WEAKEST, 1.2 / np.sqrt(n))
    if area < needed:
        return (
            f"On these features planted labels hardly differ from given ones (area under the curve {area:.2f}, "
            f"needed {needed:.2f})."
        )
    if value >= 0.9 * (1 - 1 / n_classes):
        return f"The given labels fit these images barely better than labels drawn at random (share {value:.0%})."
    if high - low > 0.5:
        return f"The share of wrong labels could be anything from {low:.0%} to {high:.0%}."
    return ""


def _contradiction(bench: Bench, signals: Signals) -> str:
    """Say that the reference contradicts what the given labels teach; empty where it does not.

    Labels that are wrong nearly everywhere agree with each other, so only the reference can show it. Heads trained
    mostly on given labels then agree with the reference barely better than chance, and much less often than they agree
    with the given labels.
    """
    m, n = len(bench.trusted), bench.n
    if not m:
        return ""
    likeliest = signals.values["stacked_loss"].argmin(axis=1)
    own = float((likeliest[:n] == bench.labels).mean())
    theirs = float((likeliest[n:] == bench.trusted).mean())
    pooled = (own * n + theirs * m) / (n + m)
    beyond = own - theirs > 4 * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    if theirs > 1 - 0.9 * (1 - 1 / bench.n_classes) or not beyond:
        return ""
    return (
        f"The reference contradicts the given labels. Heads trained mostly on the given labels agree with {theirs:.0%} "
        f"of the reference's {m} labels and with {own:.0%} of the given ones. Either nearly all given labels are "
        "wrong, or the reference gives the classes other names."
    )


def reference_suspects(bench: Bench, table: Floats, estimate: Estimate) -> Array:
    """Find the trusted labels that are more probably wrong than right, if one in fifty is wrong.

    Returns
    -------
    int64, rows of the reference, most suspicious first; empty where nothing can be decided.
    """
    if not len(bench.trusted) or estimate.reason:
        return np.empty(0, np.int64)
    suspicion = table[np.arange(bench.n, len(table)), bench.trusted]
    found = np.flatnonzero(estimate.doubted > REFERENCE_SUSPECT)
    return found[np.argsort(-suspicion[found], kind="stable")]
