"""How many labels are wrong, and how far down the list it pays to look.

The scores of the given labels are a mixture: `f = (1 - share) g + share h`, with g the scores of right and h those of
wrong labels (mixture proportion estimation; Scott, 2015). Planted labels show h. g is seen on a trusted reference.
Without one the share is not identified by the scores; it is then read off the cleanest part of each class: where the
leave-one-out head is surest, it is assumed right, and labels that disagree are counted (the anchor points of class-
conditional noise; Patrini et al., 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from auditor.arrays import Array, Floats
from auditor.detection.contract import Share

BINS = 25
ANCHORS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Shares of each predicted class, surest first, at which disagreement is counted."""
CLEANEST = 0.3
"""The interval covers the estimates from every part up to this one."""
_Z = 1.959964
SMALLEST = 100
"""Fewer images than this say nothing of a share."""
SMALLEST_REFERENCE = 100
WEAKEST = 0.03
"""Nothing is decided unless the area under the curve of planted against given suspicion exceeds a half by this and by
more than chance would."""


def edges_of(*samples: Floats) -> Floats:
    """Inner edges of bins that hold about the same number of the samples' values; equal values share a bin."""
    pooled = np.concatenate([np.asarray(s).ravel() for s in samples])
    return np.asarray(np.unique(np.quantile(pooled, np.linspace(0, 1, BINS + 1)[1:-1])))


def density(bins: Array, n_bins: int, weights: Floats | None = None) -> Floats:
    """Smoothed share of the (weighted) values in each bin; sums to 1."""
    counts = np.bincount(bins, weights, n_bins).astype(np.float64)
    effective = counts.sum() if weights is None else counts.sum() ** 2 / max(float((weights**2).sum()), 1e-12)
    counts = counts / max(counts.sum(), 1e-12) * effective + 0.5
    return np.asarray(counts / counts.sum())


def proportions(observed: Floats, right: Floats, wrong: Floats, iterations: int = 500) -> Floats:
    """[W] shares of the `wrong` components in `observed` [B] counts, by maximum likelihood (EM)."""
    parts = np.vstack([right, wrong])
    weights = np.full(len(parts), 0.1 / len(wrong))
    weights[0] = 0.9
    total = max(float(observed.sum()), 1e-12)
    for _ in range(iterations):
        joint = weights[:, None] * parts
        new = (joint / joint.sum(axis=0)) @ observed / total
        done = float(np.abs(new - weights).max()) < 1e-7
        weights = new
        if done:
            break
    return np.asarray(weights[1:])


def monotone(values: Floats, weights: Floats) -> Floats:
    """The closest non-decreasing sequence (isotonic regression by pooling)."""
    from sklearn.isotonic import isotonic_regression

    return np.asarray(isotonic_regression(values, sample_weight=weights, increasing=True))


def anchor_curve(predicted: Array, confidence: Floats, labels: Array, parts: Sequence[float]) -> Floats:
    """Share of labels that disagree with the prediction among the surest `parts` of each predicted class.

    Averaged over predicted classes with the number of images in each. Ties in confidence are taken in order.
    """
    out = np.zeros(len(parts))
    for c in np.unique(predicted):
        rows = np.flatnonzero(predicted == c)
        wrong = (labels[rows[np.argsort(-confidence[rows], kind="stable")]] != c).astype(np.float64)
        running = np.cumsum(wrong)
        for j, part in enumerate(parts):
            k = max(min(5, len(rows)), round(part * len(rows)))
            out[j] += len(rows) / len(predicted) * running[k - 1] / k
    return out


def extrapolate(curve: Floats, parts: Sequence[float]) -> float:
    """The curve carried on in a straight line to a part of size zero; not below 0."""
    line = np.polyfit(np.asarray(parts), curve, 1, w=np.sqrt(np.asarray(parts)))
    return float(np.clip(line[1], 0, 1))


