"""The source `digits`: handwritten digits that come with scikit-learn, so no disk and no network is needed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from auditor.sources.base import Columns, ImageTable, make_table


class DigitsSource:
    """SOURCE `digits`: 1797 grey images of 8x8 pixels in ten classes, "0" to "9", without a split.

    This is the test set of UCI's "Optical Recognition of Handwritten Digits", as `sklearn.datasets.load_digits`
    returns it. Its 17 grey levels are spread over 0 to 255. Write `./digits` for a folder with this name.
    """

    name = "digits"
    looks_for = "the word 'digits' for scikit-learn's handwritten digits"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is the word `digits`."""
        return spec == "digits"

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Make a PNG of each digit, in memory."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        files: dict[str, bytes] = {}
        paths = []
        for index, (pixels, target) in enumerate(zip(grey, bunch.target, strict=True)):
            path = f"{target}/{index:04d}.png"
            files[path] = grey_png(pixels)
            paths.append(path)

        def read(path: str) -> bytes:
            try:
                return files[path]
            except KeyError:
                raise FileNotFoundError(2, "no such digit", path) from None

        labels = [str(target) for target in bunch.target]
        return make_table("handwritten digits", "digits", Columns(paths, labels), read=read)


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey image as an uncompressed PNG (W3C PNG, 3rd ed.). No version of a codec can change its bytes.

    Parameters
    ----------
    pixels
        uint8 [H, W].

    Raises
    ------
    ValueError
        The image needs more than one stored zlib block (65,535 bytes).
    """
    height, width = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    if len(raw) > 0xFFFF:
        raise ValueError(f"an image of {height}x{width} pixels does not fit one stored block")
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
            (b"IDAT", stored + struct.pack(">I", zlib.adler32(raw))),
            (b"IEND", b""),
        )
    )
