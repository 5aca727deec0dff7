"""One pass over the images: read, decode, run the frozen backbone once, and keep the features on disk.

The cache is keyed by image bytes, backbone, weights, transform and dtype. So a second audit of the same images touches
no pixel, whatever its noise, damping, seed or choice of classes. A pass adds whole `.npz` files, each put in place by
a rename. Two audits may share a cache, and a damaged file costs time but never correctness.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auditor.data import images
from auditor.data.feature_cache import FeatureCache
from auditor.data.picture_facts import FactTaker
from auditor.model.backbone import Transform
from auditor.model.placing import images_on
from auditor.sources.base import ImageTable, Skipped
from auditor.system.arrays import Array
from auditor.system.progress import Update

CHUNK = 4096
"""Images in one file of the cache."""

BATCH = 64
"""Images in a forward pass. The last batch is filled up, so an image's features do not depend on its company."""

WAITING_BYTES = 64 << 20
"""Memory for decoded images that wait for the backbone."""


@dataclass(frozen=True)
class Pixels:
    """Decoded images in memory, for networks that train more than a head: uint8 [N, S, S, 3]."""

    values: Array
    transform: Transform

    def batch(self, index: torch.Tensor | Array) -> torch.Tensor:
        """Normalised images float32 [n, 3, S, S] at `index`."""
        return self.transform.normalise(self.values[np.asarray(index)])


@dataclass(frozen=True)
class Features:
    """What one pass over a table gives for the N images that could be read.

    Attributes
    ----------
    rows
        int64 [N], their rows in the table, ascending.
    values
        float32 [N, D], or None when no backbone was given.
    hashes
        sha256 of each image file, N hex strings.
    grey
        bool [N], images published without colour.
    pixels
        None unless they were asked for.
    skipped
        The rows that could not be read, and why.
    n_cached
        How many came from the cache.
    traits
        int32 [N], see `images.traits`.
    """

    rows: Array
    values: Array | None
    hashes: tuple[str, ...]
    grey: Array
    pixels: Pixels | None
    skipped: tuple[Skipped, ...]
    n_cached: int
    traits: Array

    @classmethod
    def undecoded(cls, hashes: Sequence[str]) -> Features:
        """Of items that were all read and none of them decoded, by the hashes of their contents."""
        n = len(hashes)
        return cls(np.arange(n), None, tuple(hashes), np.zeros(n, bool), None, (), 0, np.zeros(n, np.int32))


@dataclass(frozen=True)
class ReadOptions:
    """How a pass reads images.

    Attributes
    ----------
    keep_pixels
        Keep the decoded images too (N * 3 * S * S bytes), for networks that train more than a head.
    drop_grey
        Skip images published without colour, as the reference study does.
    device
        Where the backbone runs.
    workers
        Threads that decode; None takes one a core.
    facts
        Takes the facts of the pictures that are decoded; None where nobody asks for them.
    """

    keep_pixels: bool = False
    drop_grey: bool = False
    device: str = "cpu"
    workers: int | None = None
    facts: FactTaker | None = None


