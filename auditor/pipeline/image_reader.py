"""Reads images: decodes them, and runs them through the backbone once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from auditor.compute import hardware
from auditor.data import blank, feature_cache, features, images
from auditor.data.dataset import Dataset
from auditor.data.feature_cache import cache_folder
from auditor.data.features import BATCH, Features, Pixels, ReadOptions
from auditor.data.picture_facts import FactTaker
from auditor.errors import AuditorError, WeightsError
from auditor.model import backbone_kind, training
from auditor.model.backbone import Backbone, Transform
from auditor.model.weights import load_weights
from auditor.pipeline.job import Job
from auditor.pipeline.reader import Reader, subset
from auditor.pipeline.room import keeps_pixels
from auditor.sources.base import ImageTable, Skipped
from auditor.system.arrays import Array
from auditor.system.progress import Update


def open_image_reader(table: ImageTable, job: Job) -> ImageReader:
    """The backbone for a table's images, on the chosen device."""
    settings = job.settings
    device = hardware.device(job.run.device)
    kind = backbone_kind(settings.backbone)
    weights = load_weights(settings.weights, kind, download=job.download)
    size = kind.image_size(settings.image_size, features.peek_edges(table, settings.max_pixels), weights)
    mean, std = kind.normalisation(settings.preset, weights)
    network = kind.build(weights, table.frame["label"].nunique(), size, settings.seed)
    transform = Transform(size, mean, std, settings.max_pixels)
    return ImageReader(job, Backbone(kind, weights, network, transform, device), len(table.frame))


class ImageReader(Reader):
    """Reads images through one backbone.

    Parameters
    ----------
    n_images
        How many images are audited. Whether pixels are kept follows from it, for a reference too.
    """

    def __init__(self, job: Job, backbone: Backbone, n_images: int) -> None:
        super().__init__(job)
        self.backbone: Backbone = backbone
        self.keeps_pixels = keeps_pixels(backbone, self.settings, n_images)
        self.encoder, self.device = backbone.encoder, backbone.device

    def dataset(self, table: ImageTable, update: Update) -> tuple[Reader, Dataset]:
        """The data set's images, with features and splits, and the reader that read them.

        Images that show nothing are skipped for that reason. Where whole classes are left out, another reader reads the
        rest: its network has fewer classes.
        """
        reader = self
        read, values = reader.finite_features(table, update, settle=True)
        found = _learnable(table, read)
        notes = found.notes
        if found.lost:
            table = blank.without(table, read, found)
            reader = open_image_reader(table, self.job)
            read, values = reader.finite_features(table, update, settle=True)
            found = _learnable(table, read)
        if not found.keep.all():
            paths = table.frame["path"].iloc[read.rows[~found.keep]]
            skipped = (*read.skipped, *(Skipped(path, images.SHOWS_NOTHING) for path in paths))
            read, values = replace(subset(read, found.keep), skipped=skipped), values[found.keep]
        return reader, reader.built(table, read, values, notes)

    def features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """Features of the backbone as it starts. No label has touched it, so no label can leak through it.

        A fresh backbone is settled on the data set alone. A reference then passes through the very same backbone.
        """
        if self.backbone.weights.pretrained:
            read = self._cached_features(table, update, facts=settle)
            return read, self._values(read)
        transform, device = self.backbone.transform, self.backbone.device
        options = ReadOptions(True, self.study, facts=self._taker() if settle else None)
        read = features.extract(table, transform, None, options, progress=update)
        if read.pixels is None:
            return read, self._values(read)
        if settle:
            training.settle_batchnorm(self.backbone.network, _batches(read.pixels))
        extractor = self.backbone.extractor(self.settings.dtype, mirror=self.settings.mirror)
        return read, features.forward(extractor, transform, read.pixels.values, device)

    def too_many_not_finite(self, table: ImageTable, bad: Sequence[str], n: int) -> AuditorError:
        """The weights are at fault, not the images."""
        return WeightsError(
            f"the backbone ({self.backbone.weights.name}) gives NaN or infinite features for {len(bad)} of "
            f"{n} images of {table.name}; the first is {bad[0]}",
            hint="give weights that were trained on images normalised like these, or --weights none",
        )

    def _values(self, read: Features) -> Array:
        return read.values if read.values is not None else np.empty((0, self.backbone.kind.n_layered), np.float32)

    def _taker(self) -> FactTaker | None:
        """Takes the facts of the audited pictures on the way. The study looks at none."""
        return None if self.study else FactTaker(cache_folder(self.job.run), self.settings.max_pixels)

    def _cached_features(self, table: ImageTable, update: Update, *, facts: bool) -> Features:
        backbone, transform = self.backbone, self.backbone.transform
        folder = cache_folder(self.job.run)
        key: dict[str, object] = {
            **backbone.kind.cache_key(),
            "weights": backbone.weights.sha256,
            "size": transform.size,
            "mean": transform.mean,
            "std": transform.std,
            "dtype": self.settings.dtype,
            **({"mirror": True} if self.settings.mirror else {}),
        }
        extractor = backbone.extractor(self.settings.dtype, mirror=self.settings.mirror)
        if self.job.client is not None:
            from auditor.data.features_on_dask import CacheAt, extract_on

            return extract_on(
                self.job.client,
                table,
                transform,
                extractor,
                cache=CacheAt(folder.absolute(), key, backbone.kind.n_layered, facts and not self.study),
                drop_grey=self.study,
                progress=update,
            )
        return features.extract(
            table,
            transform,
            extractor,
            ReadOptions(self.keeps_pixels, self.study, backbone.device, facts=self._taker() if facts else None),
            cache=feature_cache.FeatureCache(folder, key, backbone.kind.n_layered),
            progress=update,
        )


def _learnable(table: ImageTable, read: Features) -> blank.Learnable:
    return blank.learnable(read.traits, table.frame["label"].iloc[read.rows].tolist(), table.name)


def _batches(pixels: Pixels) -> Iterator[torch.Tensor]:
    for start in range(0, len(pixels.values), BATCH):
        yield pixels.batch(np.arange(start, min(start + BATCH, len(pixels.values))))
