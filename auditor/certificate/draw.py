"""Which items are looked at, and how often: permanent random numbers, read as exponential clocks.

Each item has a number u in (0, 1) that a hash of salt, item and copy number gives. Its clock rings at -ln(u) / weight,
and items are looked at in the order of their clocks. That is weighted drawing without replacement: the next item is i
with probability weight_i / (weight of all items not yet looked at). A data set that grows keeps its sample, because u
stays (permanent random numbers; Ohlsson, 1998).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRATA = 20
"""Equal strata by rank of suspicion. Items of one stratum share one weight."""

FEWEST, MOST = 5e-4, 0.9
"""Bounds of the share of wrong labels that a stratum is assumed to hold. So no weight is ever zero."""


def item_id(hash: str, label: str) -> str:
    """16 hexadecimal digits for an item's content and the label that it had when it was first audited."""
    return hashlib.sha256(f"{hash}\0{label}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def salt_of(content_hash: str) -> str:
    """The salt of a project: a fixed function of the data set of its first audit.

    A salt that could be chosen anew would let somebody pick a lucky sample.
    """
    return hashlib.sha256(f"auditor sample\0{content_hash}".encode()).hexdigest()[:32]


def numbers(salt: str, ids: Sequence[str]) -> Floats:
    """u float64 [N] in (0, 1), one for each item.

    Parameters
    ----------
    ids
        Copies of one item repeat its id. Each gets a number of its own: copies that share one would be drawn together,
        and the bound would be too narrow.
    """
    seen: dict[str, int] = {}
    found = np.empty(len(ids))
    for i, item in enumerate(ids):
        copy = seen[item] = seen.get(item, -1) + 1
        digest = hashlib.sha256(f"{salt}\0{item}\0{copy}".encode()).digest()
        found[i] = (int.from_bytes(digest[:8], "big") + 0.5) / 2.0**64
    return np.clip(found, 2.0**-64, 1 - 2.0**-53)


def strata(scores: Floats, n_strata: int = STRATA) -> Ints:
    """int64 [N], the stratum of each item by rank of `scores`; 0 holds the least suspicious ones."""
    rank = np.empty(len(scores), np.int64)
    rank[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return rank * min(n_strata, max(1, len(scores))) // max(1, len(scores))


def assumed(scores: Floats, stratum: Ints) -> Floats:
    """float64 [H], the share of wrong labels that each stratum is assumed to hold: the mean of its cubed scores.

    Scores are probabilities that a label is wrong, as a held-out model gives them. Raw ones are far too large where
    labels are right. Their cubes are not.
    """
    size = np.bincount(stratum)
    return np.asarray(np.clip(np.bincount(stratum, weights=np.asarray(scores, float) ** 3) / size, FEWEST, MOST))


def weights(share: Floats, sizes: Ints, spread: float) -> Floats:
    """float64 [H], the weight of one item of each stratum. Over all items they sum to one.

    Parameters
    ----------
    share
        float64 [H], from `assumed`.
    spread
        The part of the weight that all items share evenly. The rest goes by the root of the share.
    """
    root = np.sqrt(share)
    return np.asarray(spread / sizes.sum() + (1 - spread) * root / (root * sizes).sum())
