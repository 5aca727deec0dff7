"""Image bytes to pixels, with the bytes as hostile input: every failure is one `UnreadableImage` with a short reason.

Only raster formats whose decoders are widely exercised are allowed (no PostScript, PDF or metafile interpreters). The
number of pixels is checked on the header, before any pixel is decoded. Colour profiles are ignored, as torchvision
does; an image's EXIF orientation is applied, and of an animation the first frame counts.
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

from auditor.errors import AuditorError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM")
"""What is decoded, whatever a file's name ends in."""

MAX_JPEG_SCANS = 100
"""Progressive JPEG files have about ten scans; thousands in a small file keep a decoder busy for hours."""

TINY_EDGE = 32
"""Up to this many pixels a thumbnail keeps every one of them, which costs less than leaving some out."""

SMALL_EDGE = 96
"""Photographs below this size are shown enlarged, where a coarser quality would be seen."""

NOT_FINITE = "the backbone gives NaN or infinite features for it"

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

_pillow_limit = threading.Lock()

# Pillow warns about damaged metadata in a file's own words: noise, and hostile text on a terminal. What it logs goes to
# whoever has asked for logs, and not, as where nobody has, to standard error.
warnings.filterwarnings("ignore", module=r"PIL\.|auditor\.data\.images")

logging.getLogger("PIL").addHandler(logging.NullHandler())


def _hush_libtiff() -> None:
    """Let libtiff keep to itself what it prints of a damaged file on standard error, past Python, where it is found.

    Pillow's wheels bring it along as a library of its own; Linux says where.
    """
    with contextlib.suppress(OSError, AttributeError):
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
        for path in sorted({line.split(maxsplit=5)[-1] for line in mapped.splitlines() if "/libtiff" in line}):
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


_hush_libtiff()


class UnreadableImage(AuditorError):
    """An image that cannot be decoded; it is left out of the audit and named with its reason.

    Parameters
    ----------
    reason
        A few printable words, the same for the same bytes.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes, *, max_pixels: int, target: int | None = None) -> Image.Image:
    """An RGB image of any supported file.

    Transparency is laid on white; 16-bit, 32-bit and floating-point images are scaled to 0..255 by the range of their
    kind (see `_deep_to_grey`). The result carries no metadata but `info["source_mode"]`, the file's own Pillow mode.

    Parameters
    ----------
    data
        The file's bytes.
    max_pixels
        Refuse images whose header says more; nothing is decoded then.
    target
        An edge in pixels that is enough: large JPEG files may come smaller, but at least twice this size on both
        sides, which is several times as fast. None decodes in full.

    Raises
    ------
    UnreadableImage
        The bytes are empty, no image of a supported format, damaged, or too large. Nothing else is ever raised.
    """
    with _opened(data, max_pixels) as image:
        mode = image.mode
        if target is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * target, 2 * target))  # None keeps the mode
        image.load()
        rgb = _upright(image, _to_rgb(image))
    rgb.info = {_MODE: mode}
    return rgb


def is_greyscale(image: Image.Image) -> bool:
    """Whether the file that a decoded image came from holds grey levels only, by its mode and not by its pixels."""
    return image.info.get(_MODE, image.mode) in _GREY_MODES


def why_unread(error: OSError) -> str:
    """The reason in the result of an image file that could not be read at all."""
    return f"cannot be read: {error.strerror or type(error).__name__}"


def content_hash(data: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def resize_rgb(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """An RGB image squeezed to a square, bilinear with antialiasing; [size, size, 3], untouched if it has that size."""
    if image.mode != "RGB":
        image = image.convert("RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8)


def thumbnail(data: bytes, edge: int, max_pixels: int) -> bytes:
    """A small picture of an image for people: PNG for tiny ones, WebP for others, without metadata.

    The longer side is at most `edge`; nothing is enlarged. Browsers do that without a byte more, and smoothly: a digit
    of 8x8 pixels is told at once, in a raster of squares it is not. Equal bytes give equal bytes with the same version
    of Pillow.

    Raises
    ------
    UnreadableImage
        As `decode`.
    """
    image = decode(data, max_pixels=max_pixels, target=edge)
    longest = max(image.size)
    out = io.BytesIO()
    if longest > edge:
        size = (max(1, round(side * edge / longest)) for side in image.size)
        image = image.resize(tuple(size), Image.Resampling.LANCZOS)  # type: ignore[arg-type]
    if is_greyscale(image) or _is_grey(image):
        image = image.convert("L")
    image.info = {}
    if longest <= TINY_EDGE:
        image.save(out, format="PNG")
    else:
        # a quarter smaller than JPEG; slower methods of WebP take twice the time for three bytes in a hundred
        image.save(out, format="WEBP", quality=90 if longest < SMALL_EDGE else 80, method=2)
    return out.getvalue()


def peek_size(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Width and height in pixels from the header alone; nothing is decoded.

    Raises
    ------
    UnreadableImage
        When there is no header to read.
    """
    with _opened(data, max_pixels) as image:
        return image.size


def media_type(data: bytes) -> str:
    """The media type of a thumbnail's bytes."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/webp"


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """An image whose header is checked; whatever fails then, in the caller's block too, is an `UnreadableImage`."""
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
    except Exception as error:  # Pillow's plug-ins raise nearly every kind on damaged files
        raise UnreadableImage(_reason(error)) from error


def _read_header(data: bytes, max_pixels: int) -> Image.Image:
    """Pillow's own limit on pixels, which is global, gives way while a header is read where the user's is higher."""
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
    # Within JPEG's entropy-coded data 0xFF is always followed by 0, so this counts scans and little else.
    if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise UnreadableImage(f"a JPEG of more than {MAX_JPEG_SCANS} scans")


def _upright(image: Image.Image, rgb: Image.Image) -> Image.Image:
    """`rgb` turned as the EXIF data of `image` say; damaged EXIF data say nothing."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # metadata must not cost an image whose pixels are whole
        return rgb
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return rgb if method is None else rgb.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_deep_to_grey(image)).convert("RGB")
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


def _deep_to_grey(image: Image.Image) -> NDArray[np.uint8]:
    """Grey levels of more than 8 bits as 8 bits.

    16-bit files by their full range. Floating point and 32-bit integers by the smallest usual range that holds every
    value: [0, 1] (floating point only), [0, 255], [0, 65535], else from the image's own minimum to its maximum. NaN is
    black; infinities are the ends of the finite range.
    """
    values = np.asarray(image).astype(np.float64)
    low, high = 0.0, 65535.0
    if image.mode in ("I", "F") and image.format not in ("PNG", "PPM"):
        finite = values[np.isfinite(values)]
        least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        fitting = [top for top in tops if least >= 0 and most <= top]
        low, high = (0.0, fitting[0]) if fitting else (least, most)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * 255.0 / max(high - low, 1e-300)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def _reason(error: Exception) -> str:
    """A few printable words without addresses, equal for equal bytes."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a supported format, or its header is damaged"
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    words = re.sub(r"0x[0-9a-fA-F]+", "", str(error)) or type(error).__name__
    words = "".join(char if " " <= char <= "~" else "?" for char in words)
    return f"damaged: {words[:100].strip()}"
