"""TODO auditor.data.reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.features import Features, Pixels
from auditor.errors import SourceError
from auditor.sources.base import ImageTable
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Trusted:
    """What a reference says of images that it may share with a data set.

    Attributes
    ----------
    by_file
        sha256 of an image file -> its class.
    by_features
        The bytes of a row of features -> its class: of equal pixels in files of another kind. None that the reference
        has under several classes, as features have that tell nothing apart.
    """

    by_file: Mapping[str, int]
    by_features: Mapping[bytes, int]

    @classmethod
    def labels(cls, hashes: Sequence[str], features: Array, labels: Array) -> Trusted:
        """From n sha256 hex digests, float32 [n, D] features and int64 [n] classes of the reference."""
        said: dict[bytes, set[int]] = {}
        for row, label in zip(features, labels, strict=True):
            said.setdefault(row.tobytes(), set()).add(int(label))
        single = {row: label for row, found in said.items() if len(found) == 1 for label in found}
        return cls(dict(zip(hashes, map(int, labels), strict=True)), single)

    def of(self, hashes: Sequence[str], features: Array) -> Array:
        """int64 [N], -1 for the images that the reference does not hold."""
        rows = zip(hashes, features, strict=True)
        found = [self.by_file.get(digest, self.by_features.get(row.tobytes(), -1)) for digest, row in rows]
        return np.array(found, np.int64)


def reference_rows(table: ImageTable, classes: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """A trusted reference set's images of known classes, and how many had another class.

    Raises
    ------
    SourceError
        When no class is known.
    """
    known = table.frame["label"].isin(list(classes))
    if not known.any():
        raise SourceError(
            f"the reference {table.name} shares no class with the data set",
            hint=f"its labels must be among {', '.join(list(classes)[:12])}",
        )
    return table.frame[known].reset_index(drop=True), int((~known).sum())


@dataclass(frozen=True)
class Reference:
    """Trusted images, where the user gave some: features float32 [n, D], labels int64 [n], n sha256 hex digests."""

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
        """What it says of the images it holds."""
        return Trusted.labels(self.hashes, self.features, self.labels)


def of_one_label(hashes: tuple[str, ...], labels: Array) -> Array:
    """bool [n], images of which no copy (an equal sha256) has another label."""
    said: dict[str, set[int]] = {}
    for digest, label in zip(hashes, labels, strict=True):
        said.setdefault(digest, set()).add(int(label))
    return np.array([len(said[digest]) == 1 for digest in hashes], bool)


def reference_notes(read: Features, others: int, contradicted: int) -> Iterator[str]:
    if others:
        yield f"{others} reference images belong to classes outside the audit and were left out."
    if read.skipped:
        yield f"{len(read.skipped)} reference images could not be read and were left out."
    if contradicted:
        yield (
            f"{contradicted} reference images are copies of each other under different labels and were left out: none "
            "of these labels can be trusted."
        )
