"""The array types that signatures name; shapes and dtypes stand in the docstrings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array whose dtype the docstring gives."""

Floats: TypeAlias = NDArray[np.float64]

Ints: TypeAlias = NDArray[np.int64]
