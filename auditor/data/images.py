"""Decodes images. Their bytes are hostile input: each failure is one `UnreadableImage` with a short reason.

Only raster formats with widely used decoders are allowed: PostScript, PDF and metafiles need interpreters. The number
of pixels is checked in the header, before any pixel is decoded. Colour profiles are ignored, as torchvision does. The
EXIF orientation is applied. The first frame of an animation counts.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from auditor.data.deep_grey import deep_to_grey
from auditor.errors import AuditorError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM")
"""The formats that are decoded. The ending of a file's name plays no part."""

MAX_JPEG_SCANS = 100
"""Progressive JPEG files have about ten scans. Thousands in a small file keep a decoder busy for hours."""

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

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ORIENTATION = 0x0112

_MODE = "source_mode"

_SCALED = "scaled_by_used_range"

_pillow_limit = threading.Lock()

# Pillow warns about damaged metadata in the file's own words. On a terminal that is noise, and can be hostile text.
warnings.filterwarnings("ignore", module=rf"PIL\.|{re.escape(__name__)}")

# With no other handler, Python writes what Pillow logs to standard error. This one keeps it from there.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def _hush_libtiff() -> None:
    """Keep libtiff from printing on standard error about damaged files. It does so past Python.

    Pillow's wheels bring it as a library of its own, and Linux says where that was loaded. Elsewhere nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError):
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
        for path in sorted({line.split(maxsplit=5)[-1] for line in mapped.splitlines() if "/libtiff" in line}):
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


_hush_libtiff()


class UnreadableImage(AuditorError):
    """An image cannot be decoded. The audit leaves it out, and names it with its reason.

    Parameters
    ----------
    reason
        A few printable words, the same for the same bytes.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes, *, max_pixels: int, target: int | None = None) -> Image.Image:
    """Decode any supported file to an RGB image.

    Transparency is laid on white. Images of 16 bits, 32 bits or floating-point numbers are scaled to 0..255, by the
    range of their kind or the range they use (see `_deep_range`). The result has no metadata except
    `info["source_mode"]`, the Pillow mode of the file itself, and a mark that `traits` reads.

    Parameters
    ----------
    data
        The file's bytes.
    max_pixels
        An image whose header says more is refused. Nothing of it is decoded.
    target
        An edge in pixels that is enough. Large JPEG files may then come smaller, but both sides have at least twice
        this size. That is several times as fast. None decodes in full.

    Raises
    ------
    UnreadableImage
        The bytes are empty or damaged, are not an image of a supported format, or have too many pixels. No other
        error is ever raised.
    """
    with _opened(data, max_pixels) as image:
        mode = image.mode
        if target is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * target, 2 * target))  # None keeps the mode
        image.load()
        rgb = _upright(image, _to_rgb(image))
        scaled = bool(rgb.info.get(_SCALED))
    rgb.info = {_MODE: mode, **({_SCALED: True} if scaled else {})}
    return rgb


def is_greyscale(image: Image.Image) -> bool:
    """Whether the file of a decoded image holds grey levels only. Its mode decides, not its pixels."""
    return image.info.get(_MODE, image.mode) in _GREY_MODES


def traits(image: Image.Image, pixels: NDArray[np.uint8]) -> int:
    """What an audit wants to know of a decoded image beside its features, as bits.

    Parameters
    ----------
    image
        As `decode` gives it.
    pixels
        uint8 [S, S, 3], the same image as the network sees it.
    """
    found = GREY * is_greyscale(image) | STRETCHED * bool(image.info.get(_SCALED))
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


def peek_size(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Width and height in pixels, from the header. Nothing is decoded.

    Raises
    ------
    UnreadableImage
        As `decode`, as far as the header tells.
    """
    with _opened(data, max_pixels) as image:
        return image.size


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """An image with a checked header. Every error inside the block becomes an `UnreadableImage`."""
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with _read_header(data, max_pixels) as image:
            _check_header(image, data, max_pixels)
            yield image
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"more pixels than the limit of {max_pixels}") from error
    except Exception as error:  # Pillow's plug-ins raise nearly every kind of error on damaged files
        raise UnreadableImage(_reason(error)) from error


def _read_header(data: bytes, max_pixels: int) -> Image.Image:
    """Open an image. Pillow's own limit on pixels is global; it is raised for this moment if the user's is higher."""
    with _pillow_limit:
        before = Image.MAX_IMAGE_PIXELS
        if before is not None and max_pixels > before:
            Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_header(image: Image.Image, data: bytes, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImage(f"no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableImage(f"{width}x{height} pixels, more than the limit of {max_pixels}")
    # In JPEG's entropy-coded data a 0 follows each 0xFF, so this counts scans and little else.
    if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise UnreadableImage(f"a JPEG of more than {MAX_JPEG_SCANS} scans")


def _upright(image: Image.Image, rgb: Image.Image) -> Image.Image:
    """Turn `rgb` as the EXIF data of `image` say. Damaged EXIF data are ignored."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # damaged metadata are no reason to lose an image with whole pixels
        return rgb
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return rgb if method is None else rgb.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey, scaled = deep_to_grey(image)
        rgb = Image.fromarray(grey).convert("RGB")
        rgb.info[_SCALED] = scaled
        return rgb
    if image.mode == "LAB":
        lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(space)) for space in ("LAB", "sRGB"))
        return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB").apply(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def has_no_colour(image: Image.Image) -> bool:
    """Whether every pixel of an RGB image is grey."""
    pixels = np.asarray(image)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def _reason(error: Exception) -> str:
    """A few printable words, without memory addresses, so that they are equal for equal bytes."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a supported format, or its header is damaged"
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    words = re.sub(r"0x[0-9a-fA-F]+", "", str(error)) or type(error).__name__
    words = "".join(char if " " <= char <= "~" else "?" for char in words)
    return f"damaged: {words[:100].strip()}"
