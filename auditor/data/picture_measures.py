"""Facts of a picture that need no network: light, colours, a border, what shows a fault, and where it came from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from auditor.sources.decoding import peek_origin
from auditor.system.arrays import Floats

LIGHT = ("brightness", "contrast", "darkest", "brightest", "colour", "warmth")
"""Mean and standard deviation of the grey levels, their 5th and 95th percentile, how far the colours are from grey, and
how much more red than blue there is. All are parts of 255."""

SHAPE = ("sharpness", "border")
"""The standard deviation of the Laplacian, and how many of the four edges have one colour."""

FAULTS = ("light_parts", "dark_parts", "span", "variety", "detail")
"""What shows faults. `light_parts` is the brightness of the brightest parts, and `dark_parts` how far the darkest ones
lie below white, 0 to 1. `span` is how far the 1st and the 99th percentile of a colour lie apart, where that is most.
`variety` is how far pixels lie from the middle colour on average, each counted up to `NEAR`. Both are parts of 255.
`detail` is the strength of the edges, divided by that in the halved picture: 0.25 where nothing is small."""

ORIGIN = ("camera", "quality")
"""A number for the camera that EXIF data name, and the sum of a JPEG's quantisation tables. 0 where there is none."""

EDGE = 64
"""Light and colours are measured on a picture of at most this edge, and edges on one of twice this edge."""

SEEN = (0.241, 0.691, 0.068)
"""How bright the squares of red, green and blue look (the HSP model of colour)."""

POWER = 8
"""Degree of the power mean of the highest values."""

NEAR = 32.0
"""Grey levels up to which a pixel's distance from the middle colour counts."""

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
    grey = _grey(image)
    edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    border = sum(edge.std() <= ONE_COLOUR for edge in edges)
    if min(grey.shape) < 3:
        return 0.0, float(border)
    return _edges(grey) / 255, float(border)


def faults(image: Image.Image) -> Sequence[float]:
    """The numbers of `FAULTS` of an RGB image."""
    pixels = np.asarray(_within(image, EDGE), dtype=np.float64).reshape(-1, 3)
    bright = np.sqrt((pixels / 255) ** 2 @ np.array(SEEN))
    least, middle, most = np.quantile(pixels, (0.01, 0.5, 0.99), axis=0)
    variety = np.minimum(np.abs(pixels - middle), NEAR).mean(axis=0).max()
    levels = (_most(part) for part in (bright, 1 - bright))
    return *levels, float((most - least).max() / 255), float(variety / 255), _detail(_grey(image))


def _most(values: Floats) -> float:
    """What the highest of some values are: their power mean. One in a hundred counts, one in a million does not."""
    return float((values**POWER).mean() ** (1 / POWER))


def _detail(grey: Floats) -> float:
    """How strong edges of one pixel are beside those of two. 1 where a picture is too small to be halved."""
    height, width = (side // 2 for side in grey.shape)
    if min(height, width) < 3:
        return 1.0
    halved = grey[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    return _edges(grey) / (_edges(halved) + ONE_COLOUR)


def _grey(image: Image.Image) -> Floats:
    return np.asarray(_within(image, 2 * EDGE).convert("L"), dtype=np.float64)


def _edges(grey: Floats) -> float:
    """The standard deviation of the Laplacian."""
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).std())


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
