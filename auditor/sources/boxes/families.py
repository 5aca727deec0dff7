"""Which boxes belong together: those of one picture, or those that share pixels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from auditor.sources.boxes.crops import Cut
from auditor.sources.groups import LARGEST, SMALLEST_LARGE
from auditor.system.arrays import Array

PAIRWISE = 3_000
"""With more boxes than this in one picture all of them are one family: comparing each pair would take long."""

_STEP = 2_000

ENOUGH = 200
"""With fewer pictures an estimate that counts each picture once could hardly say anything."""

FEW_PICTURES = (
    "The {n:,} boxes lie in {pictures:,} pictures, up to {most:,} in one: too few pictures to hold back whole ones. "
    "Only boxes that overlap are held back together. A wrong class that repeats in a picture may confirm itself there."
)


def box_families(cuts: Sequence[Cut], margin: float) -> tuple[list[str], str]:
    """The family of each of N boxes, and a note where it is not its picture.

    Boxes of a picture show things of one place and one light, often of one kind, and one person labelled them: a
    model that learnt from one of them would confirm its neighbour. So a picture is a family. Where one picture
    holds too large a part of all boxes, or pictures are few, only boxes that share pixels are.
    """
    sizes = Counter(cut.picture for cut in cuts)
    most = max(sizes.values(), default=0)
    if len(sizes) >= ENOUGH and most <= max(LARGEST * len(cuts), SMALLEST_LARGE):
        return [cut.picture for cut in cuts], ""
    by_picture: dict[str, list[int]] = defaultdict(list)
    for row, cut in enumerate(cuts):
        by_picture[cut.picture].append(row)
    names = [""] * len(cuts)
    for picture, rows in by_picture.items():
        part = _overlapping(np.array([cuts[row].sides for row in rows], np.float64), margin)
        for row, number in zip(rows, part.tolist(), strict=True):
            names[row] = f"{picture}#{number}"
    return names, FEW_PICTURES.format(n=len(cuts), pictures=len(sizes), most=most) if most > 1 else ""


def _overlapping(sides: Array, margin: float) -> Array:
    """int64 [n], the number of the component of overlapping boxes, float64 [n, 4], that each box lies in."""
    n = len(sides)
    if n > PAIRWISE:
        return np.zeros(n, np.int64)
    more = margin * (sides[:, 2:] - sides[:, :2])
    low, high = sides[:, :2] - more, sides[:, 2:] + more
    pairs = []
    for start in range(0, n, _STEP):
        part = slice(start, start + _STEP)
        shared = ((low[part, None] < high[None]) & (low[None] < high[part, None])).all(axis=2)
        pairs.append(np.argwhere(shared) + np.array([start, 0]))
    both = np.concatenate(pairs)
    graph = coo_matrix((np.ones(len(both), bool), (both[:, 0], both[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
