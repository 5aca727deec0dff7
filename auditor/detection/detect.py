"""Detection from features to a calibrated list of suspects: the stages in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from auditor.data.settled import Settled
from auditor.detection import calibration as cal
from auditor.detection.bench import InfluenceBench, Progress, check_arrays
from auditor.detection.estimate import Estimate, estimate_share, reference_suspects
from auditor.detection.results import Damping, Detection, DetectionSettings, Recovery, Scores, Share
from auditor.detection.signals import SIGNALS
from auditor.system.arrays import Array

NOT_BY_CLASS = (
    "Influence on reference images of the given label alone is left out of the signals: with {} classes it would take "
    "longer than all the rest, and nothing else rests on it."
)

_KINDS = (
    "A wrong label is a class at random, one the model confuses with the true class on this very image, or one that is "
    "like the true class in general; wrong labels hit all images alike, or some of them images that are hard. One "
    "label in fifty may look wrong and be right: the lower end of the interval allows for that."
)

ASSUMPTIONS = {
    "trusted reference": (
        "The trusted labels are right and their images are like the audited ones, so they show how sure the model may "
        "be. " + _KINDS + " Which of these, and how often, is what explains the given labels best (maximum likelihood)."
    ),
    "shape of the posterior": (
        "Without trusted labels the share of wrong labels is identified only by an assumption: the model's "
        "probabilities of the true class are a softmax of its left-out losses. " + _KINDS + " If hard images are "
        "labelled worse than that, the true share is higher."
    ),
}


def detect(
    features: Array,
    labels: Array,
    n_classes: int,
    *,
    seed: int,
    names: Sequence[str] = (),
    reference: tuple[Array, Array] | None = None,
    settled: Array | None = None,
    settings: DetectionSettings | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Detection:
    """Which labels are wrong, how many, and how far the list can be trusted.

    Parameters
    ----------
    features
        float32 [N, D] of a frozen backbone that saw none of the labels.
    labels
        int64 [N], the given labels 0..C-1.
    seed
        Equal inputs and seeds give equal results.
    names
        Image paths; order exactly equal suspicions in `review`.
    reference
        Trusted features [n, D] and labels [n].
    settled
        int64 [N], the class of images that the reference holds themselves, -1 for all others; None where it holds
        none. They are certain, and serve nothing else.
    progress
        Called with a stage's name and the share done.
    device
        A torch device such as `cpu` or `cuda`.

    Raises
    ------
    AuditorError
        When the arrays do not fit together or are not finite.
    """
    settings, tell = settings or DetectionSettings(), progress or (lambda stage, part: None)
    features, labels, reference = check_arrays(features, labels, n_classes, reference)
    known = Settled.of(labels, settled)
    if len(known.rest) < len(labels):
        features, labels, reference = check_arrays(features[known.rest], labels[known.rest], n_classes, reference)
    tell("preparing heads", 0.0)
    bench = InfluenceBench.with_influence(features, labels, n_classes, reference, settings, seed, device)
    scores, signals = bench.score(labels, tell)
    tell("measuring recovery", 0.6)
    recovery = bench.recovery(signals, scores.combination, scores.damping.value, tell)
    tell("calibrating", 0.9)
    table = scores.combination.table(signals)
    estimate = estimate_share(bench, table, signals, scores)
    suspects = reference_suspects(bench, table, estimate)
    out = _assemble(bench, _everywhere(scores, known), estimate, recovery, suspects, known, names)
    tell("done", 1.0)
    return out


def score(
    features: Array,
    labels: Array,
    n_classes: int,
    *,
    seed: int,
    reference: tuple[Array, Array] | None = None,
    settings: DetectionSettings | None = None,
    damping: Damping | None = None,
) -> Scores:
    """Suspicion and average influence of any labelling, such as one with flips planted by somebody else.

    The same procedure as in `detect`, fitted on plantings of its own on top of `labels`: it knows nothing of flips
    that `labels` already hold, so its recovery of them is an honest measurement.

    Parameters
    ----------
    damping
        Reuse a damping chosen before; None chooses it anew.
    """
    settings = settings or DetectionSettings()
    features, labels, reference = check_arrays(features, labels, n_classes, reference)
    bench = InfluenceBench.with_influence(features, labels, n_classes, reference, settings, seed, "cpu")
    return bench.score(labels, lambda stage, part: None, damping)[0]


def _everywhere(scores: Scores, known: Settled) -> Scores:
    """Scores of all images from those of the images that are not settled; signals of the others are NaN."""
    if len(known.rest) == len(known.given):
        return scores
    return replace(
        scores,
        suspicion=known.suspicion(scores.suspicion),
        average_influence=known.whole(scores.average_influence, right=np.nan, wrong=np.nan),
        signals=scores.signals.set_axis(known.rest).reindex(range(len(known.given))),
        suggested_label=known.suggested(scores.suggested_label),
        suggested_probability=known.whole(scores.suggested_probability, right=0.0, wrong=1.0),
    )


def _assemble(
    bench: InfluenceBench,
    scores: Scores,
    estimate: Estimate,
    recovery: Recovery | None,
    suspects: Array,
    known: Settled,
    names: Sequence[str],
) -> Detection:
    decided, n = estimate.share is not None, len(known.given)
    certainly = np.nan_to_num(scores.suspicion, nan=-np.inf)
    order = np.lexsort((np.asarray(names) if len(names) else np.arange(n), -certainly))
    three = p, _, _ = tuple(known.whole(q, right=0.0, wrong=1.0) for q in (estimate.p, estimate.low, estimate.high))
    keep = slice(None) if decided else slice(0, 0)
    by_class = cal.grouped(pd.DataFrame({"label": known.given}), *three)
    by_class["share"] = by_class["expected"] / by_class["n"]
    doubted = ~known.right
    pairs = pd.DataFrame({"label": known.given, "suggested_label": scores.suggested_label})[doubted]
    return Detection(
        suspicion=scores.suspicion,
        signals=scores.signals,
        weights={
            name: dict(zip(SIGNALS, map(float, scores.combination.weights), strict=True)).get(name, 0.0)
            for name in scores.signals.columns
        },
        suggested_label=scores.suggested_label,
        suggested_probability=scores.suggested_probability,
        p_mislabelled=p if decided else None,
        damping=scores.damping,
        share=estimate.share and _of_all(estimate.share, known),
        spread=estimate.spread,
        by_class=by_class.iloc[keep],
        by_pair=cal.grouped(pairs, *(q[doubted] for q in three)).iloc[keep],
        review=cal.review_table(order, *three).iloc[keep],
        assumption=ASSUMPTIONS[estimate.basis],
        basis=estimate.basis,
        decided=decided,
        reason=_with_settled(estimate.reason, known),
        reference_suspects=suspects,
        planted_recovery=recovery,
        notes=() if bench.study.by_class else (NOT_BY_CLASS.format(bench.n_classes),),
    )


def _of_all(share: Share, known: Settled) -> Share:
    """The share among all images, the settled ones being certain."""
    value, low, high = (known.share(end) for end in (share.value, share.low, share.high))
    return cal.as_share(value, low, high, len(known.given))


def _with_settled(reason: str, known: Settled) -> str:
    """Why nothing could be decided, and what is certain all the same."""
    wrong = int(known.wrong.sum())
    if not reason or not wrong:
        return reason
    return f"{reason} Of {wrong} images the reference itself says another class than their label."
