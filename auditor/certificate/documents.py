"""What `certificate.json` and the frozen plan of a sample hold, key by key."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

SCHEMA_VERSION: Literal[1] = 1
"""The form of the file. A reader refuses another one."""

CERTIFICATE_KIND: Literal["auditor-certificate"] = "auditor-certificate"

Reading = Literal["betting", "stratified"]
"""How the looks are read. `betting` holds at any moment. `stratified` holds at planned checkpoints only."""


class StratumDocument(TypedDict):
    """Items that share one weight.

    `weight` is what each item weighs in the draw. `share` is the share of wrong labels that was assumed for it.
    `credit` is the control variate of each item, 0 for none. `items` are the items' ids (`draw.item_id`), sorted;
    copies of one item repeat its id.
    """

    weight: float
    share: float
    credit: float
    items: list[str]


class PlanDocument(TypedDict):
    """Everything that was fixed before the first look, frozen in the ledger.

    `salt` goes into every item's permanent random number. `spread` is the part of the weight that is spread evenly.
    `expected` is the guessed share of wrong labels that tunes the first bets. `checkpoints` are the planned numbers
    of looks of a stratified reading, empty for betting. `listed` are ids in the strata that people had looked at before
    the first drawn item, because they lead the list: they are known and not drawn. It is absent where there is none.
    """

    salt: str
    reading: Reading
    spread: float
    expected: float
    checkpoints: list[int]
    strata: list[StratumDocument]
    listed: NotRequired[list[str]]


class ProvenShare(TypedDict):
    """Wrong labels as the looks prove them, as shares and as numbers.

    `interval` is two-sided, 95%. `at_least` and `at_most` are one-sided, 95% each; each is a statement of its own.
    """

    value: float
    interval: list[float]
    at_least: float
    at_most: float
    count: float
    count_interval: list[float]
    count_at_least: float
    count_at_most: float


class LooksDocument(TypedDict):
    """What people looked at.

    Attributes
    ----------
    drawn
        Items of the drawn sample that count: the unbroken beginning of the drawing order.
    drawn_beyond
        Drawn items that were looked at behind the first one that was not. They do not count yet.
    listed
        Items looked at because they lead the list.
    wrong, undecided
        Of the drawn ones that count: labels found wrong, and items that nobody could decide.
    second
        Items called wrong that a second person looked at too.
    known_wrong, known_wrong_found
        Labels that were made wrong to measure what reviewers miss, and how many of them were called wrong.
    changed
        Items of today's data set that were not in the drawn population, or had another label, and that nobody looked
        at. Each counts as wrong in upper bounds.
    """

    drawn: int
    drawn_beyond: int
    listed: int
    wrong: int
    undecided: int
    second: int
    known_wrong: int
    known_wrong_found: int
    changed: int


class ClassShare(TypedDict):
    """What the looks prove of one class, by the label that the items had. Only classes with enough looks stand here."""

    label: str
    n: int
    looks: int
    share: ProvenShare


class NextLooks(TypedDict):
    """How many more drawn looks prove that at most `target` of the labels are wrong now.

    `looks` counts them if none of them finds a wrong label; `likely` if wrong labels go on at the rate found so far.
    None where no number of looks would do.
    """

    target: float
    looks: int | None
    likely: int | None


class CertificateDocument(TypedDict):
    """The whole of `certificate.json`.

    `share` is before the corrections, by the labels as they were first audited. `remaining` is after them. `today` is
    the data set as it lies in the audit that the certificate belongs to: where corrections were found and not applied
    yet, they still count as wrong there. A gate judges `today`.
    """

    schema_version: Literal[1]
    kind: Literal["auditor-certificate"]
    audit_id: str
    content_hash: str
    n: int
    confidence: float
    reading: Reading
    share: ProvenShare
    remaining: ProvenShare
    today: ProvenShare
    by_class: list[ClassShare]
    looks: LooksDocument
    next: list[NextLooks]
    method: str
    assumptions: list[str]
    notes: list[str]
