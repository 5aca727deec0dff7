"""From a source to arrays, in one call: the data set, the backbone that reads it, and the trusted reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from auditor.compute import hardware
from auditor.config import AuditSettings
from auditor.data import blank, dataset, feature_cache, features, images, reopening, split
from auditor.data.dataset import Dataset
from auditor.data.feature_cache import cache_folder
from auditor.data.features import Features, Pixels, ReadOptions
from auditor.data.inputs import Inputs
from auditor.data.reference import Reference, of_one_label, reference_notes, reference_rows
from auditor.errors import SourceError, WeightsError
from auditor.model import backbone_kind, training
from auditor.model.backbone import Backbone, Transform
from auditor.model.weights import load_weights
from auditor.pipeline import checks, looking
from auditor.pipeline.job import Job
from auditor.sources import open_source
from auditor.sources.base import ImageTable, Skipped, content_hash, left_out, outside_hint
from auditor.system.arrays import Array
from auditor.system.progress import Update


def read(source: str | Path | ImageTable, job: Job) -> Inputs:
    """Open the data set, check that the work can be done, and read images and reference through the backbone.

    Raises
    ------
    SourceError, WeightsError, ConfigError, EngineError, DecisionsError
    """
    settings, say = job.settings, job.progress.say
    with job.stage("open", "Opening the data set"):
        table = open_table(source, settings)
        opened = looking.open_ledger("" if isinstance(source, ImageTable) else str(source), settings.ledger)
        reader = open_reader(table, job)
        reference = open_reference(settings) if settings.reference else None
        checks.before_reading(table, reader.backbone, settings)
    say(checks.long_work(table, reader.backbone.kind, settings))
    with job.stage("features", "Reading images") as update:
        reader, data = reader.dataset(table, update)
    say(left_out(data.skipped))
    say("\n".join(f"  note: {note}" for note in data.notes))
    if data.n_cached:
        fresh = len(data.paths) - data.n_cached
        say(f"  {data.n_cached} images were in the cache, {fresh} went through the network")
    trusted = None
    if reference is not None:
        with job.stage("reference", "Reading the reference") as update:
            trusted = reader.reference(reference, data, update)
            data = data.settled_by(trusted.trusted, settings.seed)
        say(_settled(data))
    if opened is not None:
        looked = looking.match(data, opened)
        data = data.looked_at(looked)
        say(f"  {looking.in_words(looked.use)}")
    return Inputs(data, trusted, reader.backbone.encoder, reader.backbone.device, reader.backbone)


def open_table(source: str | Path | ImageTable, settings: AuditSettings) -> ImageTable:
    """The data set's table, reduced to the wanted classes."""
    table = source
    if not isinstance(table, ImageTable):
        table = reopening.open_as(str(source), settings)
    if table.doubt is not None and not settings.classes:
        raise table.doubt
    frame = split.check_classes(table.frame, settings.classes, table.name, outside_hint(table.skipped))
    return replace(table, frame=frame)


def open_reference(settings: AuditSettings) -> ImageTable:
    """The table of the trusted images."""
    return open_source(settings.reference, allow_outside=settings.allow_outside)


def open_reader(table: ImageTable, job: Job) -> Reader:
    """The backbone for a table's images, on the chosen device."""
    settings = job.settings
    device = hardware.device(job.run.device)
    kind = backbone_kind(settings.backbone)
    weights = load_weights(settings.weights, kind, download=job.download)
    size = kind.image_size(settings.image_size, features.peek_edges(table, settings.max_pixels), weights)
    mean, std = kind.normalisation(settings.preset, weights)
    network = kind.build(weights, table.frame["label"].nunique(), size, settings.seed)
    transform = Transform(size, mean, std, settings.max_pixels)
    return Reader(job, Backbone(kind, weights, network, transform, device))


def _settled(data: Dataset) -> str:
    """A line for the terminal about audited images that the reference holds too; empty where there are none."""
    found = data.settled()
    if not found["n"]:
        return ""
    return f"  {found['n']} images are in the reference itself, {len(found['wrong'])} of them under another label"