def share_from_anchors(
    predicted: Array, confidence: Floats, labels: Array, *, bootstrap: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Share of wrong labels and its interval without a trusted reference.

    The interval adds to the bootstrap's spread how far the answer depends on the size of the part taken as clean.
    """

    def both(rows: Array) -> tuple[float, float]:
        curve = anchor_curve(predicted[rows], confidence[rows], labels[rows], ANCHORS)
        return extrapolate(curve, ANCHORS), float(curve[ANCHORS.index(CLEANEST)])

    n = len(labels)
    value, wide = both(np.arange(n))
    draws = np.array([both(rng.integers(0, n, n)) for _ in range(bootstrap)])
    spread = _Z * draws.std(axis=0)
    reach = abs(wide - value)
    # No draw of n labels without a single disagreement excludes a share of 3 / n.
    slack = 3.0 / max(ANCHORS[0] * n, 1)
    low = max(0.0, value - reach - max(spread[0], slack))
    return value, low, min(1.0, max(value, wide) + reach + max(float(spread.max()), slack))


def share_from_reference(
    given: Array, right: Array, wrong: Array, weights: Floats, n_bins: int, *, bootstrap: int, rng: np.random.Generator
) -> tuple[float, float, float, Floats]:
    """Share of wrong labels with a trusted reference, its interval, and the mixture of kinds of wrong ones.

    Parameters
    ----------
    given
        Bins [N] of the given labels' suspicion.
    right
        Bins [n] of the reference's own labels.
    wrong
        Bins [n, C] of every label on every reference image.
    weights
        [W, n, C]: how likely each is planted, by kind; the first kind is towards the model's confusions, which human
        errors resemble most.
    """

    def estimate(rows: Array, images: Array) -> Floats:
        """[2, W]: every kind in the mixture that fits best, and the first kind alone."""
        g = density(right[images], n_bins)
        h = np.stack([density(wrong[images].ravel(), n_bins, w[images].ravel()) for w in weights])
        observed = np.bincount(given[rows], minlength=n_bins).astype(np.float64)
        first = np.zeros(len(h))
        first[0] = proportions(observed, g, h[:1])[0]
        return np.stack([proportions(observed, g, h), first])

    n, m = len(given), len(right)
    both = estimate(np.arange(n), np.arange(m))
    draws = np.array([
        estimate(rng.integers(0, n, n), rng.integers(0, m, m)).mean(axis=0).sum() for _ in range(bootstrap)
    ])  # fmt: skip
    best = both.mean(axis=0)
    value = float(best.sum())
    # Which kind of noise it is, the scores tell only vaguely: half the difference it makes belongs to the uncertainty.
    reach = float(abs(both.sum(axis=1) @ [0.5, -0.5]))
    spread = float(np.hypot(_Z * draws.std(), reach)) + 1.5 / m
    mix = best / value if value > 0 else np.full(len(best), 1 / len(best))
    return value, max(0.0, value - spread), min(1.0, value + spread), mix


def log_ratio(right: Floats, wrong: Floats) -> Floats:
    """[B] non-decreasing log of wrong over right density."""
    return monotone(np.log(wrong) - np.log(right), right + wrong)


def probabilities(bins: Array, ratio: Floats, share: float) -> Floats:
    """[N] probability of being wrong whose mean is `share`, from the log ratio of each bin."""
    n_bins = len(ratio)
    counts = np.bincount(bins, minlength=n_bins) / len(bins)
    share = float(np.clip(share, 0, 1))
    if share <= 0 or share >= 1:
        return np.full(len(bins), share)

    def excess(offset: float) -> float:
        return float(counts @ expit(ratio + offset)) - share

    centre, span = float(logit(share)), 1 + float(np.abs(ratio).max())
    offset = brentq(excess, centre - span, centre + span)
    return np.asarray(expit(ratio + offset)[bins])


def right_density(given: Floats, planted: Floats, share: float, n: int) -> Floats:
    """[B] density of right labels without a trusted reference: the given ones less the wrong share.

    Parameters
    ----------
    given, planted
        [B] densities of given and of planted labels.
    share, n
        Share of wrong labels and number of images.
    """
    right = given
    for _ in range(20):
        p = expit(log_ratio(right, planted) + logit(np.clip(share, 1e-6, 1 - 1e-6)))
        right = given * (1 - p) + 0.25 / max(n, 1)
        right = right / right.sum()
    return np.asarray(right)


def freed_of_mixture(suspicion: Floats, share: float, prior: float) -> Floats:
    """[n] probability of being wrong at another share, `prior`, of images the suspicion was not fitted on.

    Suspicion is the log odds of planted against *given* labels, a `share` of which is wrong: the odds against right
    labels follow by taking that share out.
    """
    odds = np.exp(np.clip(suspicion, -30, 30))
    odds = odds * (1 - share) / np.maximum(1 - share * odds, 1e-3)
    return np.asarray(expit(np.log(np.maximum(odds, 1e-12)) + logit(prior)))


def as_share(value: float, low: float, high: float, n: int) -> Share:
    """Share and number."""
    return Share(value, low, high, value * n, low * n, high * n)


def review_sizes(n: int) -> Array:
    """1, 2, 5, 10, ... and tenths of the data set, up to all of it."""
    sizes = {n} | {max(1, round(n * part)) for part in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)}
    step = 1
    while step < n:
        sizes |= {k for k in (step, 2 * step, 5 * step) if k <= n}
        step *= 10
    return np.array(sorted(sizes))


def review_table(order: Array, p: Floats, p_low: Floats, p_high: Floats) -> pd.DataFrame:
    """What reviewing the first k finds: expected, with the uncertainty of the share and of chance."""
    k = review_sizes(len(p))
    found, chance = np.cumsum(p[order])[k - 1], np.sqrt(np.cumsum((p * (1 - p))[order])[k - 1])
    least, most = np.cumsum(p_low[order])[k - 1], np.cumsum(p_high[order])[k - 1]
    low = np.clip(np.minimum(least, found) - _Z * chance, 0, k)
    high = np.clip(np.maximum(most, found) + _Z * chance, 0, k)
    total, rest = max(float(p.sum()), 1e-12), np.maximum(p_high.sum() - most, 0)
    kept = np.maximum(p_low.sum() - least, 0)
    return pd.DataFrame({
        "k": k, "expected_found": found, "found_low": low, "found_high": high,
        "precision": found / k, "precision_low": low / k, "precision_high": high / k,
        "recall": found / total, "recall_low": _ratio(low, low + rest), "recall_high": _ratio(high, high + kept),
    })  # fmt: skip


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def grouped(groups: pd.DataFrame, p: Floats, p_low: Floats, p_high: Floats) -> pd.DataFrame:
    """Expected number of wrong labels by the columns of `groups`, with the uncertainty of share and chance."""
    frame = groups.assign(n=1, expected=p, least=p_low, most=p_high, variance=p * (1 - p))
    out = frame.groupby(list(groups.columns), sort=True).sum().reset_index()
    chance = _Z * np.sqrt(out["variance"])
    out["low"] = np.clip(np.minimum(out["least"], out["expected"]) - chance, 0, out["n"])
    out["high"] = np.clip(np.maximum(out["most"], out["expected"]) + chance, 0, out["n"])
    return out[[*groups.columns, "n", "expected", "low", "high"]]
