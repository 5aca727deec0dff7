"""Strangers: items of none of the classes.

An item is far from all classes where its nearest items are unlike it and where it is like no class. How far a stranger
lies is learnt from planted ones: each class is hidden in turn, and its items are strangers to the others. That needs
three classes: with two, one class is left, and nothing can be near one class rather than another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from auditor.oddities.contract import ITEMS, Audited, Column, Item, Kind, Oddity
from auditor.oddities.distances import ClassMeans, Neighbours, class_means, neighbours
from auditor.system.arrays import Array, Floats, Ints

FEWEST = 60
"""Items that a data set needs: with fewer, hardly any item is far from all."""

HIDDEN = 12
"""Classes that are hidden in turn, at most. More are drawn by the seed."""

WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""What the second distance may weigh beside the first. The planted strangers choose."""

BLIND_WEIGHT = WEIGHTS[0]
"""The weight where nothing can be planted. The first distance needs no classes, so it leads."""

PLANTED_SHARE = 0.02
"""Strangers count as this share of the items when weights are compared. A kind of many strangers is as large."""

DEPTHS = (0.01, 0.02, 0.05, 0.1)
"""Parts of the list for which is said how many planted strangers they hold."""

TOLD_AT, TOLD_FROM = 0.05, 0.15
"""Planted strangers can be told if this part of the list holds this part of them: three times what chance would."""

COLUMN = Column(
    "strangeness", "numbers", "How far the image lies from all classes. Higher is farther; it is no probability."
)

_TRUST = "A look at the first of the list tells. A picture of something else is no wrong label: remove it."


def find(audited: Audited) -> Oddity:
    """Measure every item, and what hidden classes say about the list."""
    data = audited.data
    n, n_classes = len(data.labels), data.n_classes
    if n < FEWEST:
        return Oddity(f"Nobody can tell strangers among {n} images: at least {FEWEST} are needed.", told=False)
    p = audited.detection.p_mislabelled
    trusted = np.ones(n, bool) if p is None else np.asarray(p < 0.5)
    measured = _Measured(
        neighbours(data.features, data.labels, audited.families, audited.seed),
        class_means(data.features, data.labels, trusted, audited.families, audited.seed),
        data.labels,
        trusted,
    )
    if n_classes < 3:
        score = measured.score(BLIND_WEIGHT)
        return Oddity(
            "With two classes nobody can tell how many images are of neither: no class can be hidden to see how far a "
            f"stranger lies. The farthest images are listed. {_TRUST}",
            told=False,
            items=_items(score, None),
            values=_rounded(score),
        )
    plantings = measured.planted(audited.seed)
    weight = max(WEIGHTS, key=lambda w: _worse(plantings, w))
    return _told(
        measured.score(weight), [one.at(weight) for one in plantings], [data.classes[o.hidden] for o in plantings]
    )


@dataclass(frozen=True)
class _Planting:
    """A class that was hidden: both surprises (`_surprise`) of the known items, and of the hidden ones.

    `many` says whether the hidden ones count as many of a kind, or each as the only stranger.
    """

    hidden: int
    many: bool
    known: tuple[Floats, Floats]
    strange: tuple[Floats, Floats]

    def at(self, weight: float) -> tuple[Floats, Floats]:
        """Scores of the known items and of the strange ones."""
        (a, b), (c, d) = self.known, self.strange
        return a + weight * b, c + weight * d

    def precision(self, weight: float) -> float:
        """Average precision, as if strangers were `PLANTED_SHARE` of the items."""
        known, strange = self.at(weight)
        each = PLANTED_SHARE / (1 - PLANTED_SHARE) * len(known) / len(strange)
        weights = np.concatenate([np.ones(len(known)), np.full(len(strange), each)])
        truth = np.concatenate([np.zeros(len(known)), np.ones(len(strange))])
        return float(average_precision_score(truth, np.concatenate([known, strange]), sample_weight=weights))


