"""Estimates the share of wrong labels with its interval, or says why the data cannot support an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.detection import calibration as cal
from auditor.detection.bench import Bench, Scores
from auditor.detection.label_model import ENOUGH_TRUSTED
from auditor.detection.labelled import NOT_LOOKED
from auditor.detection.likeliest import Likeliest, likeliest, nothing
from auditor.detection.posterior import Spread, directed, posterior
from auditor.detection.results import Share
from auditor.detection.signals import Signals
from auditor.system.arrays import Array, Floats
from auditor.system.text import counted

REFERENCE_PRIOR = 0.02
"""Share of wrong labels that is assumed of a trusted reference before its scores are looked at."""

REFERENCE_SUSPECT = 0.5
"""A trusted label is suspect where it is wrong with more than this probability."""

WIDEST = 0.6
"""An interval that is wider, or as wide as from all right to labels at random, decides nothing."""

TENTH, TIMES = 0.1, 4.0
"""Only looks can tell where the upper end is a tenth of the labels or more and this many times the lower end."""

IN_FAMILIES = 0.5
"""From this part of items in families on, a result says that most items are copies."""


@dataclass(frozen=True)
class Estimate:
    """What calibration found for N audited images, n of which nobody looked at, and m trusted ones.

    Attributes
    ----------
    share
        None where nothing can be decided.
    cannot_tell
        Whether the interval is too wide to be an answer.
    spread
        What the interval of the share is made of.
    suspicion
        float64 [N], the order of the list: `directed`.
    p, low, high
        float64 [n] each, probability that the label is wrong, at the estimated share and at both ends of its interval.
    suggested_probability
        float64 [n], probability that the suggested label is the true one.
    likeliest
        The likeliest classes of the n images; none where nothing can be decided.
    doubted
        float64 [m], probability that each trusted label is wrong.
    basis
        What the share rests on: a key of `detect.ASSUMPTIONS`.
    reason
        Why nothing can be decided; empty where it can.
    """

    share: Share | None
    cannot_tell: bool
    spread: Spread
    suspicion: Floats
    p: Floats
    low: Floats
    high: Floats
    suggested_probability: Floats
    likeliest: Likeliest
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
    unseen = np.flatnonzero(bench.found == NOT_LOOKED)
    if not len(unseen):
        return _nothing_left(bench, scores.suspicion)
    known = posterior(bench.heard(signals, bench.given, bench.found), seed=bench.seed)
    spread = known.spread
    suspicion = directed(scores.suspicion, known)
    p = cal.in_order(known.p[unseen], suspicion[unseen])
    mean = float(p.mean())
    low, high = min(spread.low, mean), max(spread.high, spread.contradicted, mean)
    value, least, most = (cal.at_share(p, share) for share in (mean, low, high))
    area = cal.separation(bench.planted_one_by_one(table, signals), scores.suspicion)
    families = len(np.unique(bench.families[unseen]))
    counts = len(unseen), families
    reason = _contradiction(bench, signals) or _undecided(counts, area, mean, (low, high), bench.n_classes)
    suggested = known.truth[unseen, scores.suggested_label[unseen]] * value
    doubted = signals.model.at_share(REFERENCE_PRIOR)[np.arange(n, len(table)), bench.trusted]
    return Estimate(
        share=None if reason else cal.as_share(mean, low, high, len(unseen)),
        cannot_tell=not reason and high >= TENTH and high >= TIMES * low,
        spread=spread,
        suspicion=suspicion,
        p=value,
        low=least,
        high=most,
        suggested_probability=scores.suggested_probability[unseen] if reason else suggested,
        likeliest=nothing(len(unseen)) if reason else likeliest(known.truth[unseen], bench.given[unseen], value),
        doubted=doubted,
        basis="trusted reference" if reference else "shape of the posterior",
        reason=reason,
    )


def _nothing_left(bench: Bench, suspicion: Floats) -> Estimate:
    """People looked at every item: nothing is estimated."""
    none, doubted = np.empty(0), np.zeros(len(bench.trusted))
    return Estimate(
        share=cal.as_share(0.0, 0.0, 0.0, 0),
        cannot_tell=False,
        spread=Spread(0.0, 0.0, 0.0),
        suspicion=suspicion,
        p=none,
        low=none,
        high=none,
        suggested_probability=none,
        likeliest=nothing(0),
        doubted=doubted,
        basis="shape of the posterior",
        reason="",
    )


def family_note(families: Array) -> str:
    """Say how many of N items are copies of others, from int64 [N] `families`; empty where none is."""
    _, sizes = np.unique(families, return_counts=True)
    copies = int(sizes[sizes > 1].sum())
    if not copies:
        return ""
    text = (
        f"{copies} of {len(families)} images are copies or near copies of others, or share a group: "
        f"{counted(int((sizes > 1).sum()), 'family', 'families')}. No model that judges an image has seen one of its "
        "family, and the estimate counts families."
    )
    if copies < IN_FAMILIES * len(families):
        return text
    return text + " Most images are in such families. One mistake may stand on a whole family."


def _undecided(counts: tuple[int, int], area: float, value: float, ends: tuple[float, float], n_classes: int) -> str:
    """Say why no share can be stated; empty where it can. `counts` are the number of items and that of families."""
    items, n = counts
    if n < cal.SMALLEST:
        once = "" if n == items else f", counting each of the {n} families once,"
        return (
            f"{items} images{once} are too few to estimate a share of wrong labels; at least {cal.SMALLEST} are needed."
        )
    needed = 0.5 + max(cal.WEAKEST, 1.2 / np.sqrt(n))
    if area < needed:
        return (
            f"On these features planted labels hardly differ from given ones (area under the curve {area:.2f}, "
            f"needed {needed:.2f})."
        )
    if value >= 0.9 * (1 - 1 / n_classes):
        return f"The given labels fit these images barely better than labels drawn at random (share {value:.0%})."
    low, high = ends
    if high - low > min(WIDEST, 1 - 1 / n_classes):
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
