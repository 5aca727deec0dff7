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

People also make errors that look like the head's own doubt. Of the items that it doubts, and whose labels no kind of
error explains, the same part is taken to be wrong as of all doubts (`HIDDEN` times it). The lower end leaves these out.

The answers of people are evidence of the same weights. They say directly which doubts were errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.stats import beta

from auditor.detection.labelled import NOT_LOOKED
from auditor.system.arrays import Array, Floats

SHARPNESS = (0.7, 0.85, 1.0, 1.25, 1.6, 2.0, 2.6, 3.4, 4.6, 6.5, 9.0)
"""How many times sharper the head may be about the true class than about the given one. All weigh the same."""

SHARES = (0.0, *np.geomspace(2e-4, 0.7, 32))
"""Shares of wrong labels that are tried."""

TYPICAL = 0.03
"""Half of all data sets have fewer wrong labels than this: the prior density of a share s is 1 / (s + TYPICAL)^2."""

HIDDEN = ((0.0, 0.25), (1.0, 0.5), (2.0, 0.25))
"""How common errors are that look like doubt, as a multiple of those that stand out, and its prior."""

WORTH = 600.0
"""Items that the likelihood counts as at most. It is the same for looks and for trusted items."""

ENTRIES, ROWS = 400_000, 3_000
"""Items times classes, and items, that the weights are computed on at most; a random part where there are more."""

DIRECTIONS = 3
"""Pairs of classes that are tried as one class filed as another: those with most contradictions."""

UNSEEN = 3.0
"""n labels without a single wrong one do not exclude a share of 3 / n (the rule of three)."""

MOST_WRONG, LEAST_WEIGHT, CHUNK, TINY = 0.98, 1e-5, 20_000, 1e-12


