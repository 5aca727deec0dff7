"""What `audit.json` and `evidence.json` hold, key by key; writers and readers share these types.

`docs/schema.md` says the same in words. `audit.schema.json` and `evidence.schema.json` beside this file are made from
these types (`python tests/schemas.py`); a test holds the three together.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Interval = list[float]
"""The two ends of a 95% interval, the lower one first."""

SCHEMA_VERSION: Literal[1] = 1
"""The form of `audit.json`. A reader refuses another one."""


class Estimate(TypedDict):
    """A figure with its interval."""

    value: float
    interval: Interval


class Figure(TypedDict):
    """A measured figure with its interval; both are null where nothing could be measured."""

    value: float | None
    interval: Interval | None


class SettingsDocument(TypedDict):
    """Every field of `AuditSettings`, by its name."""

    classes: list[str]
    noise_rate: float
    noise: str
    weights: str
    train: str
    engine: str
    damping: str
    reference: str
    repeats: int
    seed: int
    image_size: str
    dtype: str
    epochs: int
    learning_rate: float
    batch_size: int
    preset: str
    max_pixels: int
    max_unreadable: float
    allow_outside: bool
    examples: int
    thumbnails: int


class RunDocument(TypedDict):
    """How the numbers were computed."""

    device: str
    threads: int
    dtype: str


# The data set


class SkippedEntry(TypedDict):
    """An image that was left out, and why."""

    path: str
    reason: str


class CopyEntry(TypedDict):
    """One of several equal files."""

    path: str
    label: str
    split: str


class CopyGroup(TypedDict):
    """Equal files: `hash` is the sha256 of their bytes."""

    hash: str
    entries: list[CopyEntry]


class DuplicatesDocument(TypedDict):
    """Copies under different labels, and copies on both sides of a split."""

    conflicting: list[CopyGroup]
    leaking: list[CopyGroup]
    n_conflicting: int
    n_leaking: int


class DatasetDocument(TypedDict):
    """The audited data set."""

    name: str
    source: str
    content_hash: str
    n_images: int
    classes: list[str]
    counts: dict[str, int]
    splits: dict[str, int]
    split_origin: str
    skipped: list[SkippedEntry]
    n_skipped: int
    duplicates: DuplicatesDocument
    hashes: dict[str, str]


# The model


class Normalisation(TypedDict):
    """Mean and standard deviation of each colour."""

    mean: list[float]
    std: list[float]


class LossDocument(TypedDict):
    """The loss after each epoch."""

    train: list[float]
    val: list[float]


class QualityDocument(TypedDict):
    """How well a run classifies the test split; `confusion` is given class by predicted class."""

    n: int
    accuracy: float
    f1_weighted: float
    confusion: list[list[int]]


class FitDocument(TypedDict):
    """One training."""

    loss: LossDocument
    test: QualityDocument


class ModelDocument(TypedDict):
    """The network and its two runs: on the given labels, and on labels with planted noise."""

    architecture: str
    weights: str
    weights_sha256: str | None
    image_size: int
    normalisation: Normalisation
    trained: str
    n_features: int
    n_parameters: int
    epochs: int
    clean: FitDocument
    corrupted: FitDocument


# The reference set and influence


class ReferenceSuspect(TypedDict):
    """A trusted label that is probably wrong."""

    path: str
    label: str
    suggested_label: str | None
    suspicion: float | None


class SettledWrong(TypedDict):
    """An audited image that the reference holds under another label."""

    path: str
    label: str
    suggested_label: str


class SettledDocument(TypedDict):
    """Audited images that the reference holds itself."""

    n: int
    wrong: list[SettledWrong]


class ReferenceDocument(TypedDict):
    """What influence is measured on."""

    kind: Literal["test split", "trusted"]
    source: str | None
    n: int
    content_hash: str | None
    suspects: list[ReferenceSuspect]
    settled: SettledDocument


class SolveDocument(TypedDict):
    """One linear system and how well it was solved."""

    run: str
    right_hand_sides: int
    iterations: int | None
    relative_residual: float
    converged: bool


class InfluenceDocument(TypedDict):
    """How influence was computed."""

    engine: str
    damping: float
    mode: Literal["up"]
    parameters: int
    solves: list[SolveDocument]


# The controlled experiment


class FoundDocument(TypedDict):
    """The share of planted labels among the first part of a list."""

    inspected: float
    share: float
    interval: Interval


class CurveDocument(TypedDict):
    """The share found after each part of the list."""

    inspected: list[float]
    found: list[float]
    low: list[float]
    high: list[float]


class RankingDocument(TypedDict):
    """How well one ranking finds planted labels."""

    precision_at_k: Figure
    recall_at_k: Figure
    average_precision: Figure
    auroc: Figure
    found: list[FoundDocument]
    curve: CurveDocument


class RankingsDocument(TypedDict):
    """The rankings that are compared; the study has no suspicion."""

    influence: RankingDocument
    suspicion: RankingDocument | None
    random: RankingDocument


class RecoveryOfClass(TypedDict):
    """Average influence of a class's planted and other labels: the study's table."""

    label: str
    n_planted: int
    n_clean: int
    mean_planted: float | None
    mean_clean: float | None
    difference: float | None


class RecoveryDocument(TypedDict):
    """The controlled experiment."""

    noise: str
    rate: float
    n: int
    n_planted: int
    rankings: RankingsDocument
    by_class: list[RecoveryOfClass]
    repeats: int


# The estimate


class ClassEstimate(TypedDict):
    """How many of a class's labels are probably wrong."""

    label: str
    n: int
    count: float
    share: float
    share_interval: Interval


