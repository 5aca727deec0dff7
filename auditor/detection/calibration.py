"""How many labels are wrong, and how far down the list it pays to look.

The share of wrong labels and the probability of each image come from the posterior (`auditor.detection.posterior`).
This module makes the probabilities follow the order of suspicion, and adds them up.
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
"""Half the width of a 95% interval of a normal distribution, in standard deviations."""

SMALLEST = 100
"""Images that are needed to say anything of a share."""

WEAKEST = 0.03
"""The area under the curve of planted against given suspicion must exceed a half by this much, and by more than chance.
Otherwise nothing is decided."""

_TINY = 1e-9


def in_order(p: Floats, suspicion: Floats) -> Floats:
    """Make probabilities `p` [N] rise with `suspicion` [N] and keep their mean (isotonic regression)."""
    ordered = IsotonicRegression(increasing=True).fit_transform(suspicion, p)
    return np.asarray(np.clip(ordered, 0, 1), dtype=np.float64)


def at_share(p: Floats, share: float) -> Floats:
    """Move the log odds of all probabilities `p` [N] by the same amount, so that their mean becomes `share`."""
    share = float(np.clip(share, 0, 1))
    if share <= 0 or share >= 1:
        return np.full(len(p), share)
    odds = logit(np.clip(p, _TINY, 1 - _TINY))

    def excess(offset: float) -> float:
        return float(expit(odds + offset).mean()) - share

    span = float(np.abs(odds).max() + abs(logit(share))) + 1
    return np.asarray(expit(odds + brentq(excess, -span, span)))


def separation(planted: Floats, given: Floats) -> float:
    """Give the area under the curve of planted suspicions against given ones. A half is chance."""
    truth = np.repeat([1, 0], [len(planted), len(given)])
    return float(roc_auc_score(truth, np.concatenate([planted, given])))


def as_share(value: float, low: float, high: float, n: int) -> Share:
    """Give the share with its interval, and both as numbers of `n` labels."""
    return Share(value, low, high, value * n, low * n, high * n)


def review_sizes(n: int) -> Array:
    """List the rows of the review table: 1, 2, 5, 10, ... and tenths of the `n` images, up to all of them."""
    sizes = {n} | {max(1, round(n * part)) for part in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)}
    step = 1
    while step < n:
        sizes |= {k for k in (step, 2 * step, 5 * step) if k <= n}
        step *= 10
    return np.array(sorted(sizes))


def review_table(order: Array, p: Floats, p_low: Floats, p_high: Floats) -> pd.DataFrame:
    """Say what a review of the first k finds: the expected number, with the uncertainty of the share and of chance.

    The first k + 1 images hold all that the first k hold. A lower end therefore holds for every deeper row, and an
    upper end for every row above it. The last row, all images, is the estimate itself.

    Parameters
    ----------
    order
        int64 [M], rows of the images that are reviewed, the most suspicious first.
    p, p_low, p_high
        float64 [N], probability that the label is wrong, at the share and at both ends of its interval.

    Returns
    -------
    One row for each k; columns as in `Detection.review`.
    """
    p, p_low, p_high = p[order], p_low[order], p_high[order]
    k = review_sizes(len(p))
    found, chance = np.cumsum(p)[k - 1], np.sqrt(np.cumsum(p * (1 - p))[k - 1])
    least, most = np.cumsum(p_low)[k - 1], np.cumsum(p_high)[k - 1]
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
    """Make lower ends rise from row to row, or cut upper ends by those of all deeper rows."""
    ends = np.clip(ends, least, most)
    return np.maximum.accumulate(ends) if rising else np.minimum.accumulate(ends[::-1])[::-1]


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def grouped(groups: pd.DataFrame, p: Floats, p_low: Floats, p_high: Floats) -> pd.DataFrame:
    """Add up the expected wrong labels by the columns of `groups`, with the uncertainty of share and of chance.

    Returns
    -------
    The columns of `groups`, then `n, expected, low, high`; one row for each group that occurs.
    """
    frame = groups.assign(n=1, expected=p, least=p_low, most=p_high, variance=p * (1 - p))
    out = frame.groupby(list(groups.columns), sort=True).sum().reset_index()
    chance = _Z * np.sqrt(out["variance"])
    out["low"] = np.clip(np.minimum(out["least"], out["expected"]) - chance, 0, out["n"])
    out["high"] = np.clip(np.maximum(out["most"], out["expected"]) + chance, 0, out["n"])
    return out[[*groups.columns, "n", "expected", "low", "high"]]
