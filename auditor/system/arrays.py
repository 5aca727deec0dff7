"""Array types for signatures. Docstrings give the shapes, and the dtype of an `Array`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of any dtype."""

Floats: TypeAlias = NDArray[np.float64]

Ints: TypeAlias = NDArray[np.int64]