@dataclass(frozen=True)
class _Measured:
    """Both distances of the N items, with labels int64 [N] and bool [N] whether they are probably right."""

    near: Neighbours
    means: ClassMeans
    labels: Ints
    trusted: Array

    def score(self, weight: float) -> Floats:
        """float64 [N], how far each item lies from all classes."""
        first, second = self.near.mean(), self.means.relative()
        return _surprise(first, first) + weight * _surprise(second, second)

    def planted(self, seed: int) -> list[_Planting]:
        """What hidden classes show. A label that is probably wrong is neither known nor planted."""
        counts = np.bincount(self.labels[self.trusted], minlength=len(self.means.sizes))
        able = np.flatnonzero(counts)
        chosen = np.sort(np.random.default_rng([seed, 29]).permutation(able)[:HIDDEN])
        return [one for hidden in chosen.tolist() for one in self._hidden(hidden, seed)]

    def _hidden(self, hidden: int, seed: int) -> list[_Planting]:
        """A class that is hidden: each of its items as if it were the only stranger, and as one of many of a kind."""
        known = self.trusted & (self.labels != hidden)
        strange = self.trusted & (self.labels == hidden)
        near, far = self.near.mean(hidden)[known], self.means.relative(hidden)
        many = np.random.default_rng([seed, hidden, 31]).permutation(np.flatnonzero(strange))
        fellows = np.zeros(len(known), bool)
        found = []
        for n in (0, max(1, min(len(many), round(PLANTED_SHARE * known.sum())))):
            fellows[many[:n]] = True
            apart = self.near.as_stranger(strange, fellows)
            pairs = [
                (_surprise(one, near), _surprise(two, far[known]))
                for one, two in ((near, far[known]), (apart, far[strange]))
            ]
            found.append(_Planting(hidden, bool(n), *pairs))
        return found


def _worse(plantings: list[_Planting], weight: float) -> float:
    """Average precision of strangers that come alone or of many of a kind, whichever are found worse."""
    found = {many: [one.precision(weight) for one in plantings if one.many == many] for many in (False, True)}
    return min(float(np.mean(values)) for values in found.values())


def _surprise(distance: Floats, among: Floats) -> Floats:
    """Minus the logarithm of the part of `among` that lies at least so far."""
    ordered = np.sort(among)
    farther = len(ordered) - np.searchsorted(ordered, distance, side="left")
    return np.asarray(-np.log((1 + farther) / (1 + len(ordered))))


def _told(score: Floats, plantings: list[tuple[Floats, Floats]], names: list[str]) -> Oddity:
    """The finding, where classes could be hidden."""
    held = np.array([[_held(known, strange, depth) for depth in DEPTHS] for known, strange in plantings])
    n, strange = len(score), np.concatenate([one for _, one in plantings])
    rows = tuple(
        (f"{depth:.0%}", max(1, round(depth * n)), float(part.mean()), float(part.min()), names[int(part.argmin())])
        for depth, part in zip(DEPTHS, held.T, strict=True)
    )
    told = float(held[:, DEPTHS.index(TOLD_AT)].mean())
    far = int((score >= np.median(strange)).sum())
    heads = ("part of the list", "images", "share of planted strangers", "of the class told worst", "that class")
    notes = (
        f"{len(set(names))} classes were hidden in turn. Their images are strangers to the others. They were ranked as "
        f"all are: each as if it were the only stranger, and as one of a kind that {PLANTED_SHARE:.0%} of the images "
        "are. Real strangers can lie nearer, so this bounds no number of strangers.",
        "This is no test of a single image: somebody is always farthest. Only looks tell what it shows.",
    )
    if told < TOLD_FROM:
        summary = (
            f"Nobody can tell strangers here by these features: the first {TOLD_AT:.0%} of the list hold {told:.0%} of "
            "planted ones. Features of a better network would tell more."
        )
        return Oddity(summary, told=False, heads=heads, rows=rows, notes=notes, values=_rounded(score))
    first = max(1, round(DEPTHS[0] * n))
    summary = (
        f"{far:,} of {n:,} images lie as far from all classes as half of the planted strangers do. "
        f"The first {first} of the list would hold {held[:, 0].mean():.0%} of planted ones. {_TRUST}"
    )
    return Oddity(
        summary,
        value=float(far),
        heads=heads,
        rows=rows,
        items=_items(score, strange),
        notes=notes,
        values=_rounded(score),
    )


def _held(known: Floats, strange: Floats, depth: float) -> float:
    """The part of planted strangers in the first part of the list."""
    return float((strange >= np.quantile(known, 1 - depth)).mean())


def _items(score: Floats, strange: Floats | None) -> tuple[Item, ...]:
    order = np.argsort(-score, kind="stable")[:ITEMS]
    return tuple(Item(int(row), _said(score, float(score[row]), strange)) for row in order)


def _said(score: Floats, own: float, strange: Floats | None) -> str:
    so_far = f"{int((score >= own).sum())} of {len(score):,} images lie so far"
    return so_far if strange is None else f"{so_far}, and {(strange >= own).mean():.0%} of planted strangers"


def _rounded(score: Floats) -> Floats:
    return np.round(score, 4)


KIND = Kind(
    name="strangers",
    title="None of the classes",
    about="Images that lie far from all classes, and may show something else.",
    needs=("features",),
    find=find,
    column=COLUMN,
)
