"""What the gate says: one outcome a rule, one verdict over them, and the exit code that follows.

Nothing here measures anything; the only order of precedence in the gate is `roll_up`.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from auditor.errors import ExitCode

VERDICT_SCHEMA_VERSION = 1


class Judgement(enum.StrEnum):
    """What can be said of a rule, and of the data set as a whole."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    """The audit cannot tell. Never a pass."""


_GRAVITY = (Judgement.PASS, Judgement.WARN, Judgement.UNDECIDED, Judgement.FAIL)


@dataclass(frozen=True)
class RuleOutcome:
    """One rule's part of the verdict.

    Attributes
    ----------
    rule
        Name of the rule, as in `[rules.NAME]`.
    measured
        The measured figure; None when there is none.
    interval
        Its 95% interval (low, high); None for exact figures.
    level
        The level it was held against: the one that was crossed, or else the `fail` level (`warn` where there is none).
    verdict
        The judgement.
    message
        One sentence with the figures, for people.
    evidence
        What the judgement rests on, most serious first: dictionaries with at least a `path` or a `label`.
    fail, warn
        Both levels of the rule.
    unit
        "share", "count" or "score": how figures are to be read.
    advice
        What a person does next; empty where the rule passed.
    """

    rule: str
    measured: float | None
    interval: tuple[float, float] | None
    level: float | None
    verdict: Judgement
    message: str
    evidence: tuple[dict[str, Any], ...] = ()
    fail: float | None = None
    warn: float | None = None
    unit: str = "share"
    advice: str = ""


@dataclass(frozen=True)
class StaleEntry:
    """A baseline entry that covers nothing in the audited data any more, and why."""

    hash: str
    label: str
    path: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """The gate's answer about one audit.

    Attributes
    ----------
    verdict
        The roll-up of all rules.
    rules
        One outcome a rule that is switched on, in the order of `auditor.gate.RULES`.
    new_suspects
        Suspects that no baseline entry covers, columns `NEW_SUSPECT_COLUMNS`, by rank.
    stale
        Baseline entries that cover nothing any more, by label and path.
    audit_id, dataset, n_images
        The audit that was judged.
    switched_off
        Rules that the configuration switched off.
    """

    verdict: Judgement
    rules: tuple[RuleOutcome, ...]
    new_suspects: pd.DataFrame
    stale: tuple[StaleEntry, ...]
    audit_id: str
    dataset: str
    n_images: int
    switched_off: tuple[str, ...] = ()

    def __repr__(self) -> str:
        noted = [f"{outcome.rule} {outcome.verdict}" for outcome in self.rules if outcome.verdict is not Judgement.PASS]
        return f"<Verdict {self.verdict} on {self.dataset!r}{': ' if noted else ''}{', '.join(noted)}>"

    def to_json(self) -> str:
        """The verdict as `outputs/verdict.schema.json` defines it: equal verdicts give equal bytes."""
        document = {
            "kind": "auditor-verdict",
            "schema_version": VERDICT_SCHEMA_VERSION,
            "audit_id": self.audit_id,
            "dataset": {"name": self.dataset, "n_images": self.n_images},
            "verdict": str(self.verdict),
            "exit_code": int(exit_code(self)),
            "rules": [_outcome(outcome) for outcome in self.rules],
            "switched_off": list(self.switched_off),
            "new_suspects": [_tidy(row) for row in records(self.new_suspects)],
            "stale_baseline_entries": [
                {"hash": e.hash, "label": e.label, "path": e.path, "reason": e.reason} for e in self.stale
            ],
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


NEW_SUSPECT_COLUMNS = ("rank", "path", "split", "label", "suggested_label", "p_mislabelled", "hash")


def roll_up(judgements: Iterable[Judgement]) -> Judgement:
    """The gravest of the judgements: FAIL, then UNDECIDED, then WARN, then PASS.

    FAIL stands above UNDECIDED because a rule fails only on evidence that stands on its own; what other rules could
    not tell does not take it back. Nothing judged is UNDECIDED: a gate without rules has looked at nothing.
    """
    return max(judgements, key=_GRAVITY.index, default=Judgement.UNDECIDED)


def exit_code(verdict: Verdict, exit_zero: bool = False) -> ExitCode:
    """The only place where a verdict becomes an exit code; `exit_zero` turns a FAIL alone into 0."""
    if verdict.verdict is Judgement.FAIL:
        return ExitCode.OK if exit_zero else ExitCode.GATE_FAILED
    return ExitCode.UNDECIDED if verdict.verdict is Judgement.UNDECIDED else ExitCode.OK


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dictionaries that JSON can hold: missing numbers are None, numpy scalars are Python's."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()} for row in rows]


def _outcome(outcome: RuleOutcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "verdict": str(outcome.verdict),
        "measured": _round(outcome.measured),
        "interval": None if outcome.interval is None else [_round(end) for end in outcome.interval],
        "level": outcome.level,
        "fail": outcome.fail,
        "warn": outcome.warn,
        "unit": outcome.unit,
        "message": outcome.message,
        "advice": outcome.advice,
        "evidence": [_tidy(row) for row in outcome.evidence],
    }


def _round(value: Any) -> Any:
    """Six decimals: more than any figure here is worth, and few enough that the last bit of a sum does not show."""
    return round(value, 6) if isinstance(value, float) else value


def _tidy(row: dict[str, Any]) -> dict[str, Any]:
    return {key: [_round(v) for v in value] if isinstance(value, list) else _round(value) for key, value in row.items()}
