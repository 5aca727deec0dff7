"""Features on a common scale: standardised columns, and rows of length 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array

CHUNK = 2048
"""Points worked on at a time, so that the copies stay small beside the features."""


def blocks(n: int) -> Iterator[slice]:
    """Slices that cover `n` points, `CHUNK` at a time."""
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


@dataclass(frozen=True)
class Scaling:
    """Standardisation by the audited images: `(x - mean) / scale`, both float64 [D]. A constant feature becomes 0."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, features: Array, rows: Array | None = None) -> Scaling:
        """The scaling of float [N, D] `features`, or of their `rows` int64 [n] alone."""
        n = len(features) if rows is None else len(rows)
        mean, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
        for part in blocks(n):  # in double precision, a part at a time
            mean += features[part if rows is None else rows[part]].sum(axis=0, dtype=np.float64) / n
        for part in blocks(n):
            squares += np.square(features[part if rows is None else rows[part]] - mean).sum(axis=0)
        scale = np.sqrt(squares / n)
        return cls(mean, np.where(scale > 1e-6 * (1 + np.abs(mean)), scale, np.inf))

    def __call__(self, features: Array, rows: Array | None = None) -> Array:
        """Scaled features float32 [n, D], of `rows` int64 [n] alone if they are given."""
        out = np.empty((len(features) if rows is None else len(rows), features.shape[1]), np.float32)
        for part in blocks(len(out)):
            out[part] = (features[part if rows is None else rows[part]] - self.mean) / self.scale
        return out


def even_rows(values: Array) -> Array:
    """float32 rows [n, D] scaled to length sqrt(D): a common scale on which every point weighs alike."""
    return np.asarray(unit_rows(values) * np.float32(np.sqrt(values.shape[1])))


def unit_rows(values: Array, *, consume: bool = False) -> Array:
    """float32 rows scaled to length 1; a row of zeros stays. `consume` writes over float32 `values`."""
    out = values if consume else np.empty(values.shape, np.float32)
    for part in blocks(len(values)):  # norms take a copy
        norms = np.linalg.norm(values[part], axis=1, keepdims=True)
        np.divide(values[part], np.where(norms > 0, norms, 1), out=out[part])
    return out
