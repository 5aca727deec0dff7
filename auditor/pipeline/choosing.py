"""What detection learns from: the frozen network's features alone, or also those of networks tuned on other folds.

`--train auto` leaves the choice to this module. It rests on the work that tuning takes, which is counted and not
timed, and on the labels that the folds' networks give to images they have not learnt from. So equal inputs give equal
choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.data.inputs import Inputs
from auditor.detection import Labelled
from auditor.detection.influence import folds_of
from auditor.model.halves import Halves, operations
from auditor.model.scaling import Scaling
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.tuning import HEAD_DECAY, Recipe
from auditor.pipeline.job import Job
from auditor.pipeline.tuned_features import FOLDS, Tuned, Tuner, halves_of, serves
from auditor.system.arrays import Array

MOST_OPERATIONS = {"cpu": 2e14}
"""Floating-point operations that `auto` spends on tuning: about an hour on two cores, the experiment included."""
MOST_ELSEWHERE = 2e16

GOOD = 0.99
"""From this part of left-out labels that a head on the frozen features gives, `auto` tunes nothing."""

CERTAIN = 1.645
"""Standard errors by which tuned networks must give more left-out labels than that head: 95%, one-sided."""

_NO_ROOM = (
    "this machine has no memory for the images' pixels and what the frozen layers say of them (--train layers:... says "
    "how much they need)"
)

_STAYS = "--train auto: detection rests on the frozen network's features alone, because {}."


@dataclass(frozen=True)
class Learnt:
    """What detection learns from beside the frozen network's features.

    Attributes
    ----------
    tuner
        Tunes the network on any labelling; None where nothing is tuned.
    told
        What it says under the given labels.
    notes
        Sentences for the reader of a result.
    """

    tuner: Tuner | None = None
    told: Tuned | None = None
    notes: tuple[str, ...] = ()

    def joined(self, images: Labelled) -> Labelled:
        """The images as detection sees them."""
        return images if self.told is None else self.told.joined(images)


def learnt(inputs: Inputs, job: Job) -> Learnt:
    """Tune the network on the folds of the given labels, where that was asked for or pays."""
    chosen = job.settings.train == "auto"
    if not serves(inputs.backbone, job.settings):
        return Learnt(notes=(_STAYS.format("there is no pretrained network to tune"),) if chosen else ())
    known = np.where(inputs.data.trusted_labels >= 0, -1, inputs.data.taught().labels)
    if not chosen:
        assert inputs.backbone is not None
        tuner = Tuner(inputs, job, halves_of(inputs.backbone, job.settings))
        told = _told(tuner, known, job)
        return Learnt(tuner, told, (tuner.note(told, known),))
    return _chosen(inputs, job, known)


def _chosen(inputs: Inputs, job: Job, known: Array) -> Learnt:
    """Tuned networks where they give more left-out labels than a head on the frozen features."""
    assert inputs.backbone is not None
    if inputs.data.pixels is None:
        return _stays(job, _NO_ROOM)
    halves = halves_of(inputs.backbone, job.settings)
    frozen = _right(_left_out(inputs, known, job.settings.seed), known)
    why = _spared(inputs, job, halves, frozen)
    if not why:
        tuner = Tuner(inputs, job, halves)
        told = _told(tuner, known, job)
        tuned = _right(told.audited.log_probabilities, known)
        gained, lost = int((tuned & ~frozen).sum()), int((frozen & ~tuned).sum())
        shares = f"{tuned.mean():.0%} of the labels left out, a head on the frozen features {frozen.mean():.0%}"
        if gained - lost > CERTAIN * np.sqrt(gained + lost):
            return Learnt(tuner, told, (f"--train auto: tuned networks gave {shares}.", tuner.note(told, known)))
        why = f"networks tuned in {halves.layers} do not tell surely more: they gave {shares}"
    return _stays(job, why)


def _stays(job: Job, why: str) -> Learnt:
    job.progress.say("  " + _STAYS.format(why))
    return Learnt(notes=(_STAYS.format(why),))


def _spared(inputs: Inputs, job: Job, halves: Halves, frozen: Array) -> str:
    """Why nothing is tuned; empty where it is tried."""
    if frozen.mean() >= GOOD:
        return f"a head on them gives {frozen.mean():.1%} of the labels left out"
    seen = len(inputs.data.labels) * (FOLDS - 1) * Recipe().epochs * (1 + job.settings.repeats)
    needed = seen * operations(halves)
    most = MOST_OPERATIONS.get(inputs.device, MOST_ELSEWHERE)
    if needed <= most:
        return ""
    return (
        f"tuning takes {needed:.0e} floating-point operations, and auto spends up to {most:.0e} of them on "
        f"{inputs.device} (--train {halves.layers} tunes all the same)"
    )


def _told(tuner: Tuner, known: Array, job: Job) -> Tuned:
    with job.stage("tuning", "Tuning the network on folds") as update:
        return tuner(known, np.arange(len(known)), "tuned", update)


def _left_out(inputs: Inputs, known: Array, seed: int) -> Array:
    """Probabilities float64 [N, C] of heads on the frozen features, each from the folds without the image."""
    features, n = inputs.data.features, len(known)
    fold = folds_of(inputs.groups, n, FOLDS, seed)
    found = np.empty((n, inputs.data.n_classes))
    for number in range(int(fold.max()) + 1):
        taught, held = np.flatnonzero((fold != number) & (known >= 0)), np.flatnonzero(fold == number)
        scaling = Scaling.of(features, taught)
        head = SoftmaxHead.train(scaling(features, taught), known[taught], inputs.data.n_classes, HEAD_DECAY)
        found[held] = head.probabilities(scaling(features, held))
    return found


def _right(scores: Array, known: Array) -> Array:
    """Of each image with a label: whether its likeliest class is that label."""
    return np.asarray((scores.argmax(axis=1) == known)[known >= 0])
