"""The split of every image: train, val or test. The source's own splits stay, and a seed draws the missing ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources.spelling import resolved
from auditor.system.arrays import Array

SMALLEST_CLASS = 3
"""A class needs this many images, so that each split gets one."""


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


def assign(labels: Array, given: Array, classes: list[str], seed: int) -> tuple[Array, str]:
    """A split for every image.

    The splits of the source stay. If it has a validation split but no test split, the validation split becomes the
    test split. Images without a split are divided 80/10/10, class by class. If there is still no test split, the
    training split gives up a tenth of each class.

    Parameters
    ----------
    labels, given
        int64 [N] class indices, and [N] strings: `train`, `val`, `test` or empty.

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
        _divide(split, labels, free, classes, rng, {"test": 0.1, "val": 0.1})
    if not (split == "test").any():
        _divide(split, labels, split == "train", classes, rng, {"test": 0.1})
    _require(split, labels, classes)
    origin = "seeded" if (given == "").all() else "source" if (split == given).all() else "partly seeded"
    return split.astype(str), origin


def _divide(
    split: Array,
    labels: Array,
    among: Array,
    classes: list[str],
    rng: np.random.Generator,
    shares: dict[str, float],
) -> None:
    """Divide the images of each class where bool [N] `among`, in place.

    Each named split gets its share, and at least one image. The training split gets the rest.
    """
    for index, name in enumerate(classes):
        rows = np.flatnonzero(among & (labels == index))
        if not len(rows):
            continue
        if len(rows) < len(shares) + 1:
            raise SourceError(
                f"class '{name}' has {len(rows)} image{'s' * (len(rows) != 1)}, too few to split",
                hint=f"at least {SMALLEST_CLASS} are needed: add images, or leave the class out with --classes",
            )
        rows = rng.permutation(rows)
        total = len(rows)
        for part, share in shares.items():
            n = max(1, round(share * total))
            split[rows[:n]], rows = part, rows[n:]
        split[rows] = "train"


def _require(split: Array, labels: Array, classes: list[str]) -> None:
    """Refuse a class without a training image."""
    for index, name in enumerate(classes):
        if not ((split == "train") & (labels == index)).any():
            raise SourceError(
                f"class '{name}' has no training image",
                hint="move some of its images into the training split, or leave it out with --classes",
            )
