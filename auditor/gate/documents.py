"""The verdict as JSON: what `verdict.json` and `--output json` hold, key by key. Writers and readers share these types.

`outputs/verdict.schema.json` says the same to other programs. A test holds the two together.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from auditor.result.figures import Interval

KIND: Literal["auditor-verdict"] = "auditor-verdict"

SCHEMA_VERSION: Literal[1] = 1
"""The form of the verdict. A reader refuses another one."""

JudgementWord = Literal["PASS", "WARN", "FAIL", "UNDECIDED"]

Unit = Literal["share", "count", "score"]
"""How a figure is read: a share of 0 to 1 in percent, a whole number, or a score of 0 to 1."""

StaleReason = Literal["its label has changed", "it was to get this label and has not", "its image is gone"]


class EvidenceRow(TypedDict, total=False):
    """One image or one class that a rule's figure rests on.

    A row has a `path` or a `label`. The other keys depend on the rule.
    """

    path: str
    label: str
    split: str
    hash: str
    suggested_label: str | None
    p_mislabelled: float
    reason: str
    share: float
    interval: Interval | None
    n: int
    n_planted: int
    n_clean: int


class OutcomeDocument(TypedDict):
    """One rule: its figure, its levels, its judgement and the reasons.

    `looks` counts the looks of people that would decide it, where its figure is not sure and looks would.
    """

    rule: str
    verdict: JudgementWord
    measured: float | None
    interval: Interval | None
    level: float | None
    fail: float | None
    warn: float | None
    unit: Unit
    message: str
    advice: str
    looks: int | None
    evidence: list[EvidenceRow]


class SuspectDocument(TypedDict):
    """An image whose label is probably wrong and that no baseline entry covers."""

    rank: int | None
    path: str
    split: str
    label: str
    suggested_label: str | None
    p_mislabelled: float
    hash: str


class StaleDocument(TypedDict):
    """A baseline entry that matches no image any more."""

    hash: str
    label: str
    path: str
    reason: StaleReason


class JudgedDataset(TypedDict):
    """The data set that was judged."""

    name: str
    n_images: int


class VerdictDocument(TypedDict):
    """The whole verdict. `exit_code` is the one without `--exit-zero`."""

    kind: Literal["auditor-verdict"]
    schema_version: Literal[1]
    audit_id: str
    dataset: JudgedDataset
    verdict: JudgementWord
    exit_code: int
    rules: list[OutcomeDocument]
    switched_off: list[str]
    new_suspects: list[SuspectDocument]
    stale_baseline_entries: list[StaleDocument]
