"""The trusted reference: images with labels that are known to be right, given by the user with `--reference`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from auditor.data.features import Features, Pixels
from auditor.errors import SourceError
from auditor.sources.base import ImageTable
from auditor.sources.spelling import resolved
from auditor.system.arrays import Array

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Trusted:
    """The labels of a reference, to be looked up for images that a data set shares with it.

    Attributes
    ----------
    by_file
        sha256 of an image file -> its class.
    by_features
        The bytes of a row of features -> its class. It finds equal pixels in a file of another kind. A row that the
        reference has under several classes is left out: features that tell nothing apart look like this.
    """

    by_file: Mapping[str, int]
    by_features: Mapping[bytes, int]

    @classmethod
    def labels(cls, hashes: Sequence[str], features: Array, labels: Array) -> Trusted:
        """From n sha256 hex digests, float32 [n, D] features and int64 [n] classes of the reference."""
        by_features = _undisputed((row.tobytes() for row in features), labels)
        return cls(dict(zip(hashes, map(int, labels), strict=True)), by_features)

    def of(self, hashes: Sequence[str], features: Array) -> Array:
        """int64 [N], the trusted class of each image of a data set. -1 if the reference does not hold the image."""
        rows = zip(hashes, features, strict=True)
        found = [self.by_file.get(digest, self.by_features.get(row.tobytes(), -1)) for digest, row in rows]
        return np.array(found, np.int64)


@dataclass(frozen=True)
class Reference:
    """The images of a reference that are used.

    Attributes
    ----------
    source
        Where the reference lies, as the user wrote it.
    paths, hashes
        n relative paths, and n sha256 hex digests.
    content_hash
        Over all its readable images of known classes, the ones that are left out included.
    features, labels
        float32 [n, D], and int64 [n] indices of the audited classes.
    pixels
        The decoded images, if they are kept.
    notes
        What was left out, in sentences for the report.
    """

    source: str
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    content_hash: str
    features: Array
    labels: Array
    pixels: Pixels | None
    notes: tuple[str, ...]

    @property
    def trusted(self) -> Trusted:
        """Its labels, to be looked up by image."""
        return Trusted.labels(self.hashes, self.features, self.labels)


def reference_rows(table: ImageTable, classes: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The images of a reference that have a known class, and the number of those that do not.

    Raises
    ------
    SourceError
        No image has a known class.
    """
    frame = table.frame.assign(label=resolved(table.frame["label"].tolist(), classes))
    known = frame["label"].isin(list(classes))
    if not known.any():
        raise SourceError(
            f"the reference {table.name} shares no class with the data set",
            hint=f"its labels must be among {', '.join(list(classes)[:12])}",
        )
    return frame[known].reset_index(drop=True), int((~known).sum())


def of_one_label(hashes: Sequence[str], labels: Array) -> Array:
    """bool [n], true for an image if all its copies (equal sha256) have the same label."""
    undisputed = _undisputed(hashes, labels)
    return np.array([digest in undisputed for digest in hashes], bool)


def _undisputed(keys: Iterable[Key], labels: Array) -> dict[Key, int]:
    """The class of each key that has one class alone. `labels` are int64 [n], one for each key."""
    said: dict[Key, set[int]] = {}
    for key, label in zip(keys, labels, strict=True):
        said.setdefault(key, set()).add(int(label))
    return {key: label for key, found in said.items() if len(found) == 1 for label in found}


def reference_notes(read: Features, others: int, contradicted: int) -> Iterator[str]:
    """What was left out of a reference, in sentences for the report.

    Parameters
    ----------
    others
        How many images have a class that is not audited.
    contradicted
        How many images are copies of each other under different labels.
    """
    if others:
        yield f"{others} reference images belong to classes outside the audit and were left out."
    if read.skipped:
        yield f"{len(read.skipped)} reference images could not be read and were left out."
    if contradicted:
        yield (
            f"{contradicted} reference images are copies of each other under different labels and were left out: none "
            "of these labels can be trusted."
        )
