"""What reads a table: each kind of item has a reader, and all of them give a data set and a trusted reference."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from auditor.config import AuditSettings
from auditor.data import dataset, images
from auditor.data.dataset import Dataset
from auditor.data.features import Features, Pixels
from auditor.data.reference import Reference, of_one_label, reference_notes, reference_rows
from auditor.errors import AuditorError, SourceError
from auditor.model.backbone import Backbone, Encoder
from auditor.pipeline.job import Job
from auditor.sources.base import ImageTable, Skipped, content_hash
from auditor.system.arrays import Array
from auditor.system.progress import Update

STEP = 1024
"""Items whose bytes are hashed between two reports of progress."""


class Reader(ABC):
    """Reads the items of tables and gives their features. Each kind of item has a reader of its own.

    Attributes
    ----------
    encoder
        What makes the features.
    device
        Where to compute.
    backbone
        The network; None where none reads the items.
    doing
        What the stage is called in which it reads.
    """

    encoder: Encoder
    device: str
    backbone: Backbone | None = None
    doing: str = "Reading images"

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def settings(self) -> AuditSettings:
        """What was asked."""
        return self.job.settings

    @property
    def study(self) -> bool:
        """True for the reference study, which drops grey-scale images and splits anew."""
        return self.settings.preset == "study"

    @abstractmethod
    def features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """What one pass over a table gives: the items that could be read, and float32 [n, D] of them.

        Parameters
        ----------
        settle
            True for the audited data set, False for a reference.
        """

    def notes(self, table: ImageTable, read: Features, values: Array) -> Sequence[str]:
        """What must be said of the items that were read, and of float32 [n, D] of them."""
        return ()

    def finished(self, data: Dataset, table: ImageTable, read: Features) -> Dataset:
        """The data set with whatever else this reader knows of it."""
        return data

    def dataset(self, table: ImageTable, update: Update) -> tuple[Reader, Dataset]:
        """The data set's items, with features and splits, and the reader that read them."""
        read, values = self.finite_features(table, update, settle=True)
        return self, self.built(table, read, values, self.notes(table, read, values))

    def built(self, table: ImageTable, read: Features, values: Array, notes: Sequence[str]) -> Dataset:
        """The data set of items that were read, float32 [n, D] of them, and sentences about them."""
        table, settings = replace(table, notes=(*table.notes, *notes)), self.settings
        data = dataset.build(
            table, read, values, seed=settings.seed, max_unreadable=settings.max_unreadable, study=self.study
        )
        return self.finished(data, table, read)

    def reference(self, table: ImageTable, data: Dataset, update: Update) -> Reference:
        """The trusted images. Copies that stand there under several labels are left out.

        Raises
        ------
        SourceError
            When the reference shares no class with the data set, cannot be read, or contradicts itself everywhere.
        """
        frame, others = reference_rows(table, data.classes)
        table = replace(table.narrowed(frame), frame=frame)
        read, values = self.finite_features(table, update, settle=False)
        if not len(read.rows):
            raise SourceError(f"no image of the reference {table.name} can be read")
        index = {name: i for i, name in enumerate(data.classes)}
        labels = frame["label"].iloc[read.rows].map(index).to_numpy(np.int64)
        content = content_hash(frame["path"].iloc[read.rows], read.hashes, frame["label"].iloc[read.rows])
        single = of_one_label(read.hashes, labels)
        if not single.any():
            raise SourceError(
                f"every image of the reference {table.name} stands there under several labels",
                hint="keep the copies whose label is right, and remove the others",
            )
        notes = tuple(reference_notes(read, others, int((~single).sum())))
        read, values, labels = subset(read, single), values[single], labels[single]
        return Reference(
            source=self.settings.reference,
            paths=tuple(frame["path"].iloc[read.rows]),
            hashes=read.hashes,
            content_hash=content,
            features=values,
            labels=labels,
            pixels=read.pixels,
            notes=notes,
        )

    def finite_features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """Features of every item for which there are any."""
        return self._finite(table, *self.features(table, update, settle=settle))

    def _finite(self, table: ImageTable, read: Features, values: Array) -> tuple[Features, Array]:
        """The items without those whose features are NaN or infinite. These are skipped for that reason.

        Raises
        ------
        WeightsError, SourceError
            When too many items would be skipped. Then their number is no accident.
        """
        good = np.isfinite(values).all(axis=1)
        if good.all():
            return read, values
        bad = [table.frame["path"].iloc[row] for row in read.rows[~good]]
        if len(bad) > self.settings.max_unreadable * len(good):
            raise self.too_many_not_finite(table, bad, len(good))
        skipped = (*read.skipped, *(Skipped(path, self.not_finite) for path in bad))
        return replace(subset(read, good), skipped=skipped), values[good]

    not_finite = images.NOT_FINITE
    """Why an item with NaN or infinite features is skipped."""

    @abstractmethod
    def too_many_not_finite(self, table: ImageTable, bad: Sequence[str], n: int) -> AuditorError:
        """The error where too many of `n` items have features that are not finite; `bad` are their paths."""


def content_hashes(table: ImageTable, update: Update) -> tuple[str, ...]:
    """The sha256 of the bytes of each item, N hex strings."""
    paths = table.frame["path"].tolist()
    found = list[str]()
    with ThreadPoolExecutor(table.at_once or os.cpu_count() or 1) as pool:
        for start in range(0, len(paths), STEP):
            part = paths[start : start + STEP]
            found.extend(pool.map(lambda path: hashlib.sha256(table.read(path)).hexdigest(), part))
            update(len(found), len(paths))
    return tuple(found)


def subset(read: Features, keep: Array) -> Features:
    """The images where bool [N] `keep` is True. `skipped` stays as it is."""
    if keep.all():
        return read
    rows = np.flatnonzero(keep)
    return replace(
        read,
        rows=read.rows[rows],
        values=None if read.values is None else read.values[rows],
        hashes=tuple(read.hashes[i] for i in rows),
        grey=read.grey[rows],
        traits=read.traits[rows],
        pixels=None if read.pixels is None else Pixels(read.pixels.values[rows], read.pixels.transform),
    )