@dataclass(frozen=True)
class Reader:
    """Reads tables through one backbone."""

    job: Job
    backbone: Backbone

    @property
    def settings(self) -> AuditSettings:
        """What was asked."""
        return self.job.settings

    @property
    def study(self) -> bool:
        """True for the reference study, which drops grey-scale images and splits anew."""
        return self.settings.preset == "study"

    def dataset(self, table: ImageTable, update: Update) -> tuple[Reader, Dataset]:
        """The data set's images, with features and splits, and the reader that read them.

        Images that show nothing are skipped for that reason. Where whole classes are left out, another reader reads the
        rest: its network has fewer classes.
        """
        reader = self
        read, values = reader._features(table, update, settle=True)
        found = _learnable(table, read)
        notes = found.notes
        if found.lost:
            table = blank.without(table, read, found)
            reader = open_reader(table, self.job)
            read, values = reader._features(table, update, settle=True)
            found = _learnable(table, read)
        if not found.keep.all():
            paths = table.frame["path"].iloc[read.rows[~found.keep]]
            skipped = (*read.skipped, *(Skipped(path, images.SHOWS_NOTHING) for path in paths))
            read, values = replace(_subset(read, found.keep), skipped=skipped), values[found.keep]
        table, settings = replace(table, notes=(*table.notes, *notes)), self.settings
        return reader, dataset.build(
            table, read, values, seed=settings.seed, max_unreadable=settings.max_unreadable, study=self.study
        )

    def reference(self, table: ImageTable, data: Dataset, update: Update) -> Reference:
        """The trusted images. Copies that stand there under several labels are left out.

        Raises
        ------
        SourceError
            When the reference shares no class with the data set, cannot be read, or contradicts itself everywhere.
        """
        frame, others = reference_rows(table, data.classes)
        table = replace(table, frame=frame)
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
        """Features of every image for which the backbone gives any."""
        return self._finite(table, *self._passed(table, update, settle=settle))

    def _passed(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """Features of the backbone as it starts. No label has touched it, so no label can leak through it.

        A fresh backbone is settled on the data set alone. A reference then passes through the very same backbone.
        """
        if self.backbone.weights.pretrained:
            read = self._cached_features(table, update)
            return read, self._values(read)
        transform, device = self.backbone.transform, self.backbone.device
        read = features.extract(table, transform, None, ReadOptions(True, self.study), progress=update)
        if read.pixels is None:
            return read, self._values(read)
        if settle:
            training.settle_batchnorm(self.backbone.network, _batches(read.pixels))
        extractor = self.backbone.extractor(self.settings.dtype)
        return read, features.forward(extractor, transform, read.pixels.values, device)

    def _finite(self, table: ImageTable, read: Features, values: Array) -> tuple[Features, Array]:
        """The images without those that the backbone answers with NaN or infinity. These are skipped for that reason.

        Raises
        ------
        WeightsError
            When too many images would be skipped. Then the weights are at fault, not the images.
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

    def _values(self, read: Features) -> Array:
        return read.values if read.values is not None else np.empty((0, self.backbone.kind.n_layered), np.float32)

    def _cached_features(self, table: ImageTable, update: Update) -> Features:
        backbone, transform = self.backbone, self.backbone.transform
        folder = cache_folder(self.job.run)
        key: dict[str, object] = {
            **backbone.kind.cache_key(),
            "weights": backbone.weights.sha256,
            "size": transform.size,
            "mean": transform.mean,
            "std": transform.std,
            "dtype": self.settings.dtype,
        }
        extractor = backbone.extractor(self.settings.dtype)
        if self.job.client is not None:
            from auditor.data.features_on_dask import CacheAt, extract_on

            return extract_on(
                self.job.client,
                table,
                transform,
                extractor,
                cache=CacheAt(folder.absolute(), key, backbone.kind.n_layered),
                drop_grey=self.study,
                progress=update,
            )
        return features.extract(
            table,
            transform,
            extractor,
            ReadOptions(not self.settings.trains_head_only, self.study, backbone.device),
            cache=feature_cache.FeatureCache(folder, key, backbone.kind.n_layered),
            progress=update,
        )


def _learnable(table: ImageTable, read: Features) -> blank.Learnable:
    return blank.learnable(read.traits, table.frame["label"].iloc[read.rows].tolist(), table.name)


def _batches(pixels: Pixels) -> Iterator[torch.Tensor]:
    for start in range(0, len(pixels.values), features.BATCH):
        yield pixels.batch(np.arange(start, min(start + features.BATCH, len(pixels.values))))


def _subset(read: Features, keep: Array) -> Features:
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
