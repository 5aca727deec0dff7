"""How many labels are wrong, when nobody looked: an average over everything that the labels cannot refute.

A head that never saw a label contradicts it. Either the label is wrong, or the head is. How sure the head may be of the
*true* class is not known without looks. So no single answer is fitted here. Three things are unknown, and each has a
declared prior:

- how much sharper the head is about the true class than about the given one (`SHARPNESS`). Wrong labels make a head
  that learnt from them less sure than it should be;
- what kind of error it is: at random, a confused class, a class filed as another one (class-conditional, one
  direction), on all items alike or on hard ones;
- how many labels are wrong: few per cent in most data sets of people (Northcutt et al., 2021), with a long tail.

Every combination is a point of a grid. Its weight is the prior times the likelihood of the given labels. A softmax is
never the exact law of the true class. The likelihood therefore counts as if there were at most `WORTH` items
(coarsened posterior; Miller and Dunson, 2019).

People also make errors that look like the head's own doubt (`auditor.detection.hidden`). Of the items that it doubts,
and whose labels no kind of error explains, as large a part is taken to be wrong as of all doubts, or none, or twice as
large a part. The lower end leaves these out.

The answers of people are evidence of the same weights. They say directly which doubts were errors. But people look at
the top of a list, and how errors at its top compare with those below is the model's word alone. So answers do not lower
the upper end by it (`_upper`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from auditor.detection.grid import TINY, Heard, Means, Point, at, grid_of, means_of, softmax, walk
from auditor.detection.hidden import HIDDEN, SHAPES, mixture, shapes, toward
from auditor.system.arrays import Array, Floats

WORTH = 600.0
"""Items that the likelihood counts as at most. It is the same for looks and for trusted items."""

ENTRIES, ROWS = 400_000, 3_000
"""Items times classes, and items, that the weights are computed on at most; a random part where there are more."""

UNSEEN = 3.0
"""n labels without a single wrong one do not exclude a share of 3 / n (the rule of three)."""

LEAST_WEIGHT, CHUNK = 1e-5, 20_000

LEAST_P = 1e-6
"""Probabilities closer to 0 or 1 order the list no better."""


@dataclass(frozen=True)
class Spread:
    """What the interval of the share is made of.

    Attributes
    ----------
    low, high
        Ends of the posterior's 95% interval: of errors that stand out, and of all.
    contradicted
        The largest share of labels that the heads can contradict in truth. The upper end is never below it.
    """

    low: float
    high: float
    contradicted: float


@dataclass(frozen=True)
class Posterior:
    """What is known of the unseen items and of each of N.

    Attributes
    ----------
    value
        Mean share of wrong labels among items that nobody looked at.
    spread
        What its interval is made of.
    p
        float64 [N], probability that the label is wrong. Over unseen items its mean is `value`.
    truth
        float32 [N, C], probability of each class for an item whose given label is wrong. Rows sum to 1, and the given
        label has none.
    one_way
        Probability that the errors go one way: one class filed as another.
    """

    value: float
    spread: Spread
    p: Floats
    truth: Array
    one_way: float


@dataclass(frozen=True)
class _Weighed:
    """The points of one sharpness with their evidence, float64 [points, hidden] each but the last.

    Log weights by labels alone; what answers add to them; shares of unseen items that stand out and in all; the share
    in all of items that people looked at; and how hidden errors are shaped, [points, hidden, SHAPES].
    """

    told: Floats
    answers: Floats
    stands_out: Floats
    in_all: Floats
    looked: Floats
    shaped: Floats

    @classmethod
    def empty(cls, points: int, hidden: int) -> _Weighed:
        told, answers, stands_out, in_all, looked = np.zeros((5, points, hidden))
        return cls(told, answers, stands_out, in_all, looked, np.zeros((points, hidden, SHAPES)))


def _weigh(heard: Heard, points: list[Point], means: Means) -> _Weighed:
    """Weigh the points of one sharpness by the given labels, by what people found and by trusted items."""
    unseen, n, families = heard.unseen, len(heard.labels), len(np.unique(heard.families))
    looked, wrong_found = ~unseen, heard.found[~unseen] != heard.labels[~unseen]
    trusted = -np.log(at(softmax(heard.trusted_losses, points[0].sharpness), heard.trusted) + TINY)
    known = float(trusted.sum()) / (1 + len(trusted) / WORTH)
    heeded = 1 + looked.sum() / WORTH
    hides_of = _hides(heard, points)
    out = _Weighed.empty(len(points), len(HIDDEN))
    for rows, right, wrong in walk(heard, points, means):
        total = right + wrong + TINY
        p = wrong / total
        rest = 1 - p
        told = np.log(total).sum(axis=1) * families / n / (1 + families / WORTH)
        told = told - known + [point.prior for point in points[rows]]
        hides = hides_of[points[rows][0].kind.direction]
        available, mean_p = rest @ hides / n, p.mean(axis=1)
        left, share = available, mean_p
        if looked.any():
            left = np.compress(unseen, rest, axis=1) @ hides[unseen] / unseen.sum()
            share = np.compress(unseen, p, axis=1).mean(axis=1)
        p_looked, rest_looked = (np.compress(looked, part, axis=1) for part in (p, rest))
        for column, kind in enumerate(HIDDEN):
            hidden = np.minimum(1.0, kind.times * mean_p / (mean_p + available[:, -1] + TINY))
            shaped = mixture(available, hidden * available[:, -1], steep=kind.steep)
            if looked.any():
                said = np.clip(p_looked + rest_looked * (shaped @ hides[looked].T), 1e-4, 1 - 1e-4)
                out.answers[rows, column] = np.log(np.where(wrong_found, said, 1 - said)).sum(axis=1) / heeded
                out.looked[rows, column] = said.mean(axis=1)
            out.told[rows, column] = told + np.log(kind.prior)
            out.stands_out[rows, column], out.in_all[rows, column] = share, share + (left * shaped).sum(axis=1)
            out.shaped[rows, column] = shaped
    return out


def _upper(heard: Heard, weighed: list[_Weighed], weights: Floats, alone: Floats) -> float:
    """The upper end of the share in all, among items that nobody looked at.

    Looks at the top of a list are no sample of the rest. They bound it by the model's word for how much rarer errors
    are below, and no label can refute that word. So they lower the upper end only as far as no such word is needed:
    a list is no worse than chance, so the rest has no larger share of errors than what people saw. Where labels alone
    say that the rest is worse than what people looked at, it may be worse by as much.

    Parameters
    ----------
    weights, alone
        float64 [sharpness, points, hidden], with what people answered and by labels alone. Each sums to 1.
    """
    in_all, looked = (np.stack([getattr(one, name) for one in weighed]) for name in ("in_all", "looked"))
    worse = max(1.0, float((alone * in_all).sum()) / max(float((alone * looked).sum()), TINY))
    return max(_end(in_all, weights), min(_end(in_all, alone), worse * heard.seen()))


def _end(in_all: Floats, weights: Floats) -> float:
    """The upper end by these weights. It never rests on errors being steep: looks at a top say little of the rest."""
    even = weights * np.array([not kind.steep for kind in HIDDEN])
    return max(_quantile(in_all, weights, 0.975), _quantile(in_all, even / max(even.sum(), TINY), 0.975))


def _normal(log_weights: Floats) -> Floats:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _hides(heard: Heard, points: list[Point]) -> dict[tuple[int, int] | None, Floats]:
    """Where errors may hide, by the direction in which they go; points of one sharpness."""
    q = softmax(heard.losses, points[0].sharpness)
    hides = shapes(q, heard.labels)
    return {d: toward(hides, q, heard.labels, d) for d in dict.fromkeys(point.kind.direction for point in points)}


def posterior(heard: Heard, *, seed: int) -> Posterior:
    """Average over the grid.

    Parameters
    ----------
    heard
        N items, of which somebody has not looked at one at least.
    seed
        Draws the items that the weights are computed on, where there are many.
    """
    sample = _sample(heard, seed)
    grid = grid_of(sample)
    means = [means_of(sample, points[0].sharpness) for points in grid]
    weighed = [_weigh(sample, points, m) for points, m in zip(grid, means, strict=True)]
    alone = np.stack([one.told for one in weighed])
    weights = _normal(alone + np.stack([one.answers for one in weighed]))
    low = _quantile(np.stack([one.stands_out for one in weighed]), weights, 0.025)
    high = _upper(heard, weighed, weights, _normal(alone))
    kept = np.where(weights > LEAST_WEIGHT, weights, 0)
    kept /= kept.sum()
    p, truth = np.zeros(len(heard.labels)), np.zeros(heard.losses.shape, np.float32)
    for start in range(0, len(p), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(p)))
        part = heard.select(rows)
        for points, m, one, weight in zip(grid, means, weighed, kept, strict=True):
            _add(p, truth, rows, part, (points, m), one.shaped, weight)
    truth[np.arange(len(p)), heard.labels] = 0
    truth /= np.maximum(truth.sum(axis=1, keepdims=True), TINY)
    n = len(np.unique(heard.families[heard.unseen]))
    spread = Spread(max(0.0, low - UNSEEN / n), min(1.0, high), heard.contradicted())
    directed = np.array([point.kind.direction is not None for point in grid[0]])  # the same for each sharpness
    return Posterior(float(p[heard.unseen].mean()), spread, p, truth, float(weights[:, directed].sum()))


def directed(suspicion: Floats, known: Posterior) -> Floats:
    """Suspicion float64 [N] that knows of errors in one direction.

    Labels are planted in all directions, so the combination does not learn that one class may be filed as another and
    never the other way round. The posterior weighs that from the given labels. As far as it believes it, the order is
    the posterior's. Both are standardised first, and the result has the centre and the spread of `suspicion`.
    """
    odds = logit(np.clip(known.p, LEAST_P, 1 - LEAST_P))
    spread, other = float(suspicion.std()), float(odds.std())
    if spread <= 0 or other <= 0:
        return suspicion
    moved = (odds - odds.mean()) / other * spread + suspicion.mean()
    return np.asarray((1 - known.one_way) * suspicion + known.one_way * moved)


def _add(
    p: Floats,
    truth: Array,
    rows: Array,
    part: Heard,
    grid: tuple[list[Point], Means],
    shaped: Floats,
    weight: Floats,
) -> None:
    """Add what the points of one sharpness say of some rows, by their weights [points, hidden].

    `shaped` is [points, hidden, SHAPES].
    """
    used = np.flatnonzero(weight.sum(axis=1) > 0)
    if not len(used):
        return
    points = [grid[0][row] for row in used]
    q = softmax(part.losses, points[0].sharpness)
    hides = _hides(part, points)
    for group, right, wrong in walk(part, points, grid[1]):
        odds, some = wrong / (right + wrong + TINY), weight[used[group]]
        taken = (some[:, None] @ shaped[used[group]])[:, 0]
        doubted = taken @ hides[points[group][0].kind.direction].T
        p[rows] += some.sum(axis=1) @ odds + ((1 - odds) * doubted).sum(axis=0)
    truth[rows] += np.float32(weight.sum()) * q.astype(np.float32)


def _sample(heard: Heard, seed: int) -> Heard:
    """All items, or a random part of unseen ones and all that people looked at."""
    n, n_classes = heard.losses.shape
    most = max(500, min(ROWS, ENTRIES // n_classes))
    rng = np.random.default_rng([seed, 83])
    rows = [rng.permutation(np.flatnonzero(mask))[:most] for mask in (heard.unseen, ~heard.unseen)]
    return heard if n <= most else heard.select(np.sort(np.concatenate(rows)))


def _quantile(values: Floats, weights: Floats, at: float) -> float:
    order = np.argsort(values, axis=None, kind="stable")
    place = int(np.searchsorted(np.cumsum(weights.ravel()[order]), at))
    return float(values.ravel()[order][min(place, len(order) - 1)])
