"""Whether facts of the files alone tell the class: size, format, light, a border, the camera.

A network can learn such a mark in place of what a picture shows. Each fact is cut into bins. How often images of a
class and of the others fall into a bin is counted on four fifths of the images, and judged on the rest. `told` is the
part of the class that is recognised, minus the part of the others that is taken for it: 0 is chance and 1 is all. Its
interval is Newcombe's (1998, method 10) at a level that holds for all facts and classes together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from auditor.data.picture_facts import PictureFacts
from auditor.oddities.contract import ROWS, Audited, Kind, Oddity, worth
from auditor.system.arrays import Array, Floats, Ints
from auditor.system.text import short

BINS = 32
"""Bins of a fact with many values; each holds about as many images as another."""

FOLDS = 5

WORTH = worth(FOLDS)
"""What an image counts in an interval."""

HALF = 0.5
"""A fact that surely tells half of a class, or more, is called a mark."""

ERROR = 0.05
"""Chance that any interval misses."""

FEWEST = 20
"""Images, each copy once, that a class needs to be judged."""

MOST_JUDGED = 20_000
"""Images on which all facts together are judged at most."""


@dataclass(frozen=True)
class Mark:
    """How well a fact tells one class from the others.

    Attributes
    ----------
    fact
        Its name.
    label
        The class.
    hit, taken
        The part of the class that the fact recognises, and the part of the others that it takes for it; held out.
    told, low, high
        Their difference with its interval.
    """

    fact: str
    label: int
    hit: float
    taken: float
    told: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the fact surely tells half of the class or more."""
        return self.low > HALF


@dataclass(frozen=True)
class Marks:
    """What facts tell of the classes.

    Attributes
    ----------
    marks
        One for each fact and class that was judged, the surest first.
    together, low, high
        The mean over classes of the part of images whose class all facts together name rightly, held out, and its 95%
        interval. NaN where no class could be judged.
    chance
        What guessing gives.
    n_small
        Classes with too few images.
    """

    marks: tuple[Mark, ...]
    together: float
    low: float
    high: float
    chance: float
    n_small: int

    @property
    def clear(self) -> tuple[Mark, ...]:
        """Facts that surely tell half of a class or more."""
        return tuple(mark for mark in self.marks if mark.clear)


def tell(facts: Mapping[str, Floats], labels: Ints, families: Ints, n_classes: int, seed: int) -> Marks:
    """Judge how well each fact tells each class.

    Parameters
    ----------
    facts
        float64 [N] of each fact, by its name. Facts with one value are passed over.
    labels, families
        int64 [N], the given labels, and who is a copy of whom. Copies under one label count once and share a fold.
    n_classes
        C.
    seed
        Draws the folds.
    """
    _, once = np.unique(families * n_classes + labels, return_index=True)
    labels, families = labels[once], families[once]
    sizes = np.bincount(labels, minlength=n_classes)
    judged = np.flatnonzero((sizes >= FEWEST) & (len(labels) - sizes >= FEWEST))
    n_small = int((sizes < FEWEST).sum())
    binned = {name: _bins(values[once]) for name, values in facts.items()}
    binned = {name: bins for name, bins in binned.items() if bins.max(initial=0) > 0}
    if not len(judged) or not binned:
        return Marks((), np.nan, np.nan, np.nan, 1 / max(n_classes, 1), n_small)
    _, members = np.unique(families, return_inverse=True)
    fold = (np.random.default_rng([seed, 91]).permutation(int(members.max()) + 1) % FOLDS)[members]
    pairs = judged[:1] if len(judged) == 2 == n_classes else judged  # one of two classes says all of both
    level = ERROR / (len(binned) * len(pairs))
    marks = [mark for name, bins in binned.items() for mark in _judge(name, bins, labels, fold, (pairs, sizes, level))]
    marks.sort(key=lambda mark: (-mark.low, -mark.told, mark.fact, mark.label))
    value, low, high = _together(list(binned.values()), labels, fold, judged, n_classes)
    return Marks(tuple(marks), value, low, high, 1 / len(judged), n_small)