@dataclass(frozen=True)
class Heard:
    """What is known of N items before anybody estimates anything.

    Attributes
    ----------
    losses
        float [N, C], loss of every label by heads that saw no label of the item or of its family.
    labels, found
        int64 [N], the given labels, and what people found (as in `Labelled`).
    families
        int64 [N].
    trusted_losses, trusted
        float [m, C] and int64 [m], the same of trusted items; m may be 0.
    """

    losses: Array
    labels: Array
    found: Array
    families: Array
    trusted_losses: Array
    trusted: Array

    def select(self, rows: Array) -> Heard:
        """Keep some of the N items."""
        return replace(
            self,
            losses=self.losses[rows],
            labels=self.labels[rows],
            found=self.found[rows],
            families=self.families[rows],
        )

    @property
    def unseen(self) -> Array:
        """bool [N], True where nobody looked."""
        return np.asarray(self.found == NOT_LOOKED)

    def contradicted(self) -> float:
        """The largest share of unseen labels that the heads can contradict in truth, at 97.5% (Clopper-Pearson)."""
        against = (self.losses.argmin(axis=1) != self.labels)[self.unseen]
        if not len(against):
            return 0.0
        n = len(np.unique(self.families[self.unseen]))
        k = float(against.mean()) * n
        return 1.0 if k >= n else float(beta.ppf(0.975, k + 1, n - k))


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
    """

    value: float
    spread: Spread
    p: Floats
    truth: Array


@dataclass(frozen=True)
class _Kind:
    """A kind of error: parts of (name, power of hardness), or one class filed as another. `prior` is its weight."""

    parts: tuple[tuple[str, float], ...]
    direction: tuple[int, int] | None
    prior: float


@dataclass(frozen=True)
class _Point:
    """One point of the grid, and its log weight before normalisation, without evidence."""

    sharpness: float
    kind: _Kind
    share: float
    prior: float


@dataclass(frozen=True)
class _Means:
    """Means over the sample that shares refer to: of hardness to each power, of each class, and how classes mix."""

    hardness: dict[float, float]
    classes: Floats
    mixing: Floats


def _softmax(losses: Array, sharpness: float) -> Floats:
    z = -sharpness * losses.astype(np.float64)
    q = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(q / q.sum(axis=1, keepdims=True))


def _hardness(losses: Array) -> Floats:
    return np.asarray(np.maximum(1 - np.square(_softmax(losses, 1.0)).sum(axis=1), TINY))


def _kinds(heard: Heard) -> list[_Kind]:
    """All kinds of error that are tried. Three quarters of the prior belong to those that know no direction."""
    n_classes = heard.losses.shape[1]
    if n_classes == 2:
        names: list[tuple[tuple[str, float], ...]] = [(("uniform", power),) for power in (0.0, 0.5, 1.0, 2.0)]
        names.append((("uniform", 0.0), ("uniform", 2.0)))
    else:
        names = [((name, 0.0),) for name in ("uniform", "confusion", "classwise")]
        names += [(("confusion", power),) for power in (0.5, 1.0, 2.0)] + [(("uniform", 1.0),)]
        names += [(("uniform", 0.0), ("confusion", power)) for power in (0.0, 1.0)]
    directions = _directions(heard)
    kinds = [_Kind(parts, None, 0.75 / len(names)) for parts in names]
    return kinds + [_Kind((), direction, 0.25 / len(directions)) for direction in directions]


def _directions(heard: Heard) -> list[tuple[int, int]]:
    """Pairs (true, given) of classes in whose direction the heads contradict most."""
    n_classes = heard.losses.shape[1]
    doubt = 1 - _at(_softmax(heard.losses, 1.0), heard.labels)
    count = np.zeros((n_classes, n_classes))
    np.add.at(count, (heard.losses.argmin(axis=1), heard.labels), doubt)
    np.fill_diagonal(count, -1.0)
    first = np.argsort(-count, axis=None, kind="stable")[: min(DIRECTIONS, n_classes * (n_classes - 1))]
    return [(int(flat // n_classes), int(flat % n_classes)) for flat in first]


def _at(table: Floats, labels: Array) -> Floats:
    return np.asarray(table[np.arange(len(labels)), labels])


def _grid(heard: Heard) -> list[list[_Point]]:
    """All points, in one list for each sharpness."""
    step = np.gradient(np.asarray(SHARES))
    prior = step / (np.asarray(SHARES) + TYPICAL) ** 2
    prior /= prior.sum()
    kinds = _kinds(heard)
    return [
        [
            _Point(s, k, float(e), float(np.log(k.prior * p)))
            for k, (e, p) in product(kinds, zip(SHARES, prior, strict=True))
        ]
        for s in SHARPNESS
    ]


def _means(heard: Heard, sharpness: float) -> _Means:
    q, hard = _softmax(heard.losses, sharpness), _hardness(heard.losses)
    mixing = q.T @ q
    np.fill_diagonal(mixing, 0)
    mixing /= np.maximum(mixing.sum(axis=1, keepdims=True), TINY)
    powers = (0.0, 0.5, 1.0, 2.0)
    return _Means({p: float((hard**p).mean()) for p in powers}, q.mean(axis=0), mixing)


def _errors(q: Floats, labels: Array, mixing: Floats) -> dict[str, Floats]:
    """Name -> [n], the probability that an error of this kind gives the item its label."""
    of_label, n_classes = _at(q, labels), q.shape[1]
    odds = q / np.maximum(1 - q, 1e-6)
    return {
        "uniform": (1 - of_label) / (n_classes - 1),
        "confusion": of_label * (odds.sum(axis=1) - _at(odds, labels)),
        "classwise": np.asarray((q * mixing.T[labels]).sum(axis=1)),
    }


def _walk(heard: Heard, points: list[_Point], means: _Means) -> Iterator[tuple[Floats, Floats, Floats]]:
    """For every point: the joint probabilities of right and of wrong labels [n], and the head's doubt [n]."""
    q, hard = _softmax(heard.losses, points[0].sharpness), _hardness(heard.losses)
    of_label, errors = _at(q, heard.labels), _errors(q, heard.labels, means.mixing)
    for point in points:
        if point.kind.direction is not None:
            true, given = point.kind.direction
            rate = min(point.share / max(float(means.classes[true]), 1e-6), MOST_WRONG)
            right = np.where(heard.labels == true, (1 - rate) * of_label, of_label)
            yield right, np.where(heard.labels == given, rate * q[:, true], 0.0), 1 - of_label
            continue
        parts = point.kind.parts
        hits = [point.share / len(parts) * hard**power / means.hardness[power] for _, power in parts]
        total = np.sum(hits, axis=0)
        within = np.minimum(1, MOST_WRONG / np.maximum(total, TINY))
        wrong = np.sum([hit * errors[name] for hit, (name, _) in zip(hits, parts, strict=True)], axis=0) * within
        yield (1 - total * within) * of_label, wrong, 1 - of_label


