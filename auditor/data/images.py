"""What an audit wants to know of a decoded image: its pixels for a network, its traits, and whether it shows anything.

`auditor.sources.decoding` decodes.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.sources.decoding import (
    FORMATS,
    MAX_JPEG_SCANS,
    SCALED,
    UnreadableImage,
    decode,
    is_greyscale,
    peek_size,
)

__all__ = [
    "FORMATS",
    "MAX_JPEG_SCANS",
    "UnreadableImage",
    "content_hash",
    "decode",
    "has_no_colour",
    "is_greyscale",
    "peek_size",
    "resize_rgb",
    "shows_nothing",
    "traits",
    "why_unread",
]

NOT_FINITE = "the backbone gives NaN or infinite features for it"

SHOWS_NOTHING = "shows nothing: it has one colour, or nearly"

CLASS_SHOWS_NOTHING = "nearly all images of its class show nothing"

GREY, STRETCHED, BLANK, COLOUR_AT = 1, 2, 4, 8
"""Bits of an image's traits. From bit `COLOUR_AT` on stands the colour of a blank image."""

_NOTHING = 4
"""Levels of 256 that a blank image's pixels differ by at most. People see no difference of one part in sixty."""

_CELLS = 16
"""Cells along a side in which noise is averaged before an image is called blank."""

GREY_DROPPED = "grey-scale, dropped as in the reference study"


def traits(image: Image.Image, pixels: NDArray[np.uint8]) -> int:
    """What an audit wants to know of a decoded image beside its features, as bits.

    Parameters
    ----------
    image
        As `decode` gives it.
    pixels
        uint8 [S, S, 3], the same image as the network sees it.
    """
    found = GREY * is_greyscale(image) | STRETCHED * bool(image.info.get(SCALED))
    if shows_nothing(pixels):
        red, green, blue = (int(level) >> 4 for level in pixels.reshape(-1, 3).mean(axis=0))
        found |= BLANK | (red << 8 | green << 4 | blue) << COLOUR_AT
    return found


def shows_nothing(pixels: NDArray[np.uint8]) -> bool:
    """Whether a person would see one even colour: pixels differ by few levels, noise aside. uint8 [S, S, 3]."""
    flat = pixels.reshape(-1, 3)
    if np.ptp(flat, axis=0).max() <= _NOTHING:
        return True
    cell = len(pixels) // _CELLS
    if cell < 2 or flat.std(axis=0).max() > _NOTHING:
        return False
    part = pixels[: cell * _CELLS, : cell * _CELLS].reshape(_CELLS, cell, _CELLS, cell, 3).mean(axis=(1, 3))
    return bool(np.ptp(part.reshape(-1, 3), axis=0).max() <= _NOTHING)


def why_unread(error: OSError) -> str:
    """The reason why an image file could not be read at all, for the result."""
    return f"cannot be read: {error.strerror or type(error).__name__}"


def content_hash(data: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def resize_rgb(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Squeeze an RGB image to a square, bilinear with antialiasing. uint8 [size, size, 3]; no change at that size."""
    if image.mode != "RGB":
        image = image.convert("RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8)


def has_no_colour(image: Image.Image) -> bool:
    """Whether every pixel of an RGB image is grey."""
    pixels = np.asarray(image)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
