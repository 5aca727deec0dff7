"""Wrong labels that look like the head's own doubt, so that no label can tell them from it: how many, and where.

A head that is calibrated to the given labels explains all of them without a single error. A surer head explains them as
well, if errors make up for the difference. Say the true class has the probabilities r = q^t (scaled to 1) with a power
t above 1, and the given labels follow the head's q. Then label j is right with probability min(1, r_j / q_j), and else
a hidden error. At t = 1 nothing is hidden. As t grows, every label that the head contradicts becomes an error. These
errors are steep: they gather where the head contradicts most. Or errors are even: the same part of every doubt 1 - q_j
is one. No given label speaks for either, so both count half. The answers of people do, and weigh them. Where errors go
one way, hidden ones do too (`toward`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.system.arrays import Array, Floats

_TINY = 1e-12


@dataclass(frozen=True)
class Hidden:
    """How common hidden errors are, as a multiple of those that stand out; whether they are steep; and the prior."""

    times: float
    steep: bool
    prior: float


HIDDEN = (
    Hidden(0.0, False, 0.25),
    Hidden(1.0, False, 0.25),
    Hidden(1.0, True, 0.25),
    Hidden(2.0, False, 0.125),
    Hidden(2.0, True, 0.125),
)

SHAPES = 7
"""Columns of `shapes`: five powers, the limit of all powers, and doubt."""


def shapes(q: Floats, labels: Array) -> Floats:
    """float64 [n, SHAPES], probability that a label is a hidden error at powers t = 1.5, 2, 3, 4, 8 and beyond.

    The last column is the doubt 1 - q_j.

    Parameters
    ----------
    q
        float64 [n, C], the head's probabilities.
    labels
        int64 [n].
    """
    rows = np.arange(len(q))
    own = q[rows, labels]
    out = np.empty((len(q), SHAPES))
    square = q * q
    fourth = square * square
    for column, power in enumerate((q * np.sqrt(q), square, square * q, fourth, fourth * fourth)):
        surer = power[rows, labels] / power.sum(axis=1)
        out[:, column] = np.clip(1 - surer / np.maximum(own, _TINY), 0, 1)
    out[:, -2] = own < q.max(axis=1)
    out[:, -1] = 1 - own
    return out


def toward(hides: Floats, q: Floats, labels: Array, direction: tuple[int, int] | None) -> Floats:
    """`hides` [n, SHAPES] where errors go one way, `direction` (true, given): items that hold the given class.

    Of each doubt that part counts which points to the true class. None for errors that know no direction.
    """
    if direction is None:
        return hides
    true, given = direction
    part = np.where(labels == given, q[:, true] / np.maximum(1 - q[:, given], _TINY), 0.0)
    return np.asarray(hides * np.minimum(part, 1)[:, None])


def mixture(available: Floats, wanted: Floats, *, steep: bool) -> Floats:
    """float64 [k, SHAPES], by how much each shape is taken so that hidden errors make up `wanted` on average.

    Steep ones take the power at which they do, between the two next ones. Where all contradicted labels are too few,
    the rest is even.

    Parameters
    ----------
    available
        float64 [k, SHAPES], mean of each shape over the items that may hide an error, in k cases.
    wanted
        float64 [k], at most the mean doubt.
    """
    out, rows = np.zeros(available.shape), np.arange(len(available))
    doubt = available[:, -1]
    if steep:
        powers = np.maximum.accumulate(available[:, :-1], axis=1)
        above = (powers < wanted[:, None]).sum(axis=1)
        next_one, last = np.minimum(above, SHAPES - 2), np.maximum(above - 1, 0)
        below = np.where(above > 0, powers[rows, last], 0.0)
        part = (wanted - below) / np.maximum(powers[rows, next_one] - below, _TINY)
        most = powers[:, -1]
        even = np.minimum(1.0, (wanted - most) / np.maximum(doubt - most, _TINY))
        within = above < SHAPES - 1
        out[rows, last] = 1 - part
        out[rows, next_one] = np.where(within, part, 0.0)
        out[~within] = 0.0
        out[~within, -1], out[~within, -2] = even[~within], 1 - even[~within]
    else:
        out[:, -1] = np.minimum(1.0, wanted / np.where(doubt > 0, doubt, 1.0))
    out[(wanted <= 0) | (doubt <= 0)] = 0.0
    return out
