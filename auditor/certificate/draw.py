"""Which items are looked at, and how often: permanent random numbers read as exponential clocks.

Each item has a number u in (0, 1), made by a hash of salt, id and copy number. Its clock rings at -ln(u) / weight.
Items are looked at in the order in which their clocks ring. That is weighted drawing without replacement: the next item
is i with probability weight_i / (weight of all items not yet looked at). A data set that grows keeps nearly all of its
sample, because u stays (Ohlsson 1998, sequential Poisson sampling).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from auditor.system.arrays import Floats, Ints

STRATA = 20
"""Equal strata by rank of suspicion. Items of one stratum share one weight."""

FEWEST, MOST = 5e-4, 0.9
"""Bounds of the share of wrong labels that is assumed in a stratum. So no weight is ever zero."""

GATE_SPREAD, SHARE_SPREAD = 0.9, 0.5
"""The part of the weight that is spread evenly: for claims below `SMALL`, and for larger shares."""

SMALL = 0.02
"""Below this share a sample that is spread more evenly is better, and no control variate (simulated)."""


def item_id(hash: str, label: str) -> str:
    """16 hexadecimal digits that name an item: its content's hash together with the label it was first audited with."""
    return hashlib.sha256(f"{hash}\0{label}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def salt_of(content_hash: str) -> str:
    """The salt of a data set. It depends on the data alone, so nobody can draw again until a sample is lucky."""
    return hashlib.sha256(f"auditor sample\0{content_hash}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def copy_numbers(ids: Sequence[str]) -> Ints:
    """int64 [N], how often the same id stood before. Copies that shared a number u would be drawn together."""
    seen: dict[str, int] = {}
    found = np.zeros(len(ids), np.int64)
    for i, name in enumerate(ids):
        count = seen.get(name, 0)
        found[i], seen[name] = count, count + 1
    return found


def numbers(salt: str, ids: Sequence[str], copies: Ints) -> Floats:
    """U float64 [N] in (0, 1), one for each item: the first 64 bits of sha256 of salt, id and copy number."""
    start = hashlib.sha256(f"{salt}\0".encode("utf-8", "surrogatepass"))
    found = np.empty(len(ids))
    for i, (name, copy) in enumerate(zip(ids, copies.tolist(), strict=True)):
        digest = start.copy()
        digest.update(f"{name}\0{copy}".encode("utf-8", "surrogatepass"))
        found[i] = (int.from_bytes(digest.digest()[:8], "big") + 0.5) / 2.0**64
    return np.minimum(found, 1 - 2.0**-53)


def strata(scores: Floats) -> Ints:
    """int64 [N], at most `STRATA` strata of equal size by rank of `scores`. Stratum 0 holds the least suspicious items.

    Equal scores are ranked in the order in which they stand.
    """
    rank = np.empty(len(scores), np.int64)
    rank[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return rank * min(STRATA, len(scores)) // max(1, len(scores))


def assumed(scores: Floats, stratum: Ints) -> Floats:
    """float64 [H], the share of wrong labels that is assumed in each stratum: the mean of its cubed scores.

    Scores are probabilities that a label is wrong, as a left-out model gives them. Raw ones are far too large where
    labels are right. Their cubes are not.
    """
    mean = np.bincount(stratum, weights=scores**3) / np.bincount(stratum)
    return np.asarray(np.clip(mean, FEWEST, MOST))


def weights(share: Floats, sizes: Ints, spread: float, *, planned: bool) -> Floats:
    """float64 [H], what one item of each stratum weighs. Over all items the weights sum to 1.

    `spread` of the weight is even. The rest follows the root of the assumed share p, which is best for single draws;
    `planned` takes the root of p (1 - p) instead, which is best for a fixed number of looks a stratum (Neyman).
    """
    root = np.sqrt(share * (1 - share) if planned else share)
    return np.asarray(spread / sizes.sum() + (1 - spread) * root / (sizes * root).sum())
