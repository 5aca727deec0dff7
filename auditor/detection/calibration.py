"""How many labels are wrong, and how far down the list it pays to look.

The share of wrong labels and each image's probability come from the label model (`auditor.detection.label_model`); this
module puts an interval around the share, makes the probabilities follow the order of suspicion, and adds them up.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from auditor.detection.results import Share
from auditor.system.arrays import Array, Floats

_Z = 1.959964

SMALLEST = 100
"""Fewer images than this say nothing of a share."""

WEAKEST = 0.03
"""Nothing is decided unless the area under the curve of planted against given suspicion exceeds a half by this and by
more than chance would."""

DOUBT_WITH_REFERENCE, DOUBT = (0.15, 0.25), (0.2, 0.25)
"""How far down and up the share may be off, as a part of it, for what the label model may have wrong: the kinds of
error always and, without trusted labels, the shape of the posterior as well. Further up than down: errors that prefer
hard images more than the model allows for stay hidden, and nothing hides the other way."""

SURELY_RIGHT = 0.02
"""Share of the labels that may look wrong and be right: images unlike anything the model knows. Measured on CIFAR-10's
own labels, 8,000 with 2,000 trusted ones: 0.022 for 0.005 (benchmarks/RESULTS.md, the gate). It widens the interval
downwards alone, and matters only where few labels are wrong."""

UNSEEN = 3.0
"""No draw of n labels without a single wrong one excludes a share of 3 / n (the rule of three)."""

_TINY = 1e-9


def interval(shares: tuple[float, ...], error: float, n: int, *, reference: bool) -> tuple[float, float]:
    """95% interval of the share of wrong labels.

    Parameters
    ----------
    shares
        Estimates under each assumption on which images errors prefer; the interval holds them all.
    error
        Standard error of drawing these images.
    n
        Number of audited images.
    reference
        Whether trusted labels pin the posterior down.
    """
    down, up = DOUBT_WITH_REFERENCE if reference else DOUBT
    below = np.linalg.norm([_Z * error, down * min(shares), SURELY_RIGHT])
    low = min(shares) - float(below) - UNSEEN / max(n, 1)
    high = max(shares) + float(np.hypot(_Z * error, up * max(shares))) + UNSEEN / max(n, 1)
    return max(0.0, low), min(1.0, high)


def in_order(p: Floats, suspicion: Floats) -> Floats:
    """[N] the probabilities `p` [N] made non-decreasing in `suspicion` [N] with the same mean (isotonic regression)."""
    ordered = IsotonicRegression(increasing=True).fit_transform(suspicion, p)
    return np.asarray(np.clip(ordered, 0, 1), dtype=np.float64)


def at_share(p: Floats, share: float) -> Floats:
    """[N] the probabilities with all log odds moved alike until their mean is `share`."""
    share = float(np.clip(share, 0, 1))
    if share <= 0 or share >= 1:
        return np.full(len(p), share)
    odds = logit(np.clip(p, _TINY, 1 - _TINY))

    def excess(offset: float) -> float:
        return float(expit(odds + offset).mean()) - share

    span = float(np.abs(odds).max() + abs(logit(share))) + 1
    return np.asarray(expit(odds + brentq(excess, -span, span)))


def separation(planted: Floats, given: Floats) -> float:
    """Area under the curve of planted suspicions against given ones; a half is chance."""
    truth = np.repeat([1, 0], [len(planted), len(given)])
    return float(roc_auc_score(truth, np.concatenate([planted, given])))


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
    """What reviewing the first k finds: expected, with the uncertainty of the share and of chance.

    What the first k hold the first k + 1 hold too, so that a lower end serves every deeper row and an upper end every
    shallower one; and what all hold is the estimate itself.
    """
    k = review_sizes(len(p))
    found, chance = np.cumsum(p[order])[k - 1], np.sqrt(np.cumsum((p * (1 - p))[order])[k - 1])
    least, most = np.cumsum(p_low[order])[k - 1], np.cumsum(p_high[order])[k - 1]
    low = _nested(np.minimum(least, found) - _Z * chance, 0, np.minimum(k, p_low.sum()), rising=True)
    high = _nested(np.maximum(most, found) + _Z * chance, 0, np.minimum(k, p_high.sum()), rising=False)
    low[-1], high[-1] = p_low.sum(), p_high.sum()
    total, rest = max(float(p.sum()), 1e-12), np.maximum(p_high.sum() - most, 0)
    kept = np.maximum(p_low.sum() - least, 0)
    recall_low = _nested(_ratio(low, low + rest), 0, 1, rising=True)
    recall_high = _nested(_ratio(high, high + kept), 0, 1, rising=False)
    return pd.DataFrame(
        {
            "k": k,
            "expected_found": found,
            "found_low": low,
            "found_high": high,
            "precision": found / k,
            "precision_low": low / k,
            "precision_high": high / k,
            "recall": found / total,
            "recall_low": recall_low,
            "recall_high": recall_high,
        }
    )


def _nested(ends: Floats, least: float, most: Floats | float, *, rising: bool) -> Floats:
    """Lower ends made to rise from row to row, or upper ends cut by those of all deeper rows."""
    ends = np.clip(ends, least, most)
    return np.maximum.accumulate(ends) if rising else np.minimum.accumulate(ends[::-1])[::-1]


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