@dataclass(frozen=True)
class _Weighed:
    """The grid with its evidence: log weights, shares that stand out and in all, and parts hidden, [points, hidden]."""

    log_weights: Floats
    stands_out: Floats
    in_all: Floats
    hidden: Floats


def _weigh(heard: Heard, points: list[_Point], means: _Means) -> _Weighed:
    """Weigh the points of one sharpness by the given labels, by what people found and by trusted items."""
    unseen, n, families = heard.unseen, len(heard.labels), len(np.unique(heard.families))
    looked, wrong_found = ~unseen, heard.found[~unseen] != heard.labels[~unseen]
    trusted = -np.log(_at(_softmax(heard.trusted_losses, points[0].sharpness), heard.trusted) + TINY)
    known = float(trusted.sum()) / (1 + len(trusted) / WORTH)
    shape = len(points), len(HIDDEN)
    out = _Weighed(*(np.empty(shape) for _ in range(4)))
    for row, (point, (right, wrong, doubt)) in enumerate(zip(points, _walk(heard, points, means), strict=True)):
        total = right + wrong + TINY
        p = wrong / total
        told = float(np.log(total).sum()) * families / n / (1 + families / WORTH)
        rest = (1 - p) * doubt
        share, doubted = float(p[unseen].mean()), float(rest[unseen].mean())
        for column, (times, prior) in enumerate(HIDDEN):
            hidden = min(1.0, times * float(p.mean()) / (float(p.mean()) + float(rest.mean()) + TINY))
            said = np.clip((p + hidden * rest)[looked], 1e-4, 1 - 1e-4)
            answers = float(np.log(np.where(wrong_found, said, 1 - said)).sum()) / (1 + looked.sum() / WORTH)
            out.log_weights[row, column] = told + answers - known + point.prior + np.log(prior)
            out.stands_out[row, column], out.hidden[row, column] = share, hidden
            out.in_all[row, column] = share + hidden * doubted
    return out


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
    grid = _grid(sample)
    means = [_means(sample, points[0].sharpness) for points in grid]
    weighed = [_weigh(sample, points, m) for points, m in zip(grid, means, strict=True)]
    log_weights = np.stack([one.log_weights for one in weighed])
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    low = _quantile(np.stack([one.stands_out for one in weighed]), weights, 0.025)
    high = _quantile(np.stack([one.in_all for one in weighed]), weights, 0.975)
    kept = np.where(weights > LEAST_WEIGHT, weights, 0)
    kept /= kept.sum()
    p, truth = np.zeros(len(heard.labels)), np.zeros(heard.losses.shape, np.float32)
    for start in range(0, len(p), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(p)))
        part = heard.select(rows)
        for points, m, one, weight in zip(grid, means, weighed, kept, strict=True):
            _add(p, truth, rows, part, (points, m), one.hidden, weight)
    truth[np.arange(len(p)), heard.labels] = 0
    truth /= np.maximum(truth.sum(axis=1, keepdims=True), TINY)
    n = len(np.unique(heard.families[heard.unseen]))
    spread = Spread(max(0.0, low - UNSEEN / n), min(1.0, high), heard.contradicted())
    return Posterior(float(p[heard.unseen].mean()), spread, p, truth)


def _add(
    p: Floats,
    truth: Array,
    rows: Array,
    part: Heard,
    grid: tuple[list[_Point], _Means],
    hidden: Floats,
    weight: Floats,
) -> None:
    """Add what the points of one sharpness say of some rows, by their weights [points, hidden]."""
    used = np.flatnonzero(weight.sum(axis=1) > 0)
    if not len(used):
        return
    points = [grid[0][row] for row in used]
    for row, (right, wrong, doubt) in zip(used, _walk(part, points, grid[1]), strict=True):
        odds = wrong / (right + wrong + TINY)
        p[rows] += weight[row].sum() * odds + (weight[row] @ hidden[row]) * (1 - odds) * doubt
    truth[rows] += np.float32(weight.sum()) * _softmax(part.losses, points[0].sharpness).astype(np.float32)


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
