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
"""Parts of the heads' weights that are tried, the largest first."""


ENOUGH, FEWEST, MOST = 1000, 2, 5
"""Planted labels of a kind that settle the choice, and how many labellings are tried for them, at least and at most."""


@dataclass(frozen=True)
class Together:
    """A labelling with labels planted together.

    Attributes
    ----------
    kind
        The kind of noise that was planted.
    values
        Signal -> float64 [N], of the labels that the items carry in it.
    planted
        bool [N].
    """

    kind: str
    values: dict[str, Floats]
    planted: Array


def repeats(n: int, rate: float) -> int:
    """How many labellings of each kind are tried for `n` items of which a part `rate` is changed."""
    return int(np.clip(np.ceil(ENOUGH / max(rate * n, 1)), FEWEST, MOST))


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
    """The part of our heads' weights that is taken.

    Attributes
    ----------
    found
        Kind of planted noise -> the average precision with that part in each of its trials.
    """

    value: float
    found: dict[str, tuple[float, ...]]

    @property
    def mean(self) -> float:
        """Mean average precision. All kinds count alike."""
        return float(np.mean([np.mean(values) for values in self.found.values()]))

    def surely_beats(self, other: Part) -> bool:
        """Whether the mean gain over the same trials is above its standard error, and above 0.

        It is the rule of one standard error (Breiman et al., 1984, Classification and Regression Trees, 3.4.3). Kinds
        are strata: how they differ is no error of the mean.
        """
        gains = [np.array(values) - np.array(other.found[kind]) for kind, values in self.found.items()]
        squares = [gain.var(ddof=1) / len(gain) for gain in gains if len(gain) > 1]
        return bool(np.mean([gain.mean() for gain in gains]) > np.sqrt(sum(squares)) / len(gains))


def heads_part(combination: Combination, names: Sequence[str], own: set[str], trials: Sequence[Together]) -> Part:
    """The smallest part of our heads' weights that the best one does not surely beat on labels planted together.

    The user's model is what the audit is asked about. Heads count where they surely help (see `Part.surely_beats`).

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
        found: dict[str, tuple[float, ...]] = {}
        for trial, s in zip(trials, sums, strict=True):
            value = average_precision(trial.planted, np.zeros(len(trial.planted)) + s)
            found[trial.kind] = (*found.get(trial.kind, ()), value)
        tried.append(Part(part, found))
    best = max(tried, key=lambda part: part.mean)
    return next(part for part in reversed(tried) if part is best or not best.surely_beats(part))
