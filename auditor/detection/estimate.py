"""TODO auditor.detection.estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.detection import calibration as cal
from auditor.detection.bench import Bench
from auditor.detection.label_model import ENOUGH_TRUSTED, Spread, spread
from auditor.detection.results import Scores, Share
from auditor.detection.signals import Signals
from auditor.system.arrays import Array, Floats

REFERENCE_PRIOR = 0.02
"""Share of wrong labels that a trusted reference is given the benefit of before its scores are looked at."""

REFERENCE_SUSPECT = 0.5


@dataclass(frozen=True)
class Estimate:
    """What calibration found: probabilities at the estimated share and at both ends of its interval.

    `spread` is what that interval is made of, `doubted` the probability that each trusted label is wrong.
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
    n, reference = bench.n, len(bench.trusted) >= ENOUGH_TRUSTED
    model = signals.model
    doubt = spread(model.evidence, resamples=bench.settings.bootstrap, seed=bench.seed)
    low, high = cal.interval(doubt.shares, doubt.error, n, reference=reference)
    p = cal.in_order(expit(signals.values["error_odds"][np.arange(n), bench.labels]), scores.suspicion)
    value, least, most = (cal.at_share(p, share) for share in (model.share, low, high))
    basis = "trusted reference" if reference else "shape of the posterior"
    area = cal.separation(bench.planted_one_by_one(table, signals), scores.suspicion)
    reason = _contradicted(bench, signals) or _undecided(n, area, model.share, low, high, bench.n_classes)
    share = None if reason else cal.as_share(model.share, low, high, n)
    doubted = model.at_share(REFERENCE_PRIOR)[np.arange(n, len(table)), bench.trusted]
    return Estimate(share, doubt, value, least, most, doubted, basis, reason)


def _undecided(n: int, area: float, value: float, low: float, high: float, n_classes: int) -> str:
    """Why no share can be stated; empty where it can."""
    if n < cal.SMALLEST:
        return f"{n} images are too few to estimate a share of wrong labels; at least {cal.SMALLEST} are needed."
    needed = 0.5 + max(cal.WEAKEST, 1.2 / np.sqrt(n))
    if area < needed:
        return (
            f"Planted labels are hardly told from given ones on these features (area under the curve {area:.2f}, "
            f"needed {needed:.2f})."
        )
    if value >= 0.9 * (1 - 1 / n_classes):
        return f"Given labels agree with these images hardly better than labels drawn at random (share {value:.0%})."
    if high - low > 0.5:
        return f"The share of wrong labels could be anything from {low:.0%} to {high:.0%}."
    return ""


def _contradicted(bench: Bench, signals: Signals) -> str:
    """That trusted labels speak against all that the given ones teach; empty where they do not.

    Labels that are wrong nearly everywhere agree among themselves. The reference shows it where heads that mostly given
    labels have taught say of its images hardly better than chance what it says, and much less often than of the others.
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
        f"The reference contradicts the given labels: {theirs:.0%} of its {m} labels are what they teach, of their own "
        f"{own:.0%}. Either nearly all given labels are wrong, or the reference names the classes otherwise."
    )


def reference_suspects(bench: Bench, table: Floats, estimate: Estimate) -> Array:
    """Rows of the reference more probably wrong than right if one reference label in fifty were."""
    if not len(bench.trusted) or estimate.reason:
        return np.empty(0, np.int64)
    suspicion = table[np.arange(bench.n, len(table)), bench.trusted]
    found = np.flatnonzero(estimate.doubted > REFERENCE_SUSPECT)
    return found[np.argsort(-suspicion[found], kind="stable")]
