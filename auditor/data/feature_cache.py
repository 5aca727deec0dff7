"""Features on disk, so that a second audit of the same images is fast. The cache may be shared, and may be deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from auditor.config import RunSettings
from auditor.sources.remote import Reach
from auditor.system import files
from auditor.system.arrays import Array
from auditor.system.files import default_cache
from auditor.system.serial import packed

CACHE_VERSION = 2

ABANDONED = 24 * 3600.0
"""Seconds after which a half-written file of a killed audit is removed. A younger one may be another audit's work."""


class FeatureCache:
    """Features of one backbone, in one folder of the cache.

    Parameters
    ----------
    key
        What the features depend on beside the image: backbone, weights, transform and dtype.
    n_features
        D of every row. Files with another number are foreign.
    """

    def __init__(self, folder: Path, key: dict[str, object], n_features: int) -> None:
        text = json.dumps({"cache": CACHE_VERSION, "dtype": "float32", **key}, sort_keys=True)
        self.folder = folder / "features" / hashlib.sha256(text.encode()).hexdigest()[:24]
        self._n_features = n_features
        self._rows: dict[str, tuple[Array, int]] = {}
        if self.folder.is_dir():
            files.sweep(self.folder, older_than=ABANDONED)
            for path in sorted(self.folder.glob("*.npz")):
                self._load(path)

    def _load(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as shard:
                hashes, values, traits = shard["hashes"], shard["values"], shard["traits"]
            digests = hashes.astype(str)
        except Exception:  # a damaged zip archive raises nearly every kind of error; its images are computed again
            return
        right_kinds = hashes.dtype == "S64" and values.dtype == np.float32 and traits.dtype == np.int32
        right_shapes = values.shape == (len(hashes), self._n_features) and traits.shape == hashes.shape
        if right_kinds and right_shapes and np.isfinite(values).all():
            for digest, row, bits in zip(digests, values, traits, strict=True):
                self._rows[digest] = (row, int(bits))

    def get(self, digest: str) -> tuple[Array, int] | None:
        """The features float32 [D] of an image, and its traits (`images.traits`). None for an unknown image."""
        return self._rows.get(digest)

    def add(self, hashes: list[str], values: Array, traits: Array) -> None:
        """Keep a chunk of features: one file, whole or not at all. A cache that cannot be written is no error.

        Parameters
        ----------
        hashes, values, traits
            The sha256 of each image file, its features float32 [n, D], and its traits int32 [n].
        """
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():  # these rows would make the whole file look damaged
            good = np.flatnonzero(finite)
            hashes, values, traits = [hashes[i] for i in good], values[good], traits[good]
        if not hashes:
            return
        for digest, row, bits in zip(hashes, values, traits, strict=True):
            self._rows[digest] = (row, int(bits))
        data = packed({"hashes": np.array(hashes, dtype="S64"), "values": values, "traits": traits})
        name = hashlib.sha256("".join(hashes).encode()).hexdigest()[:32]
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.write_bytes(self.folder / f"{name}.npz", data, private=True)
        except OSError:
            return  # a full or read-only disk costs the next audit time


def reach_of(run: RunSettings, say: Callable[[str], None]) -> Reach:
    """The leave to read the addresses that a person named for an audit, with copies in the same cache."""
    return Reach(str(cache_folder(run)), int(run.remote_cache * (1 << 30)), say)


def cache_folder(run: RunSettings) -> Path:
    """Where features and finished stages are kept."""
    return Path(run.cache).expanduser() if run.cache else default_cache()
