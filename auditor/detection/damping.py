"""The damping with which influence finds planted labels best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.detection.influence import InfluenceStudy, Tried
from auditor.detection.results import Damping, DampingTrial
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats
from auditor.system.progress import Update


@dataclass(frozen=True)
class Single:
    """Labels planted on one image at a time, by which a damping is chosen.

    Attributes
    ----------
    planted
        Kind -> int64 [k, N], k labels of that kind for each image.
    worth
        float64 [N], how probable each given label was before anything was planted. An image counts by it: where the
        given label is wrong too, a planting shows nothing.
    rate
        What planted labels weigh together, as a share of all.
    """

    planted: Mapping[str, Array]
    worth: Floats
    rate: float


def choose_damping(
    study: InfluenceStudy,
    labels: Array,
    single: Single,
    dampings: Sequence[float],
    score: Callable[[Array, Floats, Floats], float],
    told: Update = lambda done, total: None,
) -> tuple[Damping, list[SoftmaxHead]]:
    """Choose the damping with which average influence finds labels that are planted on one image at a time.

    This costs nothing beside the heads: influence under a planted label is known already. Flips that are planted
    together make the labels noisier than they are, and a noisier labelling needs a stronger damping.

    They are tried from the middle one upward, or else downward, until planted labels are found worse again.

    Parameters
    ----------
    study
        Measures influence.
    labels
        int64 [N + m], as they are.
    single
        What is planted on the first N of them.
    dampings
        Candidates.
    score
        Average precision of bool flags [n] by a suspicion float64 [n], with weights float64 [n].
    told
        Called with the number of dampings done, and of all.

    Returns
    -------
    What was chosen, and the heads of the first folds that were trained with it.
    """
    order, trials, trained = sorted(dampings), dict[int, DampingTrial](), dict[float, list[SoftmaxHead]]()
    middle = len(order) // 2

    def tried(place: int, start: Sequence[SoftmaxHead]) -> list[SoftmaxHead]:
        at, heads = study.tried(labels, order[place], start)
        found = [_found(at, labels, planted, single, score) for planted in single.planted.values()]
        trials[place] = DampingTrial(float(order[place]), float(np.mean(found)), tuple(map(float, found)))
        trained[trials[place].damping] = heads
        told(len(trials), len(order))
        return heads

    first = tried(middle, ())
    for places, step in ((range(middle + 1, len(order)), 1), (range(middle - 1, -1, -1), -1)):
        heads = first
        for place in places:
            heads = tried(place, heads)
            if trials[place].average_precision < trials[place - step].average_precision:
                break
        if middle + step in trials and trials[middle + step].average_precision > trials[middle].average_precision:
            break  # the other way is downhill
    trace = tuple(trials[place] for place in sorted(trials))
    best = max(trace, key=lambda trial: trial.average_precision).damping
    return Damping(best, True, trace), trained[best]


def _found(
    tried: Tried, labels: Array, planted: Array, single: Single, score: Callable[[Array, Floats, Floats], float]
) -> float:
    """How well influence tells the labels `planted` [k, N] from the given ones."""
    audited = np.flatnonzero(tried.rows < len(single.worth))
    rows, harm = tried.rows[audited], -tried.average[audited]
    index, times = np.arange(len(rows)), len(planted)
    values = np.concatenate([harm[index, labels[rows]], harm[index, planted[:, rows]].ravel()])
    flags = np.repeat([False, True], [len(rows), times * len(rows)])
    part = single.rate / (1 - single.rate) / times
    worth = np.concatenate([single.worth[rows], np.tile(single.worth[rows] * part, times)])
    return score(flags, values, worth)
