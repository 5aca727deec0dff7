"""From a source to arrays: the table, the backbone that reads it, its features, and the trusted reference."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor import influence
from auditor.compute import hardware
from auditor.config import AuditSettings, RunSettings
from auditor.data import dataset, feature_cache, features, images, split
from auditor.data.dataset import Dataset
from auditor.data.feature_cache import cache_folder
from auditor.data.features import Features, Pixels
from auditor.data.reference import Reference, of_one_label, reference_notes, reference_rows
from auditor.detection import DetectionSettings
from auditor.detection.cost import memory_bytes, processor_seconds
from auditor.errors import ConfigError, SourceError, WeightsError
from auditor.model import resnet, training
from auditor.model.backbone import Backbone, Transform, image_size_for, normalisation
from auditor.model.weights import load_weights
from auditor.pipeline.checks import LONG, LONGEST, MANY_CLASSES, duration_text
from auditor.sources import open_source
from auditor.sources.base import ImageTable, Skipped, content_hash
from auditor.system.arrays import Array

Update = Callable[[int, int], None]


def open_table(source: str | Path | ImageTable, settings: AuditSettings) -> ImageTable:
    """The data set's table, reduced to the wanted classes."""
    table = source
    if not isinstance(table, ImageTable):
        table = open_source(str(source), allow_outside=settings.allow_outside, classes=settings.classes)
    frame = split.check_classes(table.frame, settings.classes, table.name)
    return ImageTable(table.name, table.root, frame, table.read, table.skipped, table.locate)


def open_reader(
    table: ImageTable, settings: AuditSettings, run: RunSettings, *, download: bool, client: Any = None
) -> Reader:
    """The backbone for a table's images, on the chosen device."""
    device = hardware.device(run.device)
    weights = load_weights(settings.weights, download=download)
    size = image_size_for(settings.image_size, features.peek_edges(table, settings.max_pixels), weights)
    mean, std = normalisation(settings.preset, weights)
    network = resnet.build_network(weights, table.frame["label"].nunique(), size, settings.seed)
    transform = Transform(size, mean, std, settings.max_pixels)
    return Reader(settings, run, Backbone(weights, network, transform, device), client)


