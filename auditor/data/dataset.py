"""The data set as an audit sees it: readable images, classes, splits, features, duplicates and a content hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd

from auditor.data import split
from auditor.data.features import Features, Pixels
from auditor.data.reference import Trusted
from auditor.errors import SourceError
from auditor.result.documents import CopyEntry, CopyGroup, DatasetDocument, DuplicatesDocument, SettledDocument
from auditor.sources import base
from auditor.sources.base import ImageTable, Skipped, content_hash
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Dataset:
    """Labelled images ready for training; every array is in the order of `paths`, which is sorted.

    Attributes
    ----------
    name, source
        What a report calls it, and where it lies as the user wrote it.
    paths, hashes
        N relative paths and N sha256 hex digests.
    classes
        C class names, sorted; `labels` int64 [N] indexes them.
    splits
        [N] strings, `train`, `val`, `test` or `reference` (`split.SETTLED`).
    given_splits
        [N] strings, as the source has them; empty where it has none.
    trusted_labels
        int64 [N], what a trusted reference says of the very same image; -1 where it does not hold it.
    features
        float32 [N, D] of the backbone as it was before any training on these labels; the head's own come last.
    pixels
        Decoded images where the network trains more than a head.
    n_cached
        Images whose features were known, so that no pixel of them was read.
    """

    name: str
    source: str
    table: ImageTable
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Array
    splits: Array
    given_splits: Array
    split_origin: str
    trusted_labels: Array
    features: Array
    pixels: Pixels | None
    skipped: tuple[Skipped, ...]
    n_cached: int = 0

    def rows(self, name: str) -> Array:
        """int64, the images of a split."""
        return np.flatnonzero(self.splits == name)

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return len(self.classes)

    @property
    def content_hash(self) -> str:
        """sha256 over path, image hash and label of every image."""
        return content_hash(self.paths, self.hashes, [self.classes[label] for label in self.labels])

    def settled_by(self, trusted: Trusted, seed: int) -> Dataset:
        """The same beside a reference that holds some of these very images.

        What the reference says of them is settled: they neither train nor test, and nothing is planted on them or
        estimated of them. A model that has seen an image under its given label is surer of the trusted copy than of
        any other image, so that every measure taken from the copies would be too good: clean labels in ten classes
        were estimated as 11 to 18% wrong (benchmarks/RESULTS.md).

        Parameters
        ----------
        trusted
            What the reference says.

        Raises
        ------
        SourceError
            When too few images of a class are left to be audited.
        """
        labels = trusted.of(self.hashes, self.features)
        rest = np.flatnonzero(labels < 0)
        if len(rest) == len(labels):
            return self
        self._check_left(labels, rest)
        splits = np.full(len(labels), base.SETTLED, dtype=object)
        splits[rest], origin = split.assign(self.labels[rest], self.given_splits[rest], list(self.classes), seed)
        return replace(self, splits=splits.astype(str), split_origin=origin, trusted_labels=labels)

    def settled(self) -> SettledDocument:
        """The `reference.settled` part of `audit.json`: how many are settled, and those whose given label is wrong."""
        known = self.trusted_labels
        return {
            "n": int((known >= 0).sum()),
            "wrong": [
                {
                    "path": self.paths[row],
                    "label": self.classes[self.labels[row]],
                    "suggested_label": self.classes[known[row]],
                }
                for row in self._contradicted(known)
            ],
        }

    def _contradicted(self, trusted: Array) -> Array:
        """int64, the images of which int64 [N] `trusted` says another class than their given label."""
        return np.flatnonzero((trusted >= 0) & (trusted != self.labels))

    def _check_left(self, trusted: Array, rest: Array) -> None:
        left = np.bincount(self.labels[rest], minlength=self.n_classes)
        if left.min() >= split.SMALLEST_CLASS:
            return
        wrong = self._contradicted(trusted)
        first = f" (the first is {self.paths[wrong[0]]})" if len(wrong) else ""
        raise SourceError(
            f"the reference holds {len(trusted) - len(rest)} of the {len(trusted)} images of {self.name} themselves, "
            f"{len(wrong)} of them under another label{first}; of class '{self.classes[int(left.argmin())]}' that "
            f"leaves {left.min()} to audit",
            hint="what the reference holds it settles: give one of other images, or of fewer of these",
        )

    def summary(self) -> DatasetDocument:
        """The `dataset` part of `audit.json`."""
        counts = np.bincount(self.labels, minlength=self.n_classes)
        parts = ("train", "val", "test", *([base.SETTLED] if (self.splits == base.SETTLED).any() else []))
        return {
            "name": self.name,
            "source": self.source,
            "content_hash": self.content_hash,
            "n_images": len(self.paths),
            "classes": list(self.classes),
            "counts": {name: int(n) for name, n in zip(self.classes, counts, strict=True)},
            "splits": {part: len(self.rows(part)) for part in parts},
            "split_origin": self.split_origin,
            "skipped": [{"path": s.path, "reason": s.reason} for s in self.skipped],
            "n_skipped": len(self.skipped),
            "duplicates": self._duplicates(),
            "hashes": dict(zip(self.paths, self.hashes, strict=True)),
        }

    def _duplicates(self) -> DuplicatesDocument:
        """Exact copies that carry different labels, and copies in both training and another split."""
        frame = pd.DataFrame(
            {
                "hash": self.hashes,
                "path": self.paths,
                "split": self.splits,
                "label": [self.classes[i] for i in self.labels],
            }
        )
        copies = frame[frame.duplicated("hash", keep=False)]
        conflicting: list[CopyGroup] = []
        leaking: list[CopyGroup] = []
        for digest, group in copies.groupby("hash", sort=True):
            entries = cast(list[CopyEntry], group[["path", "label", "split"]].to_dict("records"))
            entry: CopyGroup = {"hash": str(digest), "entries": entries}
            if len(set(group["label"])) > 1:
                conflicting.append(entry)
            if (group["split"] == "train").any() and (group["split"] != "train").any():
                leaking.append(entry)
        return {
            "conflicting": conflicting,
            "leaking": leaking,
            "n_conflicting": len(conflicting),
            "n_leaking": len(leaking),
        }


def build(
    table: ImageTable, read: Features, values: Array, *, seed: int, max_unreadable: float, study: bool
) -> Dataset:
    """What was read of a table, with class indices and splits.

    Parameters
    ----------
    values
        float32 [n, D], the features of the rows that were read.

    Raises
    ------
    SourceError
        When too many images are unreadable, or what is left cannot be split.
    """
    frame = table.frame.iloc[read.rows]
    _check_unreadable(table, read, max_unreadable, study)
    classes = sorted(frame["label"].unique())
    gone = sorted(set(table.frame["label"]) - set(classes))
    if gone:
        raise SourceError(
            f"class '{gone[0]}' of {table.name} has no readable image",
            hint="repair its images, or leave it out with --classes",
        )
    index = {name: i for i, name in enumerate(classes)}
    labels = frame["label"].map(index).to_numpy(np.int64)
    given = np.full(len(frame), "", dtype=object) if study else frame["split"].to_numpy(object)
    splits, origin = split.assign(labels, given, classes, seed)
    return Dataset(
        name=table.name,
        source=table.root,
        table=table,
        paths=tuple(frame["path"]),
        hashes=read.hashes,
        classes=tuple(classes),
        labels=labels,
        splits=splits,
        given_splits=given,
        split_origin=origin,
        trusted_labels=np.full(len(labels), -1, np.int64),
        features=values,
        pixels=read.pixels,
        skipped=(*table.skipped, *read.skipped),
        n_cached=read.n_cached,
    )


def _check_unreadable(table: ImageTable, read: Features, limit: float, study: bool) -> None:
    unreadable = [s for s in read.skipped if not (study and s.reason.startswith("grey-scale"))]
    total = len(table.frame)
    if not len(read.rows):
        first = f"; the first, {read.skipped[0].path}: {read.skipped[0].reason}" if read.skipped else ""
        raise SourceError(
            f"no image of {table.name} can be read{first}", hint="check that SOURCE names a folder or list of images"
        )
    if len(unreadable) > limit * total:
        raise SourceError(
            f"{len(unreadable)} of {total} images of {table.name} cannot be read, more than the {limit:.0%} allowed; "
            f"the first, {unreadable[0].path}: {unreadable[0].reason}",
            hint="repair or remove them, or raise --max-unreadable",
        )