def _bins(values: Floats) -> Ints:
    """int64 [N], the bin of each value: its own where there are few values, else one of as many images as another."""
    levels, own = np.unique(values, return_inverse=True)
    if len(levels) <= BINS:
        return np.asarray(own, np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    return np.asarray(np.searchsorted(edges, values, side="right"), np.int64)


def _counts(bins: Ints, labels: Ints, rows: Array, n_classes: int) -> Floats:
    """float64 [B, C], how many of some images fall into each bin."""
    n_bins = int(bins.max()) + 1
    flat = np.bincount(bins[rows] * n_classes + labels[rows], minlength=n_bins * n_classes)
    return flat.reshape(n_bins, n_classes).astype(np.float64)


def _judge(name: str, bins: Ints, labels: Ints, fold: Ints, asked: tuple[Ints, Ints, float]) -> list[Mark]:
    """The marks of one fact; `asked` are the classes, the sizes of all, and the level of an interval."""
    classes, sizes, level = asked
    hits, takes = np.zeros(len(sizes)), np.zeros(len(sizes))
    for number in range(FOLDS):
        taught = _counts(bins, labels, fold != number, len(sizes))
        held = _counts(bins, labels, fold == number, len(sizes))
        total, whole = taught.sum(axis=1, keepdims=True), taught.sum(axis=0)
        own = taught / np.maximum(whole, 1)
        others = (total - taught) / np.maximum(whole.sum() - whole, 1)
        named = own > others
        hits += (named * held).sum(axis=0)
        takes += (named * (held.sum(axis=1, keepdims=True) - held)).sum(axis=0)
    return [_mark(name, int(c), (hits[c], sizes[c]), (takes[c], sizes.sum() - sizes[c]), level) for c in classes]


def _mark(name: str, label: int, hits: tuple[float, int], takes: tuple[float, int], level: float) -> Mark:
    hit, taken = hits[0] / hits[1], takes[0] / takes[1]
    (hit_low, hit_high), (taken_low, taken_high) = _wilson(*hits, level), _wilson(*takes, level)
    told = hit - taken
    low = told - np.hypot(hit - hit_low, taken_high - taken)
    high = told + np.hypot(hit_high - hit, taken - taken_low)
    return Mark(name, label, hit, taken, told, float(low), float(high))


def _wilson(hits: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's interval of a share, of confidence 1 - `level`."""
    z = float(-ndtri(level / 2))
    share, n = hits / n, n * WORTH
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    whole = 1 + z * z / n
    return max(0.0, float((middle - half) / whole)), min(1.0, float((middle + half) / whole))


def _together(binned: list[Ints], labels: Ints, fold: Ints, judged: Ints, n_classes: int) -> tuple[float, float, float]:
    """How often all facts together name the class, as if they were independent: a mean over classes."""
    place = np.full(n_classes, -1)
    place[judged] = np.arange(len(judged))
    rows = np.flatnonzero(place[labels] >= 0)
    if len(rows) > MOST_JUDGED:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_JUDGED).astype(np.int64)]
    right = np.zeros(len(rows), bool)
    for number in range(FOLDS):
        held = np.flatnonzero(fold[rows] == number)
        scores = np.zeros((len(held), len(judged)))
        for bins in binned:
            counts = _counts(bins, labels, fold != number, n_classes)[:, judged]
            scores += np.log((counts + 1) / (counts.sum(axis=0) + len(counts)))[bins[rows[held]]]
        right[held] = scores.argmax(axis=1) == place[labels[rows[held]]]
    own = place[labels[rows]]
    n = np.maximum(np.bincount(own, minlength=len(judged)), 1)
    shares = np.bincount(own, weights=right, minlength=len(judged)) / n
    value = float(shares.mean())
    half = float(-ndtri(0.025) * np.sqrt((shares * (1 - shares) / n).sum() / WORTH) / len(judged) + 1 / len(rows))
    return value, max(0.0, value - half), min(1.0, value + half)