def peek_edges(table: ImageTable, max_pixels: int, sample: int = 64) -> Array:
    """Shorter edges int64 [n] in pixels of about `sample` evenly spaced images, from their headers alone."""
    step = max(1, len(table.frame) // sample)

    def edge(path: str) -> int | None:
        try:
            return min(images.peek_size(table.read(path), max_pixels=max_pixels))
        except (OSError, images.UnreadableImage):
            return None

    with ThreadPoolExecutor(table.at_once or 1) as pool:
        edges = [found for found in pool.map(edge, table.frame["path"].iloc[::step]) if found is not None]
    return np.array(edges, dtype=np.int64)


def extract(
    table: ImageTable,
    transform: Transform,
    backbone: nn.Module | None,
    options: ReadOptions | None = None,
    *,
    cache: FeatureCache | None = None,
    progress: Update | None = None,
) -> Features:
    """Read every image of a table once.

    Parameters
    ----------
    backbone
        Maps normalised images float32 [n, 3, S, S] to features [n, D]. None reads pixels only.
    """
    options = options or ReadOptions()
    run = _Pass(table, transform, backbone, cache, options)
    total = len(table.frame)
    window = max(2 * BATCH, WAITING_BYTES // (3 * transform.size**2))
    with ThreadPoolExecutor(options.workers or table.at_once or os.cpu_count() or 1) as pool:
        for start in range(0, total, window):
            rows = range(start, min(start + window, total))
            for item in pool.map(run.read, rows):
                run.take(item)
                if progress is not None and (item.row + 1) % BATCH == 0:
                    progress(item.row + 1, total)
            if options.facts is not None:
                options.facts.store(least=CHUNK)
    if options.facts is not None:
        options.facts.store()
    run.flush()
    run.store()
    if progress is not None:
        progress(total, total)
    return run.features()


@dataclass(frozen=True)
class _Item:
    """One image on its way: the hash of its file, and its pixels unless its features are known."""

    row: int
    digest: str = ""
    pixels: Array | None = None
    traits: int = 0
    reason: str = ""


class _Pass:
    """The state of one pass over a table."""

    def __init__(
        self,
        table: ImageTable,
        transform: Transform,
        backbone: nn.Module | None,
        cache: FeatureCache | None,
        options: ReadOptions,
    ) -> None:
        self.table, self.transform, self.backbone, self.cache = table, transform, backbone, cache
        self.options = options
        self.paths = table.frame["path"].tolist()
        self.kept: list[_Item] = []
        self.values: list[Array | None] = []
        self.skipped: list[Skipped] = []
        self.waiting: list[tuple[int, Array]] = []
        self.unstored: list[int] = []
        self.pixels: list[Array] = []
        self.n_cached = 0

    def read(self, row: int) -> _Item:
        """Read and hash one image, and decode it unless the cache knows it. Runs in the pool's threads."""
        digest = ""
        try:
            data = self.table.read(self.paths[row])
            digest = images.content_hash(data)
            known = self.cache.get(digest) if self.cache is not None else None
            if known is not None and not self.options.keep_pixels:
                return _Item(row, digest, None, known[1])
            size = self.transform.size
            image = images.decode(data, max_pixels=self.transform.max_pixels, target=size)
            if self.options.facts is not None:
                self.options.facts.take(digest, data, image)
            pixels = images.resize_rgb(image, size)
            return _Item(row, digest, pixels, images.traits(image, pixels))
        except images.UnreadableImage as error:
            return _Item(row, digest, reason=error.message)
        except OSError as error:
            return _Item(row, digest, reason=images.why_unread(error))

    def take(self, item: _Item) -> None:
        """Keep one image, in the table's order. A full batch goes through the backbone."""
        dropped = self.options.drop_grey and bool(item.traits & images.GREY)
        reason = item.reason or (images.GREY_DROPPED if dropped else "")
        if reason:
            self.skipped.append(Skipped(self.paths[item.row], reason))
            return
        position = len(self.kept)
        self.kept.append(_Item(item.row, item.digest, None, item.traits))
        if self.options.keep_pixels and item.pixels is not None:
            self.pixels.append(item.pixels)
        known = self.cache.get(item.digest) if self.cache is not None else None
        self.values.append(known[0] if known is not None else None)
        if known is not None:
            self.n_cached += 1
        elif self.backbone is not None and item.pixels is not None:
            self.waiting.append((position, item.pixels))
            if len(self.waiting) == BATCH:
                self.flush()

    def flush(self) -> None:
        """Run the waiting images through the backbone."""
        if self.backbone is None or not self.waiting:
            return
        pixels = np.stack([p for _, p in self.waiting])
        rows = forward(self.backbone, self.transform, pixels, self.options.device)
        for (position, _), row in zip(self.waiting, rows, strict=True):
            self.values[position] = row
            self.unstored.append(position)
        self.waiting.clear()
        if len(self.unstored) >= CHUNK:
            self.store()

    def store(self) -> None:
        """Add the new features to the cache."""
        if self.cache is not None and self.unstored:
            items = [self.kept[position] for position in self.unstored]
            values = np.stack([self._value(position) for position in self.unstored])
            self.cache.add([item.digest for item in items], values, np.array([item.traits for item in items], np.int32))
            for position, row in zip(self.unstored, values, strict=True):
                self.values[position] = row  # the cache's own: one copy in memory, not two
        self.unstored.clear()

    def _value(self, position: int) -> Array:
        value = self.values[position]
        assert value is not None
        return value

    def features(self) -> Features:
        """What the pass gave."""
        with_values = self.backbone is not None and bool(self.kept)
        return Features(
            rows=np.array([item.row for item in self.kept], dtype=np.int64),
            values=np.stack([self._value(i) for i in range(len(self.kept))]) if with_values else None,
            hashes=tuple(item.digest for item in self.kept),
            grey=np.array([item.traits & images.GREY for item in self.kept], dtype=bool),
            pixels=Pixels(np.stack(self.pixels), self.transform) if self.pixels else None,
            skipped=tuple(self.skipped),
            n_cached=self.n_cached,
            traits=np.array([item.traits for item in self.kept], dtype=np.int32),
        )


def forward(backbone: nn.Module, transform: Transform, pixels: Array, device: str = "cpu") -> Array:
    """Features float32 [n, D] of uint8 images [n, S, S, 3], in batches of exactly `BATCH`."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            part = pixels[start : start + BATCH]
            fill = BATCH - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], fill, axis=0)]) if fill else part
            out = backbone(images_on(transform.normalise(full), device)).float().cpu().numpy()
            parts.append(out[: len(part)])
    return np.concatenate(parts)
