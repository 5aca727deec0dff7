"""What `audit.json` holds, key by key. Writers and readers share these types, so mypy sees a misspelt key.

`docs/schema.md` says the same in words. `audit.schema.json` beside this file is made from these types by
`python tests/schemas.py`, and `evidence.schema.json` from those in `evidence.py`. A test holds all of them together.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from auditor.result.figures import CalibrationDocument, RecoveryDocument
from auditor.system.machine import Description

SCHEMA_VERSION: Literal[1] = 1
"""The version of this form. A reader refuses every other one."""


class SettingsDocument(TypedDict):
    """Every field of `AuditSettings`, by its name."""

    classes: list[str]
    kind: str
    label: str
    features: str
    probabilities: str
    noise_rate: float
    noise: str
    backbone: str
    weights: str
    train: str
    engine: str
    damping: str
    reference: str
    ledger: str
    repeats: int
    seed: int
    image_size: str
    mirror: bool
    dtype: str
    epochs: int
    learning_rate: float
    batch_size: int
    rank_by: NotRequired[Literal["suspicion", "influence"]]
    preset: str
    max_pixels: int
    max_unreadable: float
    allow_outside: bool
    root: str
    columns: str
    group_columns: list[str]
    examples: int
    thumbnails: int
    exact: int


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
    """Copies under different labels (`conflicting`), and copies on both sides of a split (`leaking`)."""

    conflicting: list[CopyGroup]
    leaking: list[CopyGroup]
    n_conflicting: int
    n_leaking: int


class DatasetDocument(TypedDict):
    """The audited data set. `source` is what the user wrote; `root` is the folder where its paths begin.

    `kind` says what an item is: `image`, `text`, `table` (a row of one) or `features` (known by its features alone).
    `groups` is the sha256 of which items belong together; empty where the source does not say. `beside` is the sha256
    of the columns that have no role; empty where there are none.
    """

    name: str
    kind: str
    source: str
    root: str
    content_hash: str
    groups: str
    beside: str
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
    """The loss after each epoch. Where the model has no epochs: at the start of its training, and at the end."""

    train: list[float]
    val: list[float]


class QualityDocument(TypedDict):
    """How well a run classifies the test split. `confusion` counts images, given class by predicted class."""

    n: int
    accuracy: float
    f1_weighted: float
    confusion: list[list[int]]


class FitDocument(TypedDict):
    """One training."""

    loss: LossDocument
    test: QualityDocument


class ModelDocument(TypedDict):
    """The network and its two runs: on the given labels (`clean`), and on labels with planted noise (`corrupted`).

    `epochs` is 0 where the head was trained to the minimum of its loss.
    """

    architecture: str
    weights: str
    weights_sha256: str | None
    image_size: int | None
    normalisation: Normalisation | None
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
    """An audited image that the reference set holds under another label."""

    path: str
    label: str
    suggested_label: str


class SettledDocument(TypedDict):
    """Audited images that the reference set holds too. It says their label, so they are settled."""

    n: int
    wrong: list[SettledWrong]


class ReferenceDocument(TypedDict):
    """The reference set: the images on which influence is measured."""

    kind: Literal["test split", "trusted"]
    source: str | None
    n: int
    content_hash: str | None
    suspects: list[ReferenceSuspect]
    settled: SettledDocument


# What people found


class LedgerUse(TypedDict):
    """The ledger that an audit used, and what it settles there.

    `looks` counts what people looked at. The other numbers count items: labels that are settled as right or as wrong,
    items that a changed label has reopened, items that nobody could decide, and looks at items that are gone.
    """

    source: str
    sha256: str
    looks: int
    settled_right: int
    settled_wrong: int
    reopened: int
    undecided: int
    gone: int


class SolveDocument(TypedDict):
    """One linear system, and how well it was solved."""

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


class SignalDocument(TypedDict):
    """One of the signals that make up suspicion."""

    name: str
    weight: float
    meaning: str


class DampingTrialDocument(TypedDict):
    """One damping that was tried, and how well influence found planted labels with it."""

    damping: float
    score: float


# What else is wrong


class OddityColumn(TypedDict):
    """A column of `ranking.csv` behind the others, and what it says."""

    name: str
    holds: Literal["numbers", "words"]
    meaning: str


class OddItem(TypedDict):
    """An item that an oddity names, and what is odd about it."""

    path: str
    label: str
    said: str


class OddityDocument(TypedDict):
    """What one kind of oddity found. `value` is the figure that its rule of the gate reads.

    `heads` and `rows` are a table. `items` are named one by one, the oddest first. `column` is null where the kind
    does not speak of single items.
    """

    name: str
    title: str
    about: str
    outcome: Literal["told", "cannot tell", "left out"]
    summary: str
    value: float | None
    interval: list[float] | None
    heads: list[str]
    rows: list[list[str | float | None]]
    items: list[OddItem]
    notes: list[str]
    column: OddityColumn | None


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
    ledger: LedgerUse | None
    influence: InfluenceDocument
    recovery: RecoveryDocument
    calibration: CalibrationDocument | None
    signals: list[SignalDocument]
    damping_choice: list[DampingTrialDocument] | None
    oddities: list[OddityDocument]
    stages: dict[str, float]
    versions: dict[str, str]
    machine: Description
    notes: list[str]
