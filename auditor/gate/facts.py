"""What a rule gets and what it gives back: `Facts` and `Levels` go in, a `Measurement` comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from auditor.certificate.documents import CertificateDocument
from auditor.gate.documents import EvidenceRow
from auditor.result import AuditDocument, AuditResult
from auditor.result.nouns import Noun


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes
    ----------
    result
        The audit.
    rows
        The audit's ranking with three more columns. `hash` is the SHA-256 of the image file. `decision` is what the
        baseline says of this image under this label; it is None where no entry covers it. `found_wrong` is True where
        people found since the audit that this label is wrong.
    has_baseline
        Whether there is a baseline. An empty one counts.
    certificate
        What people's looks prove of this data set. None where there is no certificate.
    """

    result: AuditResult
    rows: pd.DataFrame
    has_baseline: bool
    certificate: CertificateDocument | None = None

    @property
    def summary(self) -> AuditDocument:
        """The content of `audit.json`."""
        return self.result.summary

    @property
    def noun(self) -> Noun:
        """What an item is called. Rules speak of images; `Noun.of` turns their sentences into those of other kinds."""
        return self.result.noun


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
    undecided
        What the rule says where the interval of its figure holds the fail level: "undecided", or "warn" for teams who
        want that.
    """

    fail: float | None
    warn: float | None
    enabled: bool = True
    probability: float | None = None
    explicit_fail: bool = False
    undecided: Literal["undecided", "warn"] = "undecided"


@dataclass(frozen=True)
class Decider:
    """What would decide a rule whose interval holds a level.

    Attributes
    ----------
    sentence
        It, in words. Empty where nothing can be named.
    looks
        How many looks of a person that takes. None where looks are not what would decide.
    """

    sentence: str
    looks: int | None = None


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
    ends
        What is compared with the levels, where it is not the interval: bounds (low, high) that hold one by one.
    cannot_pass
        Why the figure cannot pass, however low it is. A figure that is surely beyond the level still fails.
    decided_by
        What would decide the rule at a level. Called where the interval holds that level.
    instead
        What was measured without the audit's own estimate. It counts where the audit cannot support that estimate.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    sentence: str = ""
    evidence: tuple[EvidenceRow, ...] = ()
    undecided: str = ""
    at_worst_warn: bool = False
    interval_of: str = ""
    ends: tuple[float, float] | None = None
    cannot_pass: str = ""
    decided_by: Callable[[float], Decider] | None = None
    instead: Measurement | None = None
