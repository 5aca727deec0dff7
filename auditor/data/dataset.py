"""The data set as an audit sees it: readable images with classes, splits, features, duplicates and a content hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd

from auditor.data import split
from auditor.data.features import Features, Pixels
from auditor.data.images import GREY_DROPPED, SHOWS_NOTHING
from auditor.data.looked import Looked
from auditor.data.reference import Trusted
from auditor.data.settled import Settled
from auditor.errors import SourceError
from auditor.result.documents import CopyEntry, CopyGroup, DatasetDocument, DuplicatesDocument, SettledDocument
from auditor.sources import base
from auditor.sources.base import ImageTable, Skipped, content_hash
from auditor.sources.beside import beside_digest
from auditor.sources.groups import groups_digest
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Dataset:
    """N labelled images, ready for training. Every array is in the order of `paths`.

    Attributes
    ----------
    name, source
        Its name in a report, and what the user wrote as SOURCE.
    table
        What the source gave. Its `read` gives the bytes of an image.
    paths, hashes
        N relative paths, sorted, and N sha256 hex digests.
    classes
        C class names, sorted.
    labels
        int64 [N], the given labels as indices of `classes`.
    splits
        [N] strings: `train`, `val`, `test` or `reference` (`sources.base.SETTLED`).
    given_splits
        [N] strings, the splits as the source gives them. Empty if it gives none.
    split_origin
        Where the splits come from; see `split.assign`.
    trusted_labels
        int64 [N], the class that a trusted reference gives to the same image. -1 if it does not hold the image.
    features
        float32 [N, D] of the backbone, before any training on these labels. The features of the head come last.
    pixels
        The decoded images, if the network trains more than a head.
    skipped
        Entries that take no part.
    n_cached
        Images with features in the cache. No pixel of them was read.
    looked
        What people found about these images; None without a ledger.
    notes
        What was done with the user's layout, names and images, a sentence each.
    probabilities
        float32 [N, C], those of the user's own model; None where none are given.
    groups
        N names of what belongs together, an empty one says nothing; None where the source names no groups.
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
    looked: Looked | None = None
    notes: tuple[str, ...] = ()
    probabilities: Array | None = None
    groups: tuple[str, ...] | None = None

    def rows(self, name: str) -> Array:
        """The rows of a split's images, int64."""
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
        """A copy in which images also found in the reference are settled.

        The label that the reference gives to a settled image counts as certain. The image neither trains nor tests.
        Nothing is planted on it and nothing is estimated about it. Otherwise every measure on the trusted copies would
        be too good: a model that has seen an image under its given label is surer of the copy than of any other image.
        Clean labels in ten classes were estimated as 11 to 18% wrong (benchmarks/results/overlap.csv).

        Parameters
        ----------
        trusted
            The labels of the reference.

        Raises
        ------
        SourceError
            Too few images of a class are left for an audit.
        """
        labels = trusted.of(self.hashes, self.features)
        rest = np.flatnonzero(labels < 0)
        if len(rest) == len(labels):
            return self
        self._check_left(labels, rest)
        splits = np.full(len(labels), base.SETTLED, dtype=object)
        groups = None if self.groups is None else [self.groups[row] for row in rest]
        splits[rest], origin = split.assign(
            self.labels[rest], self.given_splits[rest], list(self.classes), seed, groups
        )
        return replace(self, splits=splits.astype(str), split_origin=origin, trusted_labels=labels)

    def looked_at(self, looked: Looked) -> Dataset:
        """A copy with what people found. Settled images keep their split: they teach."""
        return replace(self, looked=looked)

    def taught(self) -> Dataset:
        """A copy to learn from: a label that people found wrong is replaced by the right one, where that is known."""
        return self if self.looked is None else replace(self, labels=self.looked.taught(self.labels))

    def settled(self) -> SettledDocument:
        """The `reference.settled` part of `audit.json`: how many images are settled, and those with a wrong label."""
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
        """The rows of the images for which `trusted`, int64 [N], has another class than the given label."""
        return np.flatnonzero(Settled.of(self.labels, trusted).wrong)

    def _check_left(self, trusted: Array, rest: Array) -> None:
        left = np.bincount(self.labels[rest], minlength=self.n_classes)
        if left.min() >= split.SMALLEST_CLASS:
            return
        wrong = self._contradicted(trusted)
        first = f" (the first is {self.paths[wrong[0]]})" if len(wrong) else ""
        raise SourceError(
            f"the reference holds {len(trusted) - len(rest)} of the {len(trusted)} images of {self.name} themselves, "
            f"{len(wrong)} of them under another label{first}; only {left.min()} images of class "
            f"'{self.classes[int(left.argmin())]}' are left to audit",
            hint="images in the reference are settled, not audited: give a reference with fewer of these images",
        )

    def summary(self) -> DatasetDocument:
        """The `dataset` part of `audit.json`."""
        counts = np.bincount(self.labels, minlength=self.n_classes)
        parts = ("train", "val", "test", *([base.SETTLED] if (self.splits == base.SETTLED).any() else []))
        return {
            "name": self.name,
            "kind": self.table.kind,
            "source": self.source,
            "root": self.table.root,
            "content_hash": self.content_hash,
            "groups": groups_digest(self.paths, self.groups),
            "beside": beside_digest(self.table, self.paths),
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
        """Exact copies with different labels, and exact copies in both the training split and another one."""
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
    """The data set of the images that could be read, with class indices and splits.

    Parameters
    ----------
    values
        float32 [n, D], the features of the n images that were read.
    max_unreadable
        The largest share of unreadable images.
    study
        True for the reference study: it splits the images anew.

    Raises
    ------
    SourceError
        Too many images are unreadable, or the others cannot be split.
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
    groups = None if table.groups is None else tuple(table.groups[row] for row in read.rows)
    splits, origin = split.assign(labels, given, classes, seed, groups)
    return Dataset(
        name=table.name,
        source=table.source or table.root,
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
        notes=table.notes,
        groups=groups,
    )


def _check_unreadable(table: ImageTable, read: Features, limit: float, study: bool) -> None:
    """Refuse a data set with too many unreadable images. What the study drops or shows nothing does not count."""
    readable = (SHOWS_NOTHING, GREY_DROPPED) if study else (SHOWS_NOTHING,)
    unreadable = [s for s in read.skipped if s.reason not in readable]
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
