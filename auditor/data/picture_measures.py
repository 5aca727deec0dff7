"""Facts of a picture that need no network: its light and colours, how sharp it is, a border, and where it came from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from auditor.sources.decoding import peek_origin

LIGHT = ("brightness", "contrast", "darkest", "brightest", "colour", "warmth")
"""Mean and standard deviation of the grey levels, their 5th and 95th percentile, how far the colours are from grey, and
how much more red than blue there is. All are parts of 255."""

SHAPE = ("sharpness", "border")
"""The standard deviation of the Laplacian, and how many of the four edges have one colour."""

ORIGIN = ("camera", "quality")
"""A number for the camera that EXIF data name, and the sum of a JPEG's quantisation tables. 0 where there is none."""

EDGE = 64
"""Light and colours are measured on a picture of at most this edge, and sharpness on one of twice this edge."""

ONE_COLOUR = 4.0
"""Standard deviation of grey levels up to which an edge has one colour. JPEG files make even edges uneven."""


def light(image: Image.Image) -> Sequence[float]:
    """The numbers of `LIGHT` of an RGB image."""
    small = _within(image, EDGE)
    levels = np.asarray(small.convert("L"))
    grey = np.cumsum(np.bincount(levels.ravel(), minlength=256)) / levels.size
    red, green, blue = (np.asarray(band, dtype=np.int16) for band in small.split())
    colour = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    numbers = (
        levels.mean(),
        levels.std(),
        np.searchsorted(grey, 0.05),
        np.searchsorted(grey, 0.95),
        colour.mean(),
        (red - blue).mean(),
    )
    return [float(number) / 255 for number in numbers]


def shape(image: Image.Image) -> Sequence[float]:
    """The numbers of `SHAPE` of an RGB image."""
    grey = np.asarray(_within(image, 2 * EDGE).convert("L"), dtype=np.float64)
    edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    border = sum(edge.std() <= ONE_COLOUR for edge in edges)
    if min(grey.shape) < 3:
        return 0.0, float(border)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.std() / 255), float(border)


def origin(data: bytes) -> Sequence[float]:
    """The numbers of `ORIGIN` of an image file."""
    camera, quality = peek_origin(data)
    return float(zlib.crc32(camera.encode("utf-8", "replace")) >> 8) if camera else 0.0, float(quality)


def _within(image: Image.Image, edge: int) -> Image.Image:
    """An RGB image whose longer side is at most `edge`. Smaller ones stay as they are."""
    longer = max(image.size)
    if longer <= edge:
        return image
    width, height = (max(1, round(side * edge / longer)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
