"""Minimisation whose result is looked at: a library may report a failure by its values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from auditor.compute.hardware import one_blas_thread
from auditor.system.arrays import Floats

Ends = tuple[float | None, float | None]
"""The lowest and the highest value of a parameter; None where there is none."""


def bounded(
    value: Callable[[Floats], tuple[float, Floats]], start: Floats, bounds: Sequence[Ends], **options: int
) -> Floats:
    """Minimise by L-BFGS-B within bounds, and give `start` where no finite point was found.

    Parameters
    ----------
    value
        Gives a loss and its gradient float64 [P] at a point.
    start
        float64 [P], within the bounds.
    options
        Of scipy's method, such as `maxiter`.

    Returns
    -------
    float64 [P], never with NaN or infinity.
    """
    with one_blas_thread():
        found = np.asarray(minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x, float)
    return found if np.isfinite(found).all() else np.asarray(start, float)
