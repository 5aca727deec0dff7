"""Reads items for which the user gives features, probabilities or both. None of them is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.compute import hardware
from auditor.config import DEFAULT_BACKBONE, AuditSettings
from auditor.data.dataset import Dataset
from auditor.data.features import Features
from auditor.errors import AuditorError, ConfigError, SourceError
from auditor.model.backbone import Encoder
from auditor.pipeline.job import Job
from auditor.pipeline.reader import Reader, content_hashes
from auditor.sources.base import Given, ImageTable
from auditor.system.arrays import Array
from auditor.system.progress import Update
from auditor.system.text import counted

SMALLEST_PROBABILITY = 1e-6
"""Smaller probabilities count as this much. Models round theirs to 0 and 1, whose logarithms are infinite."""

CANNOT_TRAIN = (
    "The {} are the user's own. This audit cannot train again what made them. So planted labels never misled it, as "
    "wrong labels among its training data may have done. Planted labels can be easier to find than real errors."
)

OUT_OF_SAMPLE = (
    "The probabilities are taken to be out of sample: for each item by a model that did not learn from it. A model "
    "that learnt from the items agrees with their wrong labels. Then nothing here would show them."
)

ONLY_PROBABILITIES = (
    "No features were given. So this audit sees what the probabilities tell apart and nothing else: it cannot tell "
    "copies, nor find what another model would. Features beside the probabilities find more."
)


class GivenReader(Reader):
    """Takes the numbers that came with a table.

    Raises
    ------
    ConfigError
        A setting asks for a network, and there is none.
    """

    doing = "Reading what your model said"
    not_finite = "its features or probabilities are NaN or infinite"

    def __init__(self, table: ImageTable, job: Job) -> None:
        super().__init__(job)
        self.device = hardware.device(job.run.device)
        given, classes = _given(table), sorted(table.frame["label"].unique())
        names = [name for name in ("features", "probabilities") if getattr(given, name) is not None]
        _refuse(job.settings, " and ".join(names))
        self._likely = _class_probabilities(given, classes)
        self._values = _side_by_side(given.features, self._likely)
        width = self._values.shape[1]
        self.encoder = Encoder(" and ".join(names), "", given.sha256, width, width)

    def features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """The numbers of all items, and the hash of each item's content: its file where it has one."""
        return Features.undecoded(content_hashes(table, update)), self._values

    def notes(self, table: ImageTable, read: Features, values: Array) -> Sequence[str]:
        """What must be said of the numbers.

        Raises
        ------
        SourceError
            The numbers are the same for all items.
        """
        given = _given(table)
        constant = int((values.min(axis=0) == values.max(axis=0)).sum())
        if constant == values.shape[1]:
            raise SourceError(
                f"the {self.encoder.name} of all {len(values)} items are the same, so nothing can be learnt from them",
                hint="check how they were made and saved",
            )
        notes = [CANNOT_TRAIN.format(self.encoder.name)]
        if constant:
            are = counted(
                constant, "column of features is constant and tells", "columns of features are constant and tell"
            )
            notes.append(f"{are} nothing, of {values.shape[1]} in all.")
        if given.probabilities is not None:
            notes.append(OUT_OF_SAMPLE)
        if given.features is None:
            notes.append(ONLY_PROBABILITIES)
        return notes

    def finished(self, data: Dataset, table: ImageTable, read: Features) -> Dataset:
        """The data set with the probabilities of its classes."""
        return data if self._likely is None else replace(data, probabilities=self._likely[read.rows])

    def too_many_not_finite(self, table: ImageTable, bad: Sequence[str], n: int) -> AuditorError:
        """The numbers are at fault."""
        return SourceError(
            f"the {self.encoder.name} hold NaN or infinite values for {len(bad)} of {n} items of {table.name}; the "
            f"first is {bad[0]}",
            hint="check how they were made, or raise --max-unreadable to leave these items out",
        )


def _side_by_side(features: Array | None, likely: Array | None) -> Array:
    """float32 [N, D] that detection and heads see: the features, then the log odds of each class."""
    parts = [] if features is None else [features]
    if likely is not None:
        logs = np.log(np.maximum(likely, SMALLEST_PROBABILITY))
        parts.append(logs - logs.mean(axis=1, keepdims=True))  # Aitchison's centred log ratio
    return np.asarray(np.concatenate(parts, axis=1, dtype=np.float32)) if len(parts) > 1 else parts[0]


def _class_probabilities(given: Given, classes: Sequence[str]) -> Array | None:
    """float32 [N, C] of sorted classes, each row above 0 and with a sum of 1; None where none are given."""
    if given.probabilities is None:
        return None
    at = {name: column for column, name in enumerate(given.columns)}
    chosen = given.probabilities[:, [at[name] for name in classes]]
    chosen = np.maximum(chosen, SMALLEST_PROBABILITY)  # NaN stays NaN
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True), dtype=np.float32)


def _given(table: ImageTable) -> Given:
    assert table.given is not None
    return table.given


def _refuse(settings: AuditSettings, given: str) -> None:
    """Refuse settings for networks: nothing reads the items where their features are given."""
    asked = {
        "--train": (not settings.trains_head_only, "there is no network to train beyond its head"),
        "--backbone": (settings.backbone != DEFAULT_BACKBONE, "no network reads the items"),
        "--reference": (bool(settings.reference), "the reference would need numbers of the same model"),
    }
    for option, (used, why) in asked.items():
        if used:
            raise ConfigError(f"with {given} given, {why}", hint=f"leave out {option}")
