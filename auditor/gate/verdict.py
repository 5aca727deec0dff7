"""What the gate says: one outcome for each rule, one verdict over them, and the exit code that follows.

Nothing is measured here. `roll_up` is the only order of precedence in the gate.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pandas as pd

from auditor.errors import ExitCode
from auditor.gate.documents import (
    KIND,
    SCHEMA_VERSION,
    EvidenceRow,
    JudgementWord,
    OutcomeDocument,
    StaleReason,
    SuspectDocument,
    Unit,
    VerdictDocument,
)
from auditor.result.nouns import IMAGE, Noun, noun_of


class Judgement(enum.StrEnum):
    """What can be said of a rule, and of the data set as a whole."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    """The audit cannot tell. This is never a pass."""


_GRAVITY = (Judgement.PASS, Judgement.WARN, Judgement.UNDECIDED, Judgement.FAIL)


@dataclass(frozen=True)
class RuleOutcome:
    """One rule's part of the verdict.

    Attributes
    ----------
    rule
        Name of the rule, as in `[rules.NAME]`.
    measured
        The figure in the rule's unit. None means that there is none.
    interval
        Its 95% interval (low, high). None for exact figures.
    level
        The level that decided: the one that was crossed or that the interval holds. Where the rule passed, the
        strictest one.
    verdict
        The judgement.
    message
        One sentence with the figures, for people.
    evidence
        What the judgement rests on, the most serious first. Each row has at least a `path` or a `label`.
    fail, warn
        Both levels of the rule.
    unit
        How figures are read: "share", "count" or "score".
    advice
        What a person does next. Empty where the rule passed.
    looks
        How many looks of a person would decide the rule, where its figure is not sure and looks would decide it.
    """

    rule: str
    measured: float | None
    interval: tuple[float, float] | None
    level: float | None
    verdict: Judgement
    message: str
    evidence: tuple[EvidenceRow, ...] = ()
    fail: float | None = None
    warn: float | None = None
    unit: Unit = "share"
    advice: str = ""
    looks: int | None = None

    def to_document(self) -> OutcomeDocument:
        """The outcome as the JSON document holds it."""
        return {
            "rule": self.rule,
            "verdict": _word(self.verdict),
            "measured": _round(self.measured),
            "interval": None if self.interval is None else [_round(end) for end in self.interval],
            "level": self.level,
            "fail": self.fail,
            "warn": self.warn,
            "unit": self.unit,
            "message": self.message,
            "advice": self.advice,
            "looks": self.looks,
            "evidence": [_rounded(row) for row in self.evidence],
        }


@dataclass(frozen=True)
class StaleEntry:
    """A baseline entry that matches no image of the audited data any more, and why."""

    hash: str
    label: str
    path: str
    reason: StaleReason


NEW_SUSPECT_COLUMNS = ("rank", "path", "split", "label", "suggested_label", "p_mislabelled", "hash")


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """The gate's answer about one audit.

    Attributes
    ----------
    verdict
        The roll-up of all rules.
    rules
        One outcome for each rule that is switched on, in the order of `auditor.gate.all_rules`.
    new_suspects
        Suspects that no baseline entry covers, columns `NEW_SUSPECT_COLUMNS`, by rank.
    stale
        Baseline entries that match no image any more, by label and path.
    audit_id, dataset, n_images
        The audit that was judged.
    switched_off
        Rules that the configuration switched off.
    noun
        What an item of the data set is called.
    """

    verdict: Judgement
    rules: tuple[RuleOutcome, ...]
    new_suspects: pd.DataFrame
    stale: tuple[StaleEntry, ...]
    audit_id: str
    dataset: str
    n_images: int
    switched_off: tuple[str, ...] = ()
    noun: Noun = field(default_factory=lambda: noun_of(IMAGE))

    def __repr__(self) -> str:
        noted = [f"{outcome.rule} {outcome.verdict}" for outcome in self.noted]
        return f"<Verdict {self.verdict} on {self.dataset!r}{': ' if noted else ''}{', '.join(noted)}>"

    @property
    def noted(self) -> tuple[RuleOutcome, ...]:
        """The rules that did not pass, in their own order."""
        return tuple(outcome for outcome in self.rules if outcome.verdict is not Judgement.PASS)

    def suspects(self, limit: int | None = None) -> list[SuspectDocument]:
        """The first `limit` new suspects (all by default) as plain values: no figure is NaN or of numpy's types."""
        first = self.new_suspects[list(NEW_SUSPECT_COLUMNS)].head(len(self.new_suspects) if limit is None else limit)
        return [
            {
                "rank": None if pd.isna(rank) else int(rank),
                "path": path,
                "split": split,
                "label": label,
                "suggested_label": None if pd.isna(suggested) else suggested,
                "p_mislabelled": float(p),
                "hash": hash,
            }
            for rank, path, split, label, suggested, p, hash in first.itertuples(index=False)
        ]

    def to_document(self) -> VerdictDocument:
        """The verdict as `outputs/verdict.schema.json` defines it."""
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "audit_id": self.audit_id,
            "dataset": {"name": self.dataset, "n_images": self.n_images},
            "verdict": _word(self.verdict),
            "exit_code": int(exit_code(self)),
            "rules": [outcome.to_document() for outcome in self.rules],
            "switched_off": list(self.switched_off),
            "new_suspects": [{**row, "p_mislabelled": _round(row["p_mislabelled"])} for row in self.suspects()],
            "stale_baseline_entries": [
                {"hash": e.hash, "label": e.label, "path": e.path, "reason": e.reason} for e in self.stale
            ],
        }

    def to_json(self) -> str:
        """The document as text. Equal verdicts give equal bytes."""
        return json.dumps(self.to_document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def roll_up(judgements: Iterable[Judgement]) -> Judgement:
    """The gravest of the judgements: FAIL, then UNDECIDED, then WARN, then PASS.

    FAIL stands above UNDECIDED: a rule fails only on evidence that is sure, and other rules' doubts do not change it.
    Without any judgement the answer is UNDECIDED, because a gate without rules has looked at nothing.
    """
    return max(judgements, key=_GRAVITY.index, default=Judgement.UNDECIDED)


def exit_code(verdict: Verdict, exit_zero: bool = False) -> ExitCode:
    """The only place where a verdict becomes an exit code. `exit_zero` turns a FAIL into 0, and nothing else."""
    if verdict.verdict is Judgement.FAIL:
        return ExitCode.OK if exit_zero else ExitCode.GATE_FAILED
    return ExitCode.UNDECIDED if verdict.verdict is Judgement.UNDECIDED else ExitCode.OK


def _word(judgement: Judgement) -> JudgementWord:
    return cast(JudgementWord, str(judgement))


def _round(value: Any) -> Any:
    """Six decimals: more than any figure here is worth, and few enough to hide the last bit of a sum."""
    return round(value, 6) if isinstance(value, float) else value


def _rounded(row: EvidenceRow) -> EvidenceRow:
    rounded = {k: [_round(v) for v in value] if isinstance(value, list) else _round(value) for k, value in row.items()}
    return cast(EvidenceRow, rounded)
