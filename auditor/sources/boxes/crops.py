"""Cuts boxes out of pictures. A picture is decoded once for all its boxes where they are asked for one after the other.

A crop is a PPM file, or PGM for a grey picture: equal pixels give equal bytes, whatever library is installed.
"""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from auditor.sources.decoding import TURNED, UnreadableImage, decode, is_greyscale

HELD_BYTES = 256 << 20
"""Memory for decoded pictures whose next box may be asked for. The newest stays, however large it is."""

OUTSIDE = "its box lies outside its picture"

Sides = tuple[float, float, float, float]
"""Left, top, right and bottom of a box."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a crop comes from.

    Attributes
    ----------
    picture
        The path of its picture.
    sides
        In pixels, or as shares of the picture's width and height.
    """

    picture: str
    sides: Sides


@dataclass
class _Held:
    """A picture that is decoded, or why it cannot be."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    image: Image.Image | None = None
    problem: tuple[int, str] | None = None


class Crops:
    """Gives the bytes of a crop by its name. Several threads may ask at a time.

    Parameters
    ----------
    read
        Gives the bytes of a picture by its path.
    cuts
        Where each crop comes from, by its name.
    sizes
        Width and height of pictures as the annotations say them, by path.
    relative
        Sides are shares of the picture.
    margin
        What is added on each side, as a share of the box's width or height.
    max_pixels
        A picture with more is not decoded.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        cuts: Mapping[str, Cut],
        sizes: Mapping[str, tuple[int, int]],
        *,
        relative: bool,
        margin: float,
        max_pixels: int,
    ) -> None:
        self._read, self._cuts, self._sizes = read, cuts, sizes
        self._relative, self._margin, self._max_pixels = relative, margin, max_pixels
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: everything but decoded pictures."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_held")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin without decoded pictures."""
        self.__dict__.update(state, _lock=threading.Lock(), _held=OrderedDict())

    def __call__(self, name: str) -> bytes:
        """The bytes of a crop.

        Raises
        ------
        OSError
            There is no such box, its picture cannot be read, or the box does not fit it.
        """
        cut = self._cuts.get(name)
        if cut is None:
            raise FileNotFoundError(errno.ENOENT, "the annotations have no such box", name)
        image = self._picture(cut.picture, name)
        left, top, right, bottom = self._region(cut, image, name)
        mode = "L" if is_greyscale(image) else "RGB"
        crop = image.crop((left, top, right, bottom)).convert(mode)
        return f"P{5 if mode == 'L' else 6}\n{crop.width} {crop.height}\n255\n".encode() + crop.tobytes()

    def _picture(self, path: str, name: str) -> Image.Image:
        with self._lock:
            held = self._held.setdefault(path, _Held())
            self._held.move_to_end(path)
        with held.lock:
            if held.image is None and held.problem is None:
                try:
                    held.image = decode(self._read(path), max_pixels=self._max_pixels)
                except UnreadableImage as error:
                    held.problem = errno.EIO, f"its picture is {error.reason}"
                except OSError as error:
                    held.problem = error.errno or errno.EIO, f"its picture: {error.strerror or type(error).__name__}"
            image, problem = held.image, held.problem
        self._let_go()
        if image is None:
            raise OSError(*(problem or (errno.EIO, "its picture is damaged")), name)
        return image

    def _let_go(self) -> None:
        """Forget the pictures that were asked for longest ago, until the others fit."""
        with self._lock:
            sizes = {
                path: 3 * held.image.width * held.image.height if held.image else 0 for path, held in self._held.items()
            }
            total = sum(sizes.values())
            while len(self._held) > 1 and total > HELD_BYTES:
                path, _ = self._held.popitem(last=False)
                total -= sizes[path]

    def _region(self, cut: Cut, image: Image.Image, name: str) -> tuple[int, int, int, int]:
        """The pixels of a crop: left, top, right, bottom. Whole pixels, at least one, and inside the picture."""
        width, height = image.size
        sides = cut.sides
        if self._relative:
            sides = sides[0] * width, sides[1] * height, sides[2] * width, sides[3] * height
        stated = self._sizes.get(cut.picture)
        if stated is not None and stated != image.size:
            if stated[::-1] != image.size or TURNED not in image.info:
                said = f"{stated[0]}x{stated[1]}"
                raise OSError(
                    errno.EINVAL, f"its picture has {width}x{height} pixels, and the annotation says {said}", name
                )
            sides = upright(sides, stated, int(image.info[TURNED]))
        left, top, right, bottom = sides
        if right <= 0 or bottom <= 0 or left >= width or top >= height:
            raise OSError(errno.EINVAL, OUTSIDE, name)
        wide, high = self._margin * (right - left), self._margin * (bottom - top)
        x0, x1 = _within(left - wide, right + wide, width)
        y0, y1 = _within(top - high, bottom + high, height)
        return x0, y0, x1, y1


def _within(first: float, last: float, length: int) -> tuple[int, int]:
    """The nearest whole pixels from `first` to `last` inside 0 to `length`, at least one."""
    begin = min(max(int(first + 0.5) if first > 0 else 0, 0), length - 1)
    end = int(min(last, length) + 0.5)
    return begin, max(min(end, length), begin + 1)


def upright(sides: Sides, size: tuple[int, int], orientation: int) -> Sides:
    """A box of a picture as the file holds it, in the picture as EXIF data turn it on its side.

    Parameters
    ----------
    size
        Width and height as the file holds them.
    orientation
        5 to 8.
    """
    left, top, right, bottom = sides
    width, height = size
    return {
        5: (top, left, bottom, right),
        6: (height - bottom, left, height - top, right),
        7: (height - bottom, width - right, height - top, width - left),
        8: (top, width - right, bottom, width - left),
    }[orientation]
