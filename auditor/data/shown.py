"""Pictures of images for people: small ones for the report, whole ones for who wants to see all."""

from __future__ import annotations

import io

from PIL import Image

from auditor.data.images import decode, has_no_colour, is_greyscale

TINY_EDGE = 32
"""Edge in pixels up to which a thumbnail is a lossless PNG. For a tiny image that costs less than a lossy format."""

SMALL_EDGE = 96
"""Edge in pixels below which a thumbnail has a finer quality: a browser enlarges it, and errors would be seen."""

LOSSLESS_EDGE = 512
"""Edge in pixels up to which a whole image is sent as it is."""


def thumbnail(data: bytes, edge: int, max_pixels: int) -> bytes:
    """A small picture of an image for people, without metadata: PNG for tiny images, WebP for others.

    The longer side has at most `edge` pixels. Nothing is enlarged: a browser does that smoothly and needs no more
    bytes. People recognise a digit of 8x8 pixels at once that way, but not in a raster of squares. Equal bytes give
    equal bytes with the same version of Pillow.

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
    if is_greyscale(image) or has_no_colour(image):
        image = image.convert("L")
    image.info = {}
    if longest <= TINY_EDGE:
        image.save(out, format="PNG")
    else:
        # A quarter smaller than JPEG. Slower methods of WebP take twice the time and save three bytes in a hundred.
        image.save(out, format="WEBP", quality=90 if longest < SMALL_EDGE else 80, method=2)
    return out.getvalue()


def whole(data: bytes, edge: int, max_pixels: int) -> bytes:
    """An image for people who want to see all of it, without metadata: PNG where it is small, JPEG for others.

    The longer side has at most `edge` pixels. PNG keeps every pixel of what a person will enlarge.

    Raises
    ------
    UnreadableImage
        As `decode`.
    """
    image = decode(data, max_pixels=max_pixels, target=edge)
    if max(image.size) > edge:
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    image.info = {}
    out = io.BytesIO()
    if max(image.size) <= LOSSLESS_EDGE:
        image.save(out, format="PNG")
    else:
        image.save(out, format="JPEG", quality=92, subsampling=0)
    return out.getvalue()


def media_type(data: bytes) -> str:
    """The media type of a picture that this module made."""
    if data.startswith(b"\x89PNG"):
        return "image/png"
    return "image/jpeg" if data.startswith(b"\xff\xd8") else "image/webp"
