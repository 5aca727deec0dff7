"""What the stages of an audit hand on: the pieces a result is put together from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from auditor.arrays import Array
from auditor.dataset import Dataset, Trusted
from auditor.detection import Detection
from auditor.experiment import Learner, Run
from auditor.features import Pixels, Transform
from auditor.noise import Planting
from auditor.weights import Weights


@dataclass(frozen=True)
class Backbone:
    """The network an audit starts from and how images reach it."""

    weights: Weights
    network: nn.Module
    transform: Transform
    device: str


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


@dataclass(frozen=True)
class Trial:
    """One planting, the run trained on it, and the suspicion float64 [N] of its training points."""

    planting: Planting
    run: Run
    suspicion: Array


@dataclass(frozen=True)
class Made:
    """Everything an audit made, before it becomes a result.

    Attributes
    ----------
    clean
        The run on the given labels.
    trials
        The controlled experiment's plantings.
    detection
        None for the reference study's preset.
    """

    data: Dataset
    trusted: Reference | None
    backbone: Backbone
    learner: Learner
    clean: Run
    trials: list[Trial]
    detection: Detection | None
