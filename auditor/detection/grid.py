"""What is weighed where nobody looked: kinds of error, shares of wrong labels, and how sure the heads may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, product

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

DIRECTIONS = 3
"""Pairs of classes that are tried as one class filed as another: those with most contradictions."""

MOST_WRONG, TINY = 0.98, 1e-12

POWERS = (0.0, 0.5, 1.0, 2.0)
"""An error hits an item as often as this power of its hardness says."""


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
        return _most(float(against.mean()), len(np.unique(self.families[self.unseen])))

    def seen(self) -> float:
        """The largest share of wrong labels where people looked, at 97.5% (Clopper-Pearson); 1 where nobody looked.

        Copies count once.
        """
        wrong = (self.found != self.labels)[~self.unseen]
        return _most(float(wrong.mean()), len(np.unique(self.families[~self.unseen]))) if len(wrong) else 1.0


def _most(share: float, n: int) -> float:
    """The upper end of Clopper and Pearson's 95% interval, where `share` of n was found."""
    k = share * n
    return 1.0 if k >= n else float(beta.ppf(0.975, k + 1, n - k))


@dataclass(frozen=True)
class Kind:
    """A kind of error: parts of (name, power of hardness), or one class filed as another. `prior` is its weight."""

    parts: tuple[tuple[str, float], ...]
    direction: tuple[int, int] | None
    prior: float


@dataclass(frozen=True)
class Point:
    """One point of the grid, and its log weight before normalisation, without evidence."""

    sharpness: float
    kind: Kind
    share: float
    prior: float


@dataclass(frozen=True)
class Means:
    """Means over the sample that shares refer to: of hardness to each power, of each class, and how classes mix."""

    hardness: dict[float, float]
    classes: Floats
    mixing: Floats


def softmax(losses: Array, sharpness: float) -> Floats:
    z = -sharpness * losses.astype(np.float64)
    q = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(q / q.sum(axis=1, keepdims=True))


def _hardness(losses: Array) -> Floats:
    return np.asarray(np.maximum(1 - np.square(softmax(losses, 1.0)).sum(axis=1), TINY))


def _kinds(heard: Heard) -> list[Kind]:
    """All kinds of error that are tried. Three quarters of the prior belong to those that know no direction."""
    n_classes = heard.losses.shape[1]
    if n_classes == 2:
        names: list[tuple[tuple[str, float], ...]] = [(("uniform", power),) for power in POWERS]
        names.append((("uniform", 0.0), ("uniform", 2.0)))
    else:
        names = [((name, 0.0),) for name in ("uniform", "confusion", "classwise")]
        names += [(("confusion", power),) for power in (0.5, 1.0, 2.0)] + [(("uniform", 1.0),)]
        names += [(("uniform", 0.0), ("confusion", power)) for power in (0.0, 1.0)]
    directions = _directions(heard)
    kinds = [Kind(parts, None, 0.75 / len(names)) for parts in names]
    return kinds + [Kind((), direction, 0.25 / len(directions)) for direction in directions]


def _directions(heard: Heard) -> list[tuple[int, int]]:
    """Pairs (true, given) of classes in whose direction the heads contradict most."""
    n_classes = heard.losses.shape[1]
    doubt = 1 - at(softmax(heard.losses, 1.0), heard.labels)
    count = np.zeros((n_classes, n_classes))
    np.add.at(count, (heard.losses.argmin(axis=1), heard.labels), doubt)
    np.fill_diagonal(count, -1.0)
    first = np.argsort(-count, axis=None, kind="stable")[: min(DIRECTIONS, n_classes * (n_classes - 1))]
    return [(int(flat // n_classes), int(flat % n_classes)) for flat in first]


def at(table: Floats, labels: Array) -> Floats:
    return np.asarray(table[np.arange(len(labels)), labels])


def grid_of(heard: Heard) -> list[list[Point]]:
    """All points, in one list for each sharpness."""
    step = np.gradient(np.asarray(SHARES))
    prior = step / (np.asarray(SHARES) + TYPICAL) ** 2
    prior /= prior.sum()
    kinds = _kinds(heard)
    return [
        [
            Point(s, k, float(e), float(np.log(k.prior * p)))
            for k, (e, p) in product(kinds, zip(SHARES, prior, strict=True))
        ]
        for s in SHARPNESS
    ]


def means_of(heard: Heard, sharpness: float) -> Means:
    q, hard = softmax(heard.losses, sharpness), _hardness(heard.losses)
    mixing = q.T @ q
    np.fill_diagonal(mixing, 0)
    mixing /= np.maximum(mixing.sum(axis=1, keepdims=True), TINY)
    return Means({p: float((hard**p).mean()) for p in POWERS}, q.mean(axis=0), mixing)


def _errors(q: Floats, labels: Array, mixing: Floats) -> dict[str, Floats]:
    """Name -> [n], the probability that an error of this kind gives the item its label."""
    of_label, n_classes = at(q, labels), q.shape[1]
    odds = q / np.maximum(1 - q, 1e-6)
    return {
        "uniform": (1 - of_label) / (n_classes - 1),
        "confusion": of_label * (odds.sum(axis=1) - at(odds, labels)),
        "classwise": np.asarray((q * mixing.T[labels]).sum(axis=1)),
    }


def walk(heard: Heard, points: list[Point], means: Means) -> Iterator[tuple[slice, Floats, Floats]]:
    """For points of one kind that follow each other: which, and the joint probabilities of right and wrong [k, n]."""
    q, hard = softmax(heard.losses, points[0].sharpness), _hardness(heard.losses)
    of_label, errors = at(q, heard.labels), _errors(q, heard.labels, means.mixing)
    hardness = {power: hard**power for power in means.hardness}
    start = 0
    for kind, same in groupby(points, key=lambda point: point.kind):
        shares = np.array([point.share for point in same])
        rows, start = slice(start, start + len(shares)), start + len(shares)
        if kind.direction is not None:
            true, given = kind.direction
            rate = np.minimum(shares / max(float(means.classes[true]), 1e-6), MOST_WRONG)[:, None]
            right = np.where(heard.labels == true, (1 - rate) * of_label, of_label)
            yield rows, right, np.where(heard.labels == given, rate * q[:, true], 0.0)
            continue
        parts = kind.parts
        hits = [(shares / len(parts))[:, None] * hardness[power] / means.hardness[power] for _, power in parts]
        total = np.sum(hits, axis=0)
        within = np.minimum(1, MOST_WRONG / np.maximum(total, TINY))
        wrong = np.sum([hit * errors[name] for hit, (name, _) in zip(hits, parts, strict=True)], axis=0) * within
        yield rows, (1 - total * within) * of_label, wrong
