"""Average precision of a list, where images may count by a weight."""

from __future__ import annotations

import numpy as np

from auditor.system.arrays import Array, Floats


def average_precision(wrong: Array, suspicion: Floats, weight: Floats | None = None) -> float:
    """Average precision of bool [N] `wrong` by float64 [N] `suspicion`. Equal values share one threshold.

    Images count by `weight` float64 [N], above 0, or all alike. It is scikit-learn's `average_precision_score` but for
    the last bits, and 0 where nothing is wrong.
    """
    order = np.argsort(-suspicion, kind="stable")
    last = np.append(np.diff(suspicion[order]) != 0, True)
    counted = np.ones(len(order)) if weight is None else weight[order]
    found, listed = np.cumsum(wrong[order] * counted)[last], np.cumsum(counted)[last]
    if not found[-1]:
        return 0.0
    return float(np.sum(np.diff(found, prepend=0) * found / listed) / found[-1])
