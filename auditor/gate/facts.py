"""What a rule gets and what it gives back: `Facts` and `Levels` go in, a `Measurement` comes out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from auditor.gate.documents import EvidenceRow
from auditor.result import AuditDocument, AuditResult


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes
    ----------
    result
        The audit.
    rows
        The audit's ranking with two more columns. `hash` is the SHA-256 of the image file. `decision` is what the
        baseline says of this image under this label; it is None where no entry covers it.
    has_baseline
        Whether there is a baseline. An empty one counts.
    """

    result: AuditResult
    rows: pd.DataFrame
    has_baseline: bool

    @property
    def summary(self) -> AuditDocument:
        """The content of `audit.json`."""
        return self.result.summary


@dataclass(frozen=True)
class Levels:
    """How strict one rule is.

    Attributes
    ----------
    fail, warn
        Levels in the rule's unit. None means that there is no level.
    enabled
        False switches the rule off.
    probability
        Only for rules that count suspects: an image is a suspect from this probability of a wrong label on.
    explicit_fail
        True when a person chose the fail level. It then holds even where the default level would not.
    """

    fail: float | None
    warn: float | None
    enabled: bool = True
    probability: float | None = None
    explicit_fail: bool = False


@dataclass(frozen=True)
class Measurement:
    """What a rule measured.

    Attributes
    ----------
    value
        The figure in the rule's unit. None means that there is none.
    interval
        Its 95% interval (low, high). None means that the figure is exact.
    sentence
        The figure in words. The message begins with it.
    evidence
        What the figure rests on, the most serious first.
    undecided
        Why the audit cannot support the figure. Where this is not empty the rule is UNDECIDED whatever the figure is.
    at_worst_warn
        True keeps the rule from failing, for a fault that is not the data's.
    interval_of
        What the interval is about, where that is not the figure itself.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    sentence: str = ""
    evidence: tuple[EvidenceRow, ...] = ()
    undecided: str = ""
    at_worst_warn: bool = False
    interval_of: str = ""