class PairEstimate(TypedDict):
    """How many labels of one class probably belong to another."""

    label: str
    n: int
    suggested_label: str
    count: float
    interval: Interval


class ReviewRow(TypedDict):
    """What looking at the first `k` of the list should find."""

    k: int
    expected_found: float
    expected_found_interval: Interval
    precision: float
    precision_interval: Interval
    recall: float | None
    recall_interval: list[float | None]


class CalibrationDocument(TypedDict):
    """How many labels are probably wrong; where that cannot be told, `reason` says why."""

    decided: bool
    reason: str
    basis: str
    assumption: str
    share: Estimate | None
    count: Estimate | None
    by_class: list[ClassEstimate]
    by_pair: list[PairEstimate]
    review: list[ReviewRow]


class SignalDocument(TypedDict):
    """One of the signals that suspicion is made of."""

    name: str
    weight: float
    meaning: str


class DampingTrialDocument(TypedDict):
    """How well influence found planted labels with one damping."""

    damping: float
    score: float


class MachineDocument(TypedDict):
    """Where the audit ran."""

    system: str
    processor: str
    cores: int


class AuditDocument(TypedDict):
    """The whole of `audit.json`."""

    schema_version: int
    audit_id: str
    auditor_version: str
    command: str
    settings: SettingsDocument
    run: RunDocument
    dataset: DatasetDocument
    model: ModelDocument
    reference: ReferenceDocument
    influence: InfluenceDocument
    recovery: RecoveryDocument
    calibration: CalibrationDocument | None
    signals: list[SignalDocument]
    damping_choice: list[DampingTrialDocument] | None
    stages: dict[str, float]
    versions: dict[str, str]
    machine: MachineDocument
    notes: list[str]


# What the report shows beside the figures


class HistogramDocument(TypedDict):
    """Counts by label on common edges."""

    edges: list[float]
    counts: dict[str, list[int]]


class InfluencedImage(TypedDict):
    """A training image and its influence on another image."""

    path: str
    label: str
    influence: float


class ExampleDocument(TypedDict):
    """A test image explained by its row of the influence matrix."""

    kind: Literal["correct", "wrong"]
    path: str
    label: str
    predicted: str
    probability: float
    histogram: HistogramDocument
    most: list[InfluencedImage]
    least: list[InfluencedImage]


class PlantedHistogram(TypedDict):
    """Average influence of planted and of other labels, by label."""

    edges: list[float]
    planted: dict[str, list[int]]
    clean: dict[str, list[int]]


class HistogramsDocument(TypedDict):
    """Average influence in the two runs."""

    clean: HistogramDocument
    corrupted: PlantedHistogram


class ExtremeImage(TypedDict):
    """A training image and its average influence."""

    path: str
    average_influence: float


class ExtremesOfClass(TypedDict):
    """A class's training images at both ends of average influence."""

    label: str
    highest: list[ExtremeImage]
    lowest: list[ExtremeImage]


class LowestImage(TypedDict):
    """An image of the corrupted run with low average influence, and what it really is."""

    path: str
    label: str
    trained_label: str
    planted: bool
    average_influence: float
    influence_rank: int


class NeighbourImage(TypedDict):
    """An image that looks like a suspect."""

    path: str
    label: str
    similarity: float


class WhyDocument(TypedDict):
    """What speaks against a suspect's label, and what it looks like."""

    against: list[InfluencedImage]
    neighbours: list[NeighbourImage]


class EvidenceDocument(TypedDict):
    """The whole of `evidence.json`: pictures and examples; no verdict depends on it."""

    thumbnails: dict[str, str]
    examples: list[ExampleDocument]
    histograms: HistogramsDocument
    extremes: list[ExtremesOfClass]
    lowest_planted_run: list[LowestImage]
    why: dict[str, WhyDocument]
    near_duplicates: list[list[str]]
    suggested_probability: dict[str, float]


def no_evidence() -> EvidenceDocument:
    """Evidence that shows nothing: what an audit of an earlier version lacks is taken from here."""
    return {
        "thumbnails": {},
        "examples": [],
        "histograms": {
            "clean": {"edges": [], "counts": {}},
            "corrupted": {"edges": [], "planted": {}, "clean": {}},
        },
        "extremes": [],
        "lowest_planted_run": [],
        "why": {},
        "near_duplicates": [],
        "suggested_probability": {},
    }