@dataclass(frozen=True)
class Reader:
    """Reads tables through one backbone.

    Attributes
    ----------
    client
        Of a Dask cluster that shares the work, or None.
    """

    settings: AuditSettings
    run: RunSettings
    backbone: Backbone
    client: Any = None

    @property
    def study(self) -> bool:
        """The reference study drops grey-scale images and splits anew."""
        return self.settings.preset == "study"

    def check(self, table: ImageTable) -> None:
        """Raise now what would otherwise come up after an hour of reading: unknown layers, a missing reference, memory
        that is too small for the pixels or the chosen engine.
        """
        network = copy.deepcopy(self.backbone.network)
        training.trainable(network, self.settings.train)
        if self.settings.reference:
            _ = self._reference_table
        self._check_pixels(len(table.frame))
        n_images, n_classes = len(table.frame), table.frame["label"].nunique()
        self._check_time(n_images, n_classes)
        self._check_probabilities(n_images, n_classes)
        self._check_engine(network, n_images, n_classes)
        self._check_tables(n_images, n_classes)

    @cached_property
    def _reference_table(self) -> ImageTable:
        """The trusted images, listed once."""
        return open_source(self.settings.reference, allow_outside=self.settings.allow_outside)

    def _check_pixels(self, n_images: int) -> None:
        edge = self.backbone.transform.size
        if self.backbone.weights.pretrained and self.settings.trains_head_only:
            return
        influence.require(  # twice: they are collected one by one and then laid side by side
            2 * 3 * edge**2 * n_images,
            f"keeping the pixels of {n_images} images of {edge} x {edge}",
            "cpu",
            "choose a smaller --image-size or fewer --classes; pretrained weights with --train head keep no pixels",
        )

    def long(self, table: ImageTable) -> str:
        """That many classes will take long, as a sentence; empty where they will not."""
        n_images, n_classes = len(table.frame), table.frame["label"].nunique()
        seconds = self._detection_seconds(n_images, n_classes)
        if seconds < LONG:
            return ""
        return (
            f"  {n_classes:,} classes: the search for wrong labels takes about {duration_text(seconds)} "
            "of processor time; with fewer --classes, some at a time, it is a part of that"
        )

    def _detection_seconds(self, n_images: int, n_classes: int) -> float:
        """Known for many classes alone, and 0 otherwise."""
        if self.study or n_classes <= MANY_CLASSES:
            return 0.0
        return processor_seconds(n_images, n_classes, resnet.N_LAYERED)

    def _check_time(self, n_images: int, n_classes: int) -> None:
        seconds = self._detection_seconds(n_images, n_classes)
        if seconds > LONGEST:
            raise ConfigError(
                f"the search for wrong labels among {n_images:,} images in {n_classes:,} classes would take about "
                f"{duration_text(seconds)} of processor time, which grows with the square of the number of classes",
                hint="choose fewer --classes and audit some at a time",
            )

    def _check_tables(self, n_images: int, n_classes: int) -> None:
        if not self.study:
            influence.require(
                memory_bytes(n_images, n_classes, resnet.N_LAYERED, DetectionSettings().landmarks),
                f"detection on {n_images} images in {n_classes} classes",
                "cpu",
                "choose fewer --classes, or audit the images a part at a time",
            )

    def _check_probabilities(self, n_images: int, n_classes: int) -> None:
        runs = 1 + self.settings.repeats  # each keeps every image's probability of every class
        influence.require(
            8 * runs * n_images * n_classes,
            f"the probabilities of {n_images} images in {n_classes} classes",
            "cpu",
            "choose fewer --classes or fewer --repeats",
        )

    def _check_engine(self, network: torch.nn.Module, n_images: int, n_classes: int) -> None:
        settings = self.settings
        if settings.trains_head_only:
            columns = (resnet.N_LAYERED if settings.conditions_head else resnet.N_FEATURES) + 1
            size, rank, width = n_classes * columns, (n_classes - 1) * columns, 8
        else:
            size = sum(p.numel() for p in network.parameters() if p.requires_grad)
            rank, width = min(size, n_images * (n_classes - 1)), 4
        influence.require_engine(settings.engine, size, rank, self.backbone.device, width=width)

    def dataset(self, table: ImageTable, update: Update) -> Dataset:
        """The data set's images, with features and splits."""
        read, values = self._features(table, update, settle=True)
        settings = self.settings
        return dataset.build(
            table, read, values, seed=settings.seed, max_unreadable=settings.max_unreadable, study=self.study
        )

    def reference(self, data: Dataset, update: Update) -> Reference:
        """The trusted images that the settings name, but for those that stand there under several labels.

        Raises
        ------
        SourceError
            When it shares no class with the data set, cannot be read, or contradicts itself everywhere.
        """
        table = self._reference_table
        frame, others = reference_rows(table, data.classes)
        table = ImageTable(table.name, table.root, frame, table.read, table.skipped, table.locate)
        read, values = self._features(table, update, settle=False)
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
        read, values, labels = _subset(read, single), values[single], labels[single]
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

    def _features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """What the backbone gives for every image that it gives anything for."""
        return self._finite(table, *self._passed(table, update, settle=settle))

    def _passed(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """Features of the backbone as it starts: no label has touched it, so none can leak through it.

        A fresh backbone is settled on the data set alone, so that a reference passes through the very same one.
        """
        if self.backbone.weights.pretrained:
            read = self._cached_features(table, update)
            return read, _values(read)
        transform, device, network = self.backbone.transform, self.backbone.device, self.backbone.network
        read = features.extract(table, transform, None, keep_pixels=True, drop_grey=self.study, progress=update)
        if read.pixels is None:
            return read, _values(read)
        if settle:
            training.settle_batchnorm(network, _batches(read.pixels))
        extractor = self._extractor(network)
        return read, features.forward(extractor, transform, read.pixels.values, device)

    def _finite(self, table: ImageTable, read: Features, values: Array) -> tuple[Features, Array]:
        """Without the images that the backbone answers with NaN or infinity; they are skipped with that reason.

        Raises
        ------
        WeightsError
            When they are more than may be left out: then the weights are at fault, not the images.
        """
        good = np.isfinite(values).all(axis=1)
        if good.all():
            return read, values
        bad = [table.frame["path"].iloc[row] for row in read.rows[~good]]
        if len(bad) > self.settings.max_unreadable * len(good):
            raise WeightsError(
                f"the backbone ({self.backbone.weights.name}) gives NaN or infinite features for {len(bad)} of "
                f"{len(good)} images of {table.name}; the first is {bad[0]}",
                hint="give weights that were trained on images normalised like these, or --weights none",
            )
        skipped = (*read.skipped, *(Skipped(path, images.NOT_FINITE) for path in bad))
        return replace(_subset(read, good), skipped=skipped), values[good]

    def _extractor(self, network: nn.Module) -> nn.Module:
        return resnet.in_precision(resnet.layered_extractor(network).to(self.backbone.device), self.settings.dtype)

    def _cached_features(self, table: ImageTable, update: Update) -> Features:
        backbone, transform = self.backbone, self.backbone.transform
        folder = cache_folder(self.run)
        key: dict[str, object] = {
            "layers": "2,3,4",
            "weights": backbone.weights.sha256,
            "size": transform.size,
            "mean": transform.mean,
            "std": transform.std,
            "dtype": self.settings.dtype,
        }
        extractor = self._extractor(backbone.network)
        if self.client is not None:
            from auditor.data.features_on_dask import CacheAt, extract_on

            return extract_on(
                self.client,
                table,
                transform,
                extractor,
                cache=CacheAt(folder.absolute(), key, resnet.N_LAYERED),
                drop_grey=self.study,
                progress=update,
            )
        return features.extract(
            table,
            transform,
            extractor,
            cache=feature_cache.FeatureCache(folder, key, resnet.N_LAYERED),
            keep_pixels=not self.settings.trains_head_only,
            drop_grey=self.study,
            device=backbone.device,
            progress=update,
        )


def _values(read: Features) -> Array:
    return read.values if read.values is not None else np.empty((0, resnet.N_LAYERED), np.float32)


def _batches(pixels: Pixels) -> Iterator[torch.Tensor]:
    for start in range(0, len(pixels.values), features.BATCH):
        yield pixels.batch(np.arange(start, min(start + features.BATCH, len(pixels.values))))


def _subset(read: Features, keep: Array) -> Features:
    """The images where bool [N] `keep`; `skipped` stays as it is."""
    if keep.all():
        return read
    rows = np.flatnonzero(keep)
    return replace(
        read,
        rows=read.rows[rows],
        values=None if read.values is None else read.values[rows],
        hashes=tuple(read.hashes[i] for i in rows),
        grey=read.grey[rows],
        pixels=None if read.pixels is None else Pixels(read.pixels.values[rows], read.pixels.transform),
    )
