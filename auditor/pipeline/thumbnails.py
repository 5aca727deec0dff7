"""What people see of the items that the evidence names: small pictures, or excerpts of texts and rows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL

from auditor.compute.side_by_side import workers
from auditor.data import shown
from auditor.data.images import UnreadableImage
from auditor.sources.base import ImageTable
from auditor.system.remembered import Remembered

THUMBNAIL_EDGE = 96
"""Longer side of a small picture, in pixels."""

SUSPECT_EDGE = 160
"""Longer side of a suspect's picture, which a person judges by."""

AT_ONCE = 64
"""Files that are held at a time."""

MOST_KEPT = 8_000
"""Pictures of a data set that are remembered: those of a report and of the ones before it."""

EXCERPT = 2000
"""Characters of a text or a row that are shown."""


def mentioned(evidence: Any) -> Iterable[str]:
    """Every path that a piece of evidence names, in the order of its first mention."""
    if isinstance(evidence, dict):
        if isinstance(evidence.get("path"), str):
            yield evidence["path"]
        for value in evidence.values():
            yield from mentioned(value)
    elif isinstance(evidence, list):
        for value in evidence:
            yield from mentioned(value)


@dataclass(frozen=True)
class Pictures:
    """Makes small pictures of a data set's items. Those of an earlier audit of the same files are taken from there.

    Attributes
    ----------
    table
        The items.
    max_pixels
        Larger images get no picture.
    hashes
        Of the data set's files, by which pictures are remembered.
    remembered
        Where. A picture is taken for the very bytes that it was made of: the file is read and its digest compared.
    """

    table: ImageTable
    max_pixels: int
    hashes: Sequence[str] = ()
    remembered: Remembered = field(default_factory=lambda: Remembered(None))

    def small(self, paths: Iterable[str], *, suspects: int = 0) -> dict[str, str]:
        """Small pictures as data URIs, the first `suspects` of them larger. What cannot be shown is left out.

        Items that are known by their features alone are shown where a picture of their name can be read.
        """
        if self.table.kind not in ("image", "features"):
            return {}
        key = self.remembered.key(["pictures", sorted(self.hashes), self.max_pixels, PIL.__version__])
        known = _unpacked(self.remembered.recall("pictures", key))
        wanted = enumerate(dict.fromkeys(paths))
        asked = [(path, SUSPECT_EDGE if place < suspects else THUMBNAIL_EDGE) for place, path in wanted]
        made: list[tuple[str, bytes]] = []
        with ThreadPoolExecutor(workers()) as pool:  # Pillow works outside of Python's lock; tables are read in turn
            for start in range(0, len(asked), AT_ONCE):
                some = [(self._read(path), edge) for path, edge in asked[start : start + AT_ONCE]]
                made += pool.map(lambda one: self._made(one[0], one[1], known), some)
        new = {name: picture for name, picture in made if picture and name not in known}
        if new:
            latest = dict(list({**known, **new}.items())[-MOST_KEPT:])
            self.remembered.keep("pictures", key, _packed(latest))
        return {path: _uri(picture) for (path, _), (_, picture) in zip(asked, made, strict=True) if picture}

    def _read(self, path: str) -> bytes:
        """The bytes of an item's file; none where it cannot be read."""
        try:
            return self.table.read(path)
        except (OSError, UnreadableImage):
            return b""

    def _made(self, data: bytes, edge: int, known: dict[str, bytes]) -> tuple[str, bytes]:
        """The name of a picture, which tells the bytes of its file, and the picture; empty where there is none."""
        name = f"{hashlib.sha256(data).hexdigest()}-{edge}"
        try:
            return name, known.get(name) or shown.thumbnail(data, edge, self.max_pixels)
        except (OSError, UnreadableImage):
            return name, b""


def _uri(picture: bytes) -> str:
    return f"data:{shown.media_type(picture)};base64,{base64.b64encode(picture).decode('ascii')}"


def _packed(pictures: dict[str, bytes]) -> dict[str, Any]:
    """Pictures by name as arrays, which can be kept."""
    ends = np.cumsum([len(picture) for picture in pictures.values()])
    return {"names": list(pictures), "ends": ends, "bytes": np.frombuffer(b"".join(pictures.values()), np.uint8)}


def _unpacked(kept: Any) -> dict[str, bytes]:
    """Pictures by name; none where nothing was kept, or something else."""
    if not isinstance(kept, dict) or not isinstance(kept.get("bytes"), np.ndarray):
        return {}
    data, ends = kept["bytes"].tobytes(), [0, *kept["ends"].tolist()]
    return {name: data[first:last] for name, first, last in zip(kept["names"], ends, ends[1:], strict=False)}


def excerpts(table: ImageTable, paths: Iterable[str]) -> dict[str, str]:
    """The beginning of each text or row, at most `EXCERPT` characters. An empty one is left out."""
    shown = {path: table.excerpt(path) for path in dict.fromkeys(paths)}
    return {path: text[:EXCERPT] + "…" * (len(text) > EXCERPT) for path, text in shown.items() if text}
