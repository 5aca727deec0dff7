"""Groups of items, such as those of one camera or one annotator, with more wrong labels than the rest.

Labels that are more probably wrong than right are counted. Probabilities themselves are no good here: most of their sum
is doubt that is spread over all items alike, and it hides half of a difference.

A group is compared with the other items of the same given label on which the head was as much in doubt. So a group is
not blamed for a class in which errors are common, or for pictures that are hard to judge. `observed` is the count in
the group, and `usual` that of as many items like its own elsewhere (indirect standardisation; Breslow and Day, 1987).
Their ratio is `times`. Its interval is that of two Poisson counts (Clopper and Pearson, 1934, on
the group's part of all), at a level that holds for all groups of all columns together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import betaincinv

from auditor.system.arrays import Floats, Ints

SMALLEST = 10
"""Items that a group needs to be compared. Copies of one thing count once."""

LEVELS = 5
"""Levels of doubt inside a given label."""

EACH = 20
"""Items that a level of doubt holds at least."""

ERROR = 0.05
"""Chance that any group of any column is called worse without reason, if all are alike."""

MOST_GROUPS = 1000
"""Groups of a column that are compared: the largest. With more, a column names items rather than groups."""


@dataclass(frozen=True)
class Group:
    """The items of one column that have one value.

    Attributes
    ----------
    column, name
        The column, and its value in these items; empty where they have none.
    n
        Items that have others to be compared with. Copies count once.
    observed, usual
        Labels among them that are more probably wrong than right, and among as many items like them elsewhere.
    times
        How many times as many as in the rest.
    low, high
        Its interval; all intervals of a result hold together with 95% probability. `high` may be infinite.
    seen_from
        A group of this size had been called worse from this many times as many. Infinite where it could not be.
    """

    column: str
    name: str
    n: int
    observed: float
    usual: float
    times: float
    low: float
    high: float
    seen_from: float

    @property
    def worse(self) -> bool:
        """Whether it has more wrong labels than chance explains."""
        return self.low > 1


@dataclass(frozen=True)
class Column:
    """What became of one column: its different values, how many were compared, and how many are too small."""

    name: str
    n_groups: int
    n_compared: int
    n_small: int
    n_alone: int


@dataclass(frozen=True)
class Groups:
    """All groups that were compared, the clearest first, and what became of each column."""

    groups: tuple[Group, ...]
    columns: tuple[Column, ...]

    @property
    def worse(self) -> tuple[Group, ...]:
        """Those with more wrong labels than the rest."""
        return tuple(group for group in self.groups if group.worse)

    @property
    def seen_from(self) -> float:
        """From how many times as many wrong labels on half of the groups had been called worse."""
        return float(np.median([group.seen_from for group in self.groups])) if self.groups else np.inf


@dataclass(frozen=True)
class Judged:
    """What is known of N items.

    Attributes
    ----------
    p
        float64 [N], the probability that the label is wrong.
    labels
        int64 [N], the given labels.
    doubt
        float64 [N], how unsure the head is of the item, whatever its label: higher is more. None where nobody knows.
    families
        int64 [N], who is a copy of whom; None where every item stands alone.
    """

    p: Floats
    labels: Ints
    doubt: Floats | None = None
    families: Ints | None = None


def compare(columns: Mapping[str, Sequence[str]], items: Judged) -> Groups:
    """Compare the groups of every column with the rest.

    Parameters
    ----------
    columns
        N values for each column, by its name.
    items
        The N items.
    """
    strata = _strata(items)
    counted = {name: _count(values, items, strata) for name, values in columns.items()}
    compared = [(name, one) for name, counts in counted.items() for one in counts.groups]
    level = ERROR / max(len(compared), 1)
    groups = [_group(name, one, level) for name, one in compared]
    groups.sort(key=lambda group: (-group.low, -group.times, group.column, group.name))
    return Groups(
        tuple(groups),
        tuple(
            Column(name, counts.n_groups, len(counts.groups), counts.n_small, counts.n_alone)
            for name, counts in counted.items()
        ),
    )


def _strata(items: Judged) -> Ints:
    """int64 [N]: items of one number have the same given label and about the same doubt."""
    if items.doubt is None:
        return items.labels
    order = np.lexsort((items.doubt, items.labels))
    counts = np.bincount(items.labels)
    levels = np.clip(counts // EACH, 1, LEVELS)
    place = np.empty(len(order), np.int64)
    starts = np.cumsum(counts) - counts
    place[order] = np.arange(len(order)) - starts[items.labels[order]]
    level = place * levels[items.labels] // np.maximum(counts[items.labels], 1)
    return np.asarray(items.labels * LEVELS + level, np.int64)


@dataclass(frozen=True)
class _One:
    """The sums of one group and of the rest: items, labels that look wrong, and those of as many items like them."""

    name: str
    n: float
    observed: float
    usual: float
    rest_observed: float
    rest_usual: float


@dataclass(frozen=True)
class _Counts:
    groups: list[_One]
    n_groups: int
    n_small: int
    n_alone: int


def _count(values: Sequence[str], items: Judged, strata: Ints) -> _Counts:
    """The sums of each group of a column that can be compared."""
    codes, names = pd.factorize(np.asarray(values, dtype=object), sort=True)
    weight = _weights(codes, items)
    cells = pd.DataFrame({"group": codes, "stratum": strata, "n": weight, "wrong": weight * (items.p > 0.5)})
    cells = cells.groupby(["group", "stratum"], sort=True, as_index=False).sum()
    pooled = cells.groupby("stratum")[["n", "wrong"]].sum()
    sizes = cells.groupby("group")["n"].sum().to_numpy()
    largest = np.argsort(-sizes, kind="stable")[:MOST_GROUPS]
    wanted = np.sort(largest[sizes[largest] >= SMALLEST])
    found = [_sums(str(names[at]), cells[cells["group"] == at], pooled) for at in wanted]
    kept = [one for one in found if one.n >= SMALLEST and one.usual > 0 and one.rest_usual > 0]
    return _Counts(kept, len(names), len(names) - len(wanted), len(wanted) - len(kept))


def _weights(codes: Ints, items: Judged) -> Floats:
    """What each item counts: copies in one group under one label share a single count."""
    if items.families is None:
        return np.ones(len(codes))
    keys = pd.DataFrame({"group": codes, "label": items.labels, "family": items.families})
    return np.asarray(1 / keys.groupby(["group", "label", "family"])["family"].transform("size").to_numpy(float))


def _sums(name: str, own: pd.DataFrame, pooled: pd.DataFrame) -> _One:
    """The sums of a group over the strata in which there are others too."""
    whole = pooled.loc[own["stratum"]]
    n, n_all = own["n"].to_numpy(), whole["n"].to_numpy()
    wrong, wrong_all = own["wrong"].to_numpy(), whole["wrong"].to_numpy()
    shared = n_all - n > 1e-9
    n, n_all, wrong, wrong_all = n[shared], n_all[shared], wrong[shared], wrong_all[shared]
    rate = wrong_all / n_all
    return _One(
        name,
        float(n.sum()),
        float(wrong.sum()),
        float((n * rate).sum()),
        float((wrong_all - wrong).sum()),
        float(((n_all - n) * rate).sum()),
    )


def _group(column: str, one: _One, level: float) -> Group:
    exposure = one.rest_usual / one.usual
    times = np.inf if one.rest_observed <= 0 else one.observed / one.rest_observed * exposure
    low, high = _interval(one.observed, one.rest_observed, level)
    return Group(
        column,
        one.name,
        round(one.n),
        one.observed,
        one.rest_observed / exposure,
        float(times),
        low * exposure,
        high * exposure,
        _seen_from(one, level),
    )


def _interval(mine: float, rest: float, level: float) -> tuple[float, float]:
    """The interval of the ratio of two Poisson means from their counts, of confidence 1 - `level`.

    The first is a binomial part of both. Expected counts are no whole numbers, and the beta distribution takes them.
    """
    low = 0.0 if mine <= 0 else float(betaincinv(mine, rest + 1, level / 2))
    high = 1.0 if rest <= 0 else float(betaincinv(mine + 1, rest, 1 - level / 2))
    return low / max(1 - low, 1e-300), np.inf if high >= 1 else high / (1 - high)


def _seen_from(one: _One, level: float) -> float:
    """How many times as many wrong labels the group needs to be called worse, if the rest stays as it is."""
    exposure = one.rest_usual / one.usual

    def excess(count: float) -> float:
        return _interval(count, one.rest_observed, level)[0] * exposure - 1

    if one.rest_observed <= 0 or excess(one.n) <= 0:
        return np.inf
    count = float(brentq(excess, 0.0, one.n))
    return count / one.rest_observed * exposure
