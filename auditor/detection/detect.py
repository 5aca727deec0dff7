"""Detection from features to a calibrated list of suspects: the stages in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from auditor.data.settled import Settled
from auditor.detection import calibration as cal
from auditor.detection.bench import Bench, Scores, Tell
from auditor.detection.estimate import Estimate, estimate_share, family_note, reference_suspects
from auditor.detection.labelled import Labelled
from auditor.detection.results import Detection, DetectionSettings, Share
from auditor.detection.rivals import rivals
from auditor.detection.signals import Signals
from auditor.system.arrays import Array, Floats

NOT_BY_CLASS = (
    "Influence by class was not measured: with {} classes it would take longer than everything else together. No other "
    "figure rests on it."
)

ALL_COPIES = (
    "Nearly all items are copies of each other on these features. None can be judged by others, so nothing can be said "
    "of their labels without looks."
)

BY_HEART = (
    "The probabilities agree with every given label, as those of a model do that learnt these labels by heart. If they "
    "are not out of sample, they hide wrong labels. Give probabilities from cross-validation. If they are, only looks "
    "can tell how many labels are wrong."
)

_KINDS = (
    "The estimate trusts the model's picture of the data. It weighs every kind of error that the model cannot "
    "rule out: a class at random, a class that looks alike on this item or in general, or one class filed as "
    "another, on all items or on hard ones. Half of the errors may look like the model's own doubt. Before it "
    "sees the labels, three wrong labels in a hundred are typical, and many more are possible. The upper end is "
    "never below the share of labels that the model contradicts."
)

ASSUMPTIONS = {
    "trusted reference": (
        "The trusted labels are right and their items are like the audited ones, so they show how far the model's "
        "confidence can be trusted. " + _KINDS
    ),
    "shape of the posterior": (
        "There are no trusted labels, or too few, so nobody knows how far the model's confidence can be trusted. The "
        "estimate is an average over what is possible. " + _KINDS + " Labels that look right to the model may be wrong "
        "too. Only looks can tell."
    ),
}


def detect(
    images: Labelled,
    *,
    seed: int,
    names: Sequence[str] = (),
    settled: Array | None = None,
    settings: DetectionSettings | None = None,
    tell: Tell = lambda step, share: None,
    device: str = "cpu",
) -> Detection:
    """Find which labels are wrong, how many, and how far the list can be trusted.

    Parameters
    ----------
    images
        N images: features, given labels and a trusted reference where there is one.
    seed
        Equal inputs and seeds give equal results.
    names
        N image paths. They order images of exactly equal suspicion in `review`.
    settled
        int64 [N], the trusted class of images that the reference holds too, -1 for all others; None where it holds
        none. These images are certain. Nothing is estimated of them or from them.
    settings
        How much work to do.
    tell
        Called with the name of a step and the share that is done.
    device
        A torch device such as `cpu` or `cuda`.

    Raises
    ------
    AuditorError
        When the arrays do not fit together or are not finite.
    """
    copies = images.too_few_families()
    images = images.checked()
    known = Settled.of(images.labels, settled, images.found)
    if len(known.audited) < len(images.labels):
        images = images.select(known.audited).checked()
    tell("preparing heads", 0.0)
    bench = Bench.set_up(images, settings or DetectionSettings(), seed, device)
    scores, signals = bench.score(tell)
    tell("calibrating", 0.9)
    table = scores.combination.table(signals)
    estimate = estimate_share(bench, table, signals, scores)
    if copies or images.known_by_heart():
        estimate = replace(estimate, share=None, reason=ALL_COPIES if copies else BY_HEART)
    suspects = reference_suspects(bench, table, estimate)
    unseen = np.flatnonzero(~known.looked[known.audited])
    scores = replace(scores, suspicion=estimate.suspicion)
    estimate = replace(estimate, likeliest=estimate.likeliest.spread(known.rest, len(known.given)))
    scores = _everywhere(scores.select(unseen, estimate.suggested_probability), known)
    found = replace(
        _assemble(bench, scores, estimate, suspects, known, names),
        doubt=_doubt(bench, signals, known),
        rivals=rivals(signals.values["stacked_loss"][: bench.n], bench.labels, bench.families),
    )
    tell("done", 1.0)
    return found


def _doubt(bench: Bench, signals: Signals, known: Settled) -> Floats:
    """How unsure the heads are of each image; NaN for settled ones."""
    losses = signals.values["stacked_loss"][: bench.n].astype(np.float64)
    unsure = np.full(len(known.given), np.nan)
    unsure[known.audited] = 1 - np.exp(-losses.min(axis=1))
    return unsure


def _everywhere(scores: Scores, known: Settled) -> Scores:
    """Scores of all images, from those of the images that are not settled. Settled ones get NaN for signals."""
    if len(known.rest) == len(known.given):
        return scores
    return replace(
        scores,
        suspicion=known.suspicion(scores.suspicion),
        average_influence=known.whole(scores.average_influence, right=np.nan, wrong=np.nan),
        signals=scores.signals.set_axis(known.rest).reindex(range(len(known.given))),
        suggested_label=known.suggested(scores.suggested_label),
        suggested_probability=np.where(
            known.found_wrong & (known.found >= 0), 1.0, known.whole(scores.suggested_probability, right=0.0, wrong=1.0)
        ),
    )


def _assemble(
    bench: Bench,
    scores: Scores,
    estimate: Estimate,
    suspects: Array,
    known: Settled,
    names: Sequence[str],
) -> Detection:
    decided, n = estimate.share is not None, len(known.given)
    certainly = scores.suspicion
    if bench.settings.rank_by == "influence":
        certainly = influence_order(certainly, scores.average_influence, known.wrong | known.found_wrong)
    certainly = np.nan_to_num(certainly, nan=-np.inf)
    order = np.lexsort((np.asarray(names) if len(names) else np.arange(n), -certainly))
    three = p, _, _ = tuple(known.whole(q, right=0.0, wrong=1.0) for q in (estimate.p, estimate.low, estimate.high))
    keep, unseen = slice(None) if decided else slice(0, 0), ~known.looked
    by_class = cal.grouped(pd.DataFrame({"label": known.given[unseen]}), *(q[unseen] for q in three))
    by_class["share"] = by_class["expected"] / by_class["n"]
    doubted = ~known.right & unseen
    pairs = pd.DataFrame({"label": known.given, "suggested_label": scores.suggested_label})[doubted]
    weights = dict(zip((signal.name for signal in bench.views.table), scores.combination.weights, strict=True))
    return Detection(
        suspicion=scores.suspicion,
        signals=scores.signals,
        weights={name: float(weights.get(name, 0.0)) for name in scores.signals.columns},
        suggested_label=scores.suggested_label,
        suggested_probability=scores.suggested_probability,
        likeliest=estimate.likeliest,
        p_mislabelled=np.where(unseen, p, known.found_wrong) if decided else None,
        damping=scores.damping,
        share=estimate.share and _of_all(estimate.share, known),
        spread=estimate.spread,
        by_class=by_class.iloc[keep],
        by_pair=cal.grouped(pairs, *(q[doubted] for q in three)).iloc[keep],
        review=cal.review_table(order[unseen[order]] if unseen.any() else order, *three).iloc[keep],
        assumption=ASSUMPTIONS[estimate.basis],
        basis=estimate.basis,
        decided=decided,
        reason=_with_settled(estimate.reason, known),
        reference_suspects=suspects,
        notes=_notes(bench),
        cannot_tell=estimate.cannot_tell,
    )


def influence_order(suspicion: Floats, average_influence: Floats, first: Array) -> Floats:
    """Values float64 [N] by which influence orders: the highest first. Images without a suspicion have none (NaN).

    Parameters
    ----------
    suspicion
        float64 [N].
    average_influence
        float64 [N], NaN where it is not known. Such images come last, by suspicion.
    first
        bool [N], labels that are known to be wrong. They come first, by suspicion.
    """
    listed = np.isfinite(suspicion)
    tier = np.where(first, 2, np.isfinite(average_influence))
    order = np.full(len(suspicion), np.nan)
    for number, values in enumerate((suspicion, -average_influence, suspicion)):
        mine = listed & (tier == number)
        order[mine] = number * (len(order) + 1) + rankdata(values[mine])
    return order


def _notes(bench: Bench) -> tuple[str, ...]:
    """What was left out or limited."""
    by_class = "" if bench.study.by_class else NOT_BY_CLASS.format(bench.n_classes)
    return tuple(note for note in (by_class, family_note(bench.families)) if note)


def _of_all(share: Share, known: Settled) -> Share:
    """The share among all images that nobody looked at. Those that the reference settles are certain."""
    value, low, high = (known.share(end) for end in (share.value, share.low, share.high))
    return cal.as_share(value, low, high, int((~known.looked).sum()))


def _with_settled(reason: str, known: Settled) -> str:
    """Why nothing could be decided, and what is certain all the same."""
    wrong = int(known.wrong.sum())
    if not reason or not wrong:
        return reason
    return f"{reason} The reference itself contradicts the labels of {wrong} images."
