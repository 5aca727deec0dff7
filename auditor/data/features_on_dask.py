"""The feature pass on a Dask cluster: parts of a table go out, features come back in the table's order.

Each worker reads the images itself, so the data set must be at the same place on every machine. When a worker dies,
its parts are done again. Importing this module imports dask.distributed, which only `--dask` needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from distributed import Client, Future, Worker, WorkerPlugin, as_completed
from torch import nn

from auditor.data.feature_cache import FeatureCache
from auditor.data.features import Features, ReadOptions, extract
from auditor.data.picture_facts import FactTaker
from auditor.errors import EngineError
from auditor.model import vision
from auditor.model.backbone import Transform
from auditor.sources.base import ImageTable
from auditor.system.progress import Update

PART = 512
"""Images in one task: some seconds of work."""

RETRIES = 3
"""How often a part that failed is tried again."""


@dataclass(frozen=True)
class CacheAt:
    """Where a worker finds the feature cache, if it shares the disk. See `FeatureCache` for the fields.

    With `facts` the workers keep the facts of the pictures there too.
    """

    folder: Path
    key: dict[str, object]
    n_features: int
    facts: bool = False


class _Torchvision(WorkerPlugin):  # type: ignore[misc]
    """Opens our door to torchvision on a worker. Unpickling a network would import torchvision the plain way."""

    def setup(self, worker: Worker) -> None:
        vision.models()


def extract_on(
    client: Client,
    table: ImageTable,
    transform: Transform,
    backbone: nn.Module,
    *,
    cache: CacheAt | None,
    drop_grey: bool,
    progress: Update | None = None,
) -> Features:
    """`features.extract` over the workers of a cluster. On equal machines the features are the same to the last bit.

    Raises
    ------
    EngineError
        When a part failed on every worker that tried it.
    """
    client.register_plugin(_Torchvision(), name="auditor-torchvision")
    parts = [_part(table, start) for start in range(0, len(table.frame), PART)]
    network = client.scatter(backbone, broadcast=True)
    futures = client.map(
        _extract_part,
        parts,
        transform=transform,
        backbone=network,
        cache=cache,
        drop_grey=drop_grey,
        retries=RETRIES,
        pure=False,
    )
    found: dict[str, Features] = {}
    for done, future in enumerate(as_completed(futures), 1):
        found[future.key] = _answer(future)
        if progress is not None:
            progress(min(done * PART, len(table.frame)), len(table.frame))
    return _joined([found[future.key] for future in futures])


def _answer(future: Future) -> Features:
    try:
        features: Features = future.result()
    except Exception as error:  # whatever the worker raised, or its death
        raise EngineError(
            f"the feature pass failed on the cluster: {type(error).__name__}: {error}",
            hint="check that every worker sees the data set at the same path",
        ) from error
    return features


def _part(table: ImageTable, start: int) -> ImageTable:
    frame = table.frame.iloc[start : start + PART]
    return ImageTable(table.name, table.root, frame, table.read)


def _extract_part(
    part: ImageTable, transform: Transform, backbone: nn.Module, cache: CacheAt | None, drop_grey: bool
) -> Features:
    """Runs on a worker. The rows that it answers are those of the whole table."""
    known = None if cache is None else FeatureCache(cache.folder, cache.key, cache.n_features)
    taker = None if cache is None or not cache.facts else FactTaker(cache.folder, transform.max_pixels)
    rows = part.frame.index.to_numpy(np.int64)
    read = extract(part, transform, backbone, ReadOptions(drop_grey=drop_grey, workers=1, facts=taker), cache=known)
    return replace(read, rows=rows[read.rows], pixels=None)


def _joined(parts: list[Features]) -> Features:
    values = [part.values for part in parts if part.values is not None]
    return Features(
        rows=np.concatenate([part.rows for part in parts]),
        values=np.concatenate(values) if values else None,
        hashes=tuple(digest for part in parts for digest in part.hashes),
        grey=np.concatenate([part.grey for part in parts]),
        pixels=None,
        skipped=tuple(skipped for part in parts for skipped in part.skipped),
        n_cached=sum(part.n_cached for part in parts),
        traits=np.concatenate([part.traits for part in parts]),
    )