NAMES = {
    "width": "the width",
    "height": "the height",
    "aspect": "width by height",
    "bytes": "the size of the file",
    "format": "the format of the file",
    "brightness": "the mean brightness",
    "contrast": "the contrast",
    "darkest": "how dark the darkest parts are",
    "brightest": "how bright the brightest parts are",
    "colour": "how strong the colours are",
    "warmth": "how much more red than blue there is",
    "sharpness": "how sharp it is",
    "border": "edges of one colour",
    "camera": "the camera in the EXIF data",
    "quality": "the quality of the JPEG file",
}
"""The facts by their names in `data.picture_facts`, in words."""

CONTENT = ("brightness", "contrast", "darkest", "brightest", "colour", "warmth", "sharpness", "bytes")
"""Facts that the things in a picture change too."""

FOUND = (
    "Of the images of '{label}', {hit:.0%} are recognised by {fact} alone, and {taken:.0%} of the others are taken for "
    "them. A network can learn this in place of what the images show."
)

NOTHING = (
    "No fact of the files surely tells half of a class. The most is {fact} for '{label}': it recognises {hit:.0%}, and "
    "takes {taken:.0%} of the others for it. A fact that tells more than half had been named where a class has many "
    "images. Marks in other places, such as a sign in a corner, are not looked for."
)

TOGETHER = (
    "All {n} facts together name the class of {value:.0%} of the images rightly ({low:.0%} to {high:.0%}, a mean over "
    "classes, held out). Guessing names {chance:.0%}."
)

HOW = (
    "What a fact tells is the part of a class that it recognises, minus the part of the others that it takes for it, "
    "on images that did not teach it: 0 is chance, 1 is all. All intervals of the table hold together with 95% "
    "probability. A fact is called a mark where its interval lies above one half."
)

BELONGS = (
    "Light, colours and sharpness can belong to what a class shows: a night is dark. Only people can say whether they "
    "do."
)

TOO_FEW = "Cannot tell: no class has {fewest} images and as many others, copies counted once, or all files are alike."

HEADS = ("fact", "class", "recognised", "others taken for it", "tells", "from", "to")


def find(audited: Audited) -> Oddity:
    """What the files of the pictures show."""
    data = audited.data
    facts = audited.facts
    assert facts is not None
    known = np.flatnonzero(facts.known)
    found = tell(
        of_pictures(facts, known), data.labels[known], audited.families[known], len(data.classes), audited.seed
    )
    if not found.marks:
        return Oddity(TOO_FEW.format(fewest=FEWEST), told=False)
    first = found.marks[0]
    said = FOUND if first.clear else NOTHING
    more = len({(mark.fact, mark.label) for mark in found.clear}) - 1
    others = f" {more} more such {'mark is' if more == 1 else 'marks are'} in the table." if more > 0 else ""
    named = list(dict.fromkeys(mark.fact for mark in found.marks))
    together = TOGETHER.format(n=len(named), value=found.together, low=found.low, high=found.high, chance=found.chance)
    belongs = (BELONGS,) if any(mark.fact in CONTENT for mark in found.clear) else ()
    small = (f"{found.n_small} classes have fewer than {FEWEST} images and were not judged.",) if found.n_small else ()
    return Oddity(
        said.format(label=short(data.classes[first.label]), fact=NAMES[first.fact], hit=first.hit, taken=first.taken)
        + others,
        value=max(first.told, 0.0),
        interval=(max(first.low, 0.0), max(first.high, 0.0)),
        heads=HEADS,
        rows=tuple(_row(mark, data.classes) for mark in found.marks[:ROWS]),
        notes=(together, HOW, *belongs, *small),
    )


def of_pictures(facts: PictureFacts, rows: Array) -> dict[str, Floats]:
    """The facts of some pictures by name: those that are kept, and what follows from them."""
    kept = {name: facts[name][rows] for name in facts.names if name in NAMES}
    return {**kept, "aspect": kept["width"] / np.maximum(kept["height"], 1)}


def _row(mark: Mark, classes: tuple[str, ...]) -> tuple[str | float, ...]:
    figures = (mark.hit, mark.taken, mark.told, mark.low, mark.high)
    return (NAMES[mark.fact], short(classes[mark.label]), *(round(figure, 3) for figure in figures))


KIND = Kind(
    "marks",
    "Marks that tell the class",
    "Facts of the image files that tell the class: size, format, light, a border, the camera.",
    ("pictures",),
    find,
)
