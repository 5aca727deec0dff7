"""How far our heads count beside the user's own model.

The suspicion's weights are fitted on labels planted one at a time, which change no head. Many wrong labels together do:
they teach our heads, and not the user's model, whose probabilities are what they are. So labels are planted together,
the heads are fitted to them, and the part of their weight with which these labels are found best is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.compute.draws import draw
from auditor.detection.precision import average_precision
from auditor.detection.suspicion import Combination
from auditor.system.arrays import Array, Floats

PARTS = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Parts of the heads' weights that are tried."""


ENOUGH, MOST = 1000, 5
"""Planted labels of a kind that settle the choice, and how many labellings are tried for them at most."""


@dataclass(frozen=True)
class Together:
    """A labelling with labels planted together.

    Attributes
    ----------
    values
        Signal -> float64 [N], of the labels that the items carry in it.
    planted
        bool [N].
    """

    values: dict[str, Floats]
    planted: Array


def repeats(n: int, rate: float) -> int:
    """How many labellings of each kind are tried for `n` items of which a part `rate` is changed."""
    return int(np.clip(np.ceil(ENOUGH / max(rate * n, 1)), 1, MOST))


def plant_together(targets: Floats, labels: Array, families: Array, rate: float, rng: np.random.Generator) -> Array:
    """int64 [N], labels of which a part `rate` is changed. Copies are changed together, and to the same label.

    Parameters
    ----------
    targets
        float64 [N, C], the distribution of what is planted on each item.
    labels
        int64 [N], the labels of now.
    families
        int64 [N], who is a copy of whom.
    """
    _, first, family = np.unique(families, return_index=True, return_inverse=True)
    changed = rng.random(len(first)) < rate
    drawn = draw(targets[first], rng)
    return np.where(changed[family], drawn[family], labels)


@dataclass(frozen=True)
class Part:
    """The part of our heads' weights that is taken, and the mean average precision with it."""

    value: float
    found: float


def heads_part(combination: Combination, names: Sequence[str], own: set[str], trials: Sequence[Together]) -> Part:
    """The part of our heads' weights with which labels planted together are found best; of equal ones the largest.

    Parameters
    ----------
    combination
        Fitted on labels planted one at a time.
    names
        Its signals in order.
    own
        The signals of the user's model. They keep their weights.
    trials
        Signals that these do not measure count as equal for all items.
    """
    step = combination.weights / combination.scale
    weighed = [(name, weight) for name, weight in zip(names, step, strict=True) if weight > 0]
    tried = []
    for part in PARTS:
        sums = [
            sum(w * (1.0 if name in own else part) * t.values[name] for name, w in weighed if name in t.values)
            for t in trials
        ]
        found = [average_precision(t.planted, np.zeros(len(t.planted)) + s) for t, s in zip(trials, sums, strict=True)]
        tried.append(Part(part, float(np.mean(found))))
    return max(tried, key=lambda part: part.found)
