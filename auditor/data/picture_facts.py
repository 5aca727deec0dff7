"""What picture files show without a network: size, format, light, and how a picture is laid out.

One pass gives them all. They are kept by content in the cache, so a second audit decodes nothing for them. A fact is a
few numbers that `MEASURES` names; to add one, write a `Measure` and put it there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn

from auditor.data import images, picture_measures
from auditor.data.feature_cache import FeatureCache
from auditor.sources.base import ImageTable
from auditor.sources.decoding import TURNED, peek_header
from auditor.system.arrays import Array, Floats
from auditor.system.progress import Update

VERSION = 1
"""A change in what a measure computes needs another number here: kept facts are then computed anew."""

EDGE = 128
"""Large JPEG files are decoded at a smaller scale, with both sides at least twice this."""

LAYOUT_SIDE, _LAYOUT_EDGE = 8, 32
"""Frequencies along a side, of a picture squeezed to so many pixels."""

_STEP = 512
"""Pictures between two reports of progress, and in one file of the cache."""


@dataclass(frozen=True)
class Picture:
    """A picture file.

    Attributes
    ----------
    data
        Its bytes.
    size
        Width and height in pixels, as its header says.
    format
        Pillow's name of its format.
    image
        The decoded image, RGB. A large JPEG may be smaller than `size`.
    """

    data: bytes
    size: tuple[int, int]
    format: str
    image: Image.Image


@dataclass(frozen=True)
class Measure:
    """A fact of a picture: finite numbers, under a name for each.

    Attributes
    ----------
    names
        The names of its numbers. No two measures share one.
    of
        Gives the numbers of a picture. They are kept as float32, so whole numbers are exact up to 2**24.
    """

    names: tuple[str, ...]
    of: Callable[[Picture], Sequence[float]]


def _file(picture: Picture) -> Sequence[float]:
    width, height = picture.size
    known = images.FORMATS.index(picture.format) if picture.format in images.FORMATS else -1
    return width, height, len(picture.data), known


def _layout(picture: Picture) -> Sequence[float]:
    """The lowest frequencies of the grey picture, squeezed to a square, without its brightness."""
    grey = picture.image.convert("L").resize((_LAYOUT_EDGE, _LAYOUT_EDGE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(grey, dtype=np.float64), norm="ortho")[:LAYOUT_SIDE, :LAYOUT_SIDE]
    return [float(value) for value in np.round(low.ravel()[1:], 3)]


MEASURES: tuple[Measure, ...] = (
    Measure(("width", "height", "bytes", "format"), _file),
    Measure(tuple(f"layout_{place}" for place in range(1, LAYOUT_SIDE * LAYOUT_SIDE)), _layout),
    Measure(picture_measures.LIGHT, lambda picture: picture_measures.light(picture.image)),
    Measure(picture_measures.SHAPE, lambda picture: picture_measures.shape(picture.image)),
    Measure(picture_measures.FAULTS, lambda picture: picture_measures.faults(picture.image)),
    Measure(picture_measures.ORIGIN, lambda picture: picture_measures.origin(picture.data)),
)
"""All facts. `format` is a place in `images.FORMATS`."""


@dataclass(frozen=True)
class PictureFacts:
    """The facts of N pictures.

    Attributes
    ----------
    names
        The F names of the numbers.
    values
        float32 [N, F], in the order of the data set. A row of NaN is a picture that could not be read again.
    """

    names: tuple[str, ...]
    values: Array

    def __getitem__(self, name: str) -> Floats:
        """float64 [N] of one name."""
        return np.asarray(self.values[:, self.names.index(name)], dtype=np.float64)

    @property
    def layout(self) -> Array:
        """float32 [N, 63], how each picture is laid out: its lowest frequencies, row by row, without its brightness."""
        return self.values[:, [place for place, name in enumerate(self.names) if name.startswith("layout_")]]

    @property
    def known(self) -> Array:
        """bool [N], the pictures of which facts are known."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


