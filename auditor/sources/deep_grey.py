"""Grey levels of more than 8 bits, as cameras and thermal sensors write them, scaled to 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_USED = 16
"""An image of more than 8 bits is scaled by the range it uses if that is at most this part of the whole range."""

_LEAST_USED = 16_000
"""A smaller part of the range than this is noise. It is not blown up: four levels of 65,536."""


def deep_to_grey(image: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """Scale grey levels of more than 8 bits to 8 bits. True if the range in use decided.

    NaN becomes black. Infinities become the ends of the finite range.
    """
    values = np.asarray(image).astype(np.float64)
    low, high, used = _deep_range(image, values[np.isfinite(values)])
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * 255.0 / max(high - low, 1e-300)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8), used


def _deep_range(image: Image.Image, finite: NDArray[np.float64]) -> tuple[float, float, bool]:
    """The grey levels that become black and white, and whether they are the range in use.

    The range of 16-bit files is their full range. The range of floating-point numbers and 32-bit integers is the
    smallest usual one that holds every value: [0, 1] (floating point only), [0, 255] or [0, 65535]. If none does, it
    goes from the image's minimum to its maximum.

    Cameras write 12 bits into 16, and thermal images are degrees. They use a small part of such a range and would come
    out black. If 99.8 in 100 pixels use a sixteenth of it or less, these pixels decide. So one hot pixel does not.
    """
    low, high, whole = 0.0, 65535.0, image.format in ("PNG", "PPM") or image.mode not in ("I", "F")
    if not finite.size:
        return low, high, False
    if not whole:
        least, most = float(finite.min()), float(finite.max())
        tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        fitting = [top for top in tops if least >= 0 and most <= top]
        if not fitting:
            return least, most, False
        high = fitting[0]
    darkest = float(np.percentile(finite, 0.1, method="lower"))
    brightest = float(np.percentile(finite, 99.9, method="higher"))
    used = high / _LEAST_USED < brightest - darkest <= high / _USED and (image.mode == "F" or high > 255)
    return (darkest, brightest, True) if used else (low, high, False)
