"""TODO auditor.gate.facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from auditor.result import AuditDocument, AuditResult


@dataclass(frozen=True)
class Measurement:
    """A rule's figure.

    `at_worst_warn` keeps a rule from failing on what is not the data's doing; `interval_of` says what the interval is
    about where that is not the figure itself.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    sentence: str = ""
    evidence: tuple[dict[str, Any], ...] = ()
    undecided: str = ""
    at_worst_warn: bool = False
    interval_of: str = ""


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes
    ----------
    result
        The audit.
    rows
        Its ranking with two more columns: `hash` (sha256 of the image file) and `decision` (the baseline entry's
        decision for this image under this label, or None where no entry covers it).
    has_baseline
        Whether there is a baseline, be it empty.
    """

    result: AuditResult
    rows: pd.DataFrame
    has_baseline: bool

    @property
    def summary(self) -> AuditDocument:
        return self.result.summary


@dataclass(frozen=True)
class Levels:
    """How strict one rule is.

    Attributes
    ----------
    fail, warn
        Levels in the rule's unit; None where there is no such level.
    enabled
        False switches the rule off.
    probability
        For `new_suspects`: the probability of a wrong label from which an image is a suspect.
    explicit_fail
        True when a person chose the fail level, so that it holds where a default would not.
    """

    fail: float | None
    warn: float | None
    enabled: bool = True
    probability: float | None = None
    explicit_fail: bool = False
