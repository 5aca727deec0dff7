"""The split of every image: train, val or test. The source's own splits stay, and a seed draws the missing ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.spelling import resolved
from auditor.system.arrays import Array

SMALLEST_CLASS = 3
"""A class needs this many images, so that each split gets one."""

MOST = 0.25
"""Whole groups bring no split more than this part of a class. Larger groups are divided."""


def check_classes(frame: pd.DataFrame, wanted: tuple[str, ...], name: str, hint: str = "") -> pd.DataFrame:
    """The rows of the wanted classes. No name keeps all classes.

    Parameters
    ----------
    name
        The name of the data set.
    hint
        Why a class may be missing, and what to do.

    Raises
    ------
    SourceError
        A wanted class is not there, or fewer than two classes are left.
    """
    present = sorted(frame["label"].unique())
    wanted = tuple(resolved(wanted, present))
    for label in wanted:
        if label not in present:
            shown = ", ".join(present[:12]) + (", ..." if len(present) > 12 else "")
            quotes = "; a name with a comma stands in double quotes" if any("," in other for other in present) else ""
            raise SourceError(f"{name} has no class '{label}'", hint=hint or f"its classes are {shown}{quotes}")
    kept = frame[frame["label"].isin(wanted)] if wanted else frame
    n_classes = kept["label"].nunique()
    if n_classes < 2:
        only = f"only one class, '{present[0]}'" if n_classes else "no labelled image"
        raise SourceError(f"{name} has {only}", hint=hint or "an audit compares at least two classes")
    return kept.reset_index(drop=True)


def assign(
    labels: Array, given: Array, classes: list[str], seed: int, groups: Sequence[str] | None = None
) -> tuple[Array, str]:
    """A split for every image.

    The splits of the source stay. If it has a validation split but no test split, the validation split becomes the
    test split. Images without a split are divided 80/10/10, class by class. If there is still no test split, the
    training split gives up a tenth of each class.

    What is drawn keeps a group on one side, as far as each class then still has its images in each split.

    Parameters
    ----------
    labels, given
        int64 [N] class indices, and [N] strings: `train`, `val`, `test` or empty.
    groups
        N names: images of one name belong together. An empty name says nothing.

    Returns
    -------
    tuple
        The splits, [N] strings, and where they come from: `source`, `seeded` or `partly seeded`.

    Raises
    ------
    SourceError
        A class has too few images to be divided.
    """
    split = given.astype(object).copy()
    if not (split == "test").any() and (split == "val").any():
        split[split == "val"] = "test"
    rng = np.random.default_rng([seed, 0x5311])
    free = split == ""
    if free.any():
        _divide(split, _Divided(labels, free, classes, groups), rng, {"test": 0.1, "val": 0.1})
    if not (split == "test").any():
        _divide(split, _Divided(labels, split == "train", classes, groups), rng, {"test": 0.1})
    _require(split, labels, classes)
    origin = "seeded" if (given == "").all() else "source" if (split == given).all() else "partly seeded"
    return split.astype(str), origin


@dataclass(frozen=True)
class _Divided:
    """What is divided: the images where bool [N] `among`, of classes by int64 [N] `labels`."""

    labels: Array
    among: Array
    classes: list[str]
    groups: Sequence[str] | None

    def units(self) -> list[Array]:
        """The rows of each group, and of each image without one, in the order of their first rows; none without groups.

        Groups of one image each are no groups.
        """
        rows = np.flatnonzero(self.among)
        if self.groups is None:
            return []
        first: dict[str, int] = {}
        unit = [first.setdefault(self.groups[row] or f"\0{row}", len(first)) for row in rows.tolist()]
        if len(first) == len(rows):
            return []
        order = np.argsort(unit, kind="stable")
        ends = np.cumsum(np.bincount(unit))
        return np.split(rows[order], ends[:-1])

    def inside(self, units: list[Array]) -> list[list[tuple[int, int]]]:
        """The classes of each unit, and how many of its images have them."""
        number = np.repeat(np.arange(len(units)), [len(rows) for rows in units])
        both, n = np.unique(number * len(self.classes) + self.labels[np.concatenate(units)], return_counts=True)
        found: list[list[tuple[int, int]]] = [[] for _ in units]
        for code, count in zip(both.tolist(), n.tolist(), strict=True):
            unit, kind = divmod(code, len(self.classes))
            found[unit].append((kind, count))
        return found


def _divide(split: Array, what: _Divided, rng: np.random.Generator, shares: dict[str, float]) -> None:
    """Divide the images of each class, in place.

    Each named split gets its share, and at least one image. The training split gets the rest.
    """
    counts = np.bincount(what.labels[what.among], minlength=len(what.classes))
    for name, n in zip(what.classes, counts.tolist(), strict=True):
        if 0 < n < len(shares) + 1:
            raise SourceError(
                f"class '{name}' has {n} image{'s' * (n != 1)}, too few to split",
                hint=f"at least {SMALLEST_CLASS} are needed: add images, or leave the class out with --classes",
            )
    wanted = {part: [max(1, round(share * n)) if n else 0 for n in counts.tolist()] for part, share in shares.items()}
    split[what.among] = "train"
    got = _whole_groups(split, what, rng, wanted, counts.tolist())
    left = np.flatnonzero(what.among & (split == "train"))
    left = left[np.argsort(what.labels[left], kind="stable")]
    ends = np.cumsum(np.bincount(what.labels[left], minlength=len(what.classes)))
    for index, own in enumerate(np.split(left, ends[:-1])):
        rows = rng.permutation(own)
        for part in shares:
            n = wanted[part][index] if not got[part][index] else 0
            split[rows[:n]], rows = part, rows[n:]


def _whole_groups(
    split: Array, what: _Divided, rng: np.random.Generator, wanted: dict[str, list[int]], counts: list[int]
) -> dict[str, list[int]]:
    """Give each split whole groups, in place, and say how many images of each class it got.

    First come groups that bring no class more than is wanted of it, in random order. A class that got none takes its
    smallest group that brings no class more than `MOST`.
    """
    got = {part: [0] * len(counts) for part in wanted}
    units = what.units()
    if not units:
        return got
    inside = what.inside(units)
    order, left = rng.permutation(len(units)).tolist(), set(range(len(units)))
    holding: dict[int, list[int]] = defaultdict(list)
    for unit in order:
        for kind, _ in inside[unit]:
            holding[kind].append(unit)

    def take(unit: int, part: str) -> None:
        split[units[unit]] = part
        left.remove(unit)
        for kind, n in inside[unit]:
            got[part][kind] += n

    for part, most in wanted.items():
        for unit in order:
            if unit in left and all(got[part][kind] + n <= most[kind] for kind, n in inside[unit]):
                take(unit, part)
        limit = [max(m, int(MOST * n)) for m, n in zip(most, counts, strict=True)]
        for kind in range(len(counts)):
            if got[part][kind] or not counts[kind]:
                continue
            fit = [
                unit
                for unit in holding[kind]
                if unit in left and all(got[part][one] + n <= limit[one] for one, n in inside[unit])
            ]
            if fit:
                take(min(fit, key=lambda unit: len(units[unit])), part)
    return got


def _require(split: Array, labels: Array, classes: list[str]) -> None:
    """Refuse a class without a training image."""
    trained = np.bincount(labels[split == "train"], minlength=len(classes))
    for name, n in zip(classes, trained.tolist(), strict=True):
        if not n:
            raise SourceError(
                f"class '{name}' has no training image",
                hint="move some of its images into the training split, or leave it out with --classes",
            )