def picture_facts(
    table: ImageTable, paths: Sequence[str], hashes: Sequence[str], max_pixels: int, cache: Path, update: Update
) -> PictureFacts | None:
    """The facts of the pictures at `paths`; None where none of them can be read as a picture.

    Parameters
    ----------
    hashes
        The sha256 of each file. Equal files are read once.
    cache
        Where facts are kept by content.
    """
    names, kept = _names(), _kept(cache)
    first = {digest: path for digest, path in zip(hashes, paths, strict=True) if kept.get(digest) is None}
    missing = sorted(first)
    with ThreadPoolExecutor(table.at_once or os.cpu_count() or 1) as pool:
        for start in range(0, len(missing), _STEP):
            part = missing[start : start + _STEP]
            found = list(pool.map(lambda digest: _facts_of(table, first[digest], max_pixels), part))
            good = [place for place, row in enumerate(found) if row is not None]
            if good:
                rows = np.array([found[place] for place in good], dtype=np.float32)
                kept.add([part[place] for place in good], rows, np.zeros(len(good), np.int32))
            update(min(start + _STEP, len(missing)), len(missing))
    values = np.full((len(hashes), len(names)), np.nan, np.float32)
    for place, digest in enumerate(hashes):
        known = kept.get(digest)
        if known is not None:
            values[place] = known[0]
    facts = PictureFacts(names, values)
    return facts if facts.known.any() else None


class FactTaker:
    """Takes the facts of pictures that another pass has just read, so that none is read for them once more.

    A picture that is decoded is not decoded again, if facts need it at the same scale. They are the same in any case.
    Several threads may give it pictures.

    Parameters
    ----------
    cache
        Where facts are kept by content.
    """

    def __init__(self, cache: Path, max_pixels: int) -> None:
        self.cache, self._max_pixels = cache, max_pixels
        self._cached, self._lock = _kept(cache), threading.Lock()
        self._new: dict[str, list[float]] = {}

    def take(self, digest: str, data: bytes, decoded: Image.Image) -> None:
        """Take the facts of a picture: its hash, its bytes, and what they were decoded to. Known ones stay."""
        if self._cached.get(digest) is not None or digest in self._new:
            return
        try:
            numbers = _numbers(data, self._max_pixels, decoded)
        except images.UnreadableImage:
            return
        with self._lock:
            self._new[digest] = numbers

    def store(self, *, least: int = 1) -> None:
        """Keep the new facts, if there are so many."""
        with self._lock:
            new, self._new = (self._new, {}) if len(self._new) >= least else ({}, self._new)
        if new:
            digests = sorted(new)
            rows = np.array([new[digest] for digest in digests], dtype=np.float32)
            self._cached.add(digests, rows, np.zeros(len(digests), np.int32))


def _names() -> tuple[str, ...]:
    return tuple(name for measure in MEASURES for name in measure.names)


def _kept(cache: Path) -> FeatureCache:
    """The facts that are known."""
    names = _names()
    return FeatureCache(cache, {"facts": VERSION, "names": names, "edge": EDGE}, len(names))


def _facts_of(table: ImageTable, path: str, max_pixels: int) -> list[float] | None:
    """The numbers of one picture; None where it cannot be read."""
    try:
        return _numbers(table.read(path), max_pixels)
    except (OSError, images.UnreadableImage):
        return None


def _numbers(data: bytes, max_pixels: int, decoded: Image.Image | None = None) -> list[float]:
    """The numbers of a picture.

    Parameters
    ----------
    decoded
        What its bytes were decoded to for another target. It serves where it has the scale that facts need.
    """
    header = peek_header(data, max_pixels=max_pixels, target=EDGE)
    if decoded is None or (decoded.size[::-1] if TURNED in decoded.info else decoded.size) != header.decoded:
        decoded = images.decode(data, max_pixels=max_pixels, target=EDGE)
    picture = Picture(data, header.size, header.format, decoded)
    return [float(number) for measure in MEASURES for number in measure.of(picture)]
