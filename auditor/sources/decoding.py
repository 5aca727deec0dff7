"""Decodes images. Their bytes are hostile input: each failure is one `UnreadableImage` with a short reason.

Only raster formats with widely used decoders are allowed: PostScript, PDF and metafiles need interpreters. The number
of pixels is checked in the header, before any pixel is decoded. Colour profiles are ignored, as torchvision does. The
EXIF orientation is applied. The first frame of an animation counts.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms, UnidentifiedImageError

from auditor.errors import AuditorError
from auditor.sources.deep_grey import deep_to_grey

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM")
"""The formats that are decoded. The ending of a file's name plays no part."""

MAX_JPEG_SCANS = 100
"""Progressive JPEG files have about ten scans. Thousands in a small file keep a decoder busy for hours."""

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

_MAKE, _MODEL = 0x010F, 0x0110

_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""

_MODE = "source_mode"

SCALED = "scaled_by_used_range"
"""The mark of an image of many levels that was scaled by the range in use."""

TURNED = "orientation"
"""The mark of an image that EXIF data turned on its side: 5 to 8."""

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
    `info["source_mode"]`, the Pillow mode of the file itself, and the marks `SCALED` and `TURNED`.

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
        _draft(image, target)
        image.load()
        rgb = _to_rgb(image)
        scaled, orientation = bool(rgb.info.get(SCALED)), _orientation(image)
        rgb = rgb.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgb
    rgb.info = {_MODE: mode, **({SCALED: True} if scaled else {})}
    if orientation in _SIDEWAYS:
        rgb.info[TURNED] = orientation
    return rgb


def _draft(image: Image.Image, target: int | None) -> None:
    """Let a large JPEG be decoded at a smaller scale."""
    if target is not None and image.format in ("JPEG", "MPO"):
        image.draft(None, (2 * target, 2 * target))  # None keeps the mode


def is_greyscale(image: Image.Image) -> bool:
    """Whether the file of a decoded image holds grey levels only. Its mode decides, not its pixels."""
    return image.info.get(_MODE, image.mode) in _GREY_MODES


def peek_size(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Width and height in pixels, from the header. Nothing is decoded.

    Raises
    ------
    UnreadableImage
        As `decode`, as far as the header tells.
    """
    with _opened(data, max_pixels) as image:
        return image.size


@dataclass(frozen=True)
class Header:
    """What an image's header says.

    Attributes
    ----------
    format
        Its format as Pillow has it.
    size
        Width and height in pixels.
    decoded
        Width and height as `decode` gives them for a target, before EXIF data turn the image.
    """

    format: str
    size: tuple[int, int]
    decoded: tuple[int, int]


def peek_header(data: bytes, *, max_pixels: int, target: int | None = None) -> Header:
    """What the header says, and how large `decode` makes the image for this target. Nothing is decoded.

    Raises
    ------
    UnreadableImage
        As `decode`, as far as the header tells.
    """
    with _opened(data, max_pixels) as image:
        size = image.size
        _draft(image, target)
        return Header(image.format or "", size, image.size)


def peek_origin(data: bytes) -> tuple[str, int]:
    """The camera that EXIF data name, and the sum of a JPEG's quantisation tables: '' and 0 where there are none.

    Damaged metadata count as none.
    """
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        tables = getattr(image, "quantization", None) or {}
        named = image.getexif() if b"xif" in data or image.format == "TIFF" else {}
        camera = " ".join(str(named[tag]).strip(" \0")[:100] for tag in (_MAKE, _MODEL) if tag in named)
        return camera, int(sum(sum(table) for table in tables.values()))
    return "", 0


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


def _orientation(image: Image.Image) -> int:
    """The orientation that the EXIF data of an image say. 1 where they say none, or are damaged."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # damaged metadata are no reason to lose an image with whole pixels
        return 1
    return orientation if isinstance(orientation, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey, scaled = deep_to_grey(image)
        rgb = Image.fromarray(grey).convert("RGB")
        rgb.info[SCALED] = scaled
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


def _reason(error: Exception) -> str:
    """A few printable words, without memory addresses, so that they are equal for equal bytes."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a supported format, or its header is damaged"
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    words = re.sub(r"0x[0-9a-fA-F]+", "", str(error)) or type(error).__name__
    words = "".join(char if " " <= char <= "~" else "?" for char in words)
    return f"damaged: {words[:100].strip()}"
