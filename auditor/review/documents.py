"""What the JSON files of a review hold, key by key; every writer and reader takes its types from here.

The report's page writes the decisions file in JavaScript (`templates/decisions.js`). A test compares its keys with
these.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, get_args

from auditor.certificate.documents import PlanDocument

SCHEMA_VERSION: Literal[1] = 1
"""The form of all these files. A reader refuses another one."""

DECISIONS_KIND: Literal["auditor-decisions"] = "auditor-decisions"

BASELINE_KIND: Literal["auditor-baseline"] = "auditor-baseline"

REVIEW_KIND: Literal["auditor-review"] = "auditor-review"

LEDGER_KIND: Literal["auditor-ledger"] = "auditor-ledger"

SAMPLE_KIND: Literal["auditor-sample"] = "auditor-sample"

How = Literal["rank", "drawn", "again", "known-wrong"]
"""How an item came to be looked at: because it leads the list, drawn with a known probability, a second or third time
after somebody called it wrong, or under a label that was made wrong to see what reviewers miss."""

HOWS: tuple[How, ...] = get_args(How)

DecisionWord = Literal["keep", "relabel", "drop", "unsure"]
"""What a reviewer says of an image: its label is right (`keep`), another label is right (`relabel`), the image does not
belong in the data set (`drop`), or the reviewer cannot tell (`unsure`)."""

BaselineWord = Literal["keep", "relabel", "drop", "unsure", "accepted"]
"""What a baseline says of an image: a reviewer's judgement, or `accepted`. Nobody has looked at an accepted suspect;
it counts as known."""

DECISIONS: tuple[DecisionWord, ...] = get_args(DecisionWord)

BASELINE_DECISIONS: tuple[BaselineWord, ...] = get_args(BaselineWord)


class DecisionEntry(TypedDict):
    """A reviewer's decision about one image.

    `hash` is the sha256 of the file in 64 hexadecimal digits. `label` is the given label. `new_label` is the right
    label after `relabel`, and null otherwise. `time` is ISO 8601.
    """

    path: str
    hash: str
    label: str
    decision: DecisionWord
    new_label: NotRequired[str | None]
    time: NotRequired[str]
    how: NotRequired[How]


class DecisionsDocument(TypedDict):
    """The whole of `decisions.json`, which the report's page exports. `reviewer` is a name, empty where none is given.

    Decisions stand in the order in which they were made. Without `how`, an item was looked at by its rank.
    """

    schema_version: Literal[1]
    kind: Literal["auditor-decisions"]
    audit_id: str
    reviewer: NotRequired[str]
    decisions: list[DecisionEntry]


class LookRow(TypedDict):
    """One line of a ledger: one person's look at one item.

    `label` is the label that the item had when it was first audited. `final_label` is the right label where one was
    named, else null. `probability` is the chance with which a drawn item came next, null for all others.
    """

    hash: str
    label: str
    decision: BaselineWord
    final_label: str | None
    reviewer: str
    time: str
    how: How
    probability: float | None
    path: str


class LedgerDocument(TypedDict):
    """The whole of `auditor-ledger.json`: one look a line, sorted. `plan` is null until a sample was drawn."""

    schema_version: Literal[1]
    kind: Literal["auditor-ledger"]
    plan: PlanDocument | None
    looks: list[LookRow]


class SampleItem(TypedDict):
    """An item to look at. `label` is the label to judge: the given one, unless `how` is "known-wrong"."""

    path: str
    hash: str
    label: str
    how: How
    probability: float | None


class SampleDocument(TypedDict):
    """The whole of `sample.json`. Items stand in drawing order; a page shows them shuffled among each other."""

    schema_version: Literal[1]
    kind: Literal["auditor-sample"]
    audit_id: str
    plan: PlanDocument
    items: list[SampleItem]


class BaselineRow(TypedDict):
    """One line of a baseline. `label` is the label that was judged; after `relabel` it is the new one."""

    hash: str
    label: str
    decision: BaselineWord
    path: NotRequired[str]
    date: NotRequired[str]


class BaselineDocument(TypedDict):
    """The whole of a baseline file."""

    schema_version: Literal[1]
    kind: Literal["auditor-baseline"]
    entries: list[BaselineRow]


class ReviewCounts(TypedDict):
    """Images by what became of them. `written` counts the images of the cleaned data set."""

    kept: int
    relabelled: int
    dropped: int
    unsure: int
    not_reviewed: int
    written: int


class ReviewMark(TypedDict):
    """`review.json`: it shows that `review apply` wrote its folder, and with how many files."""

    schema_version: Literal[1]
    kind: Literal["auditor-review"]
    audit_id: str
    format: str
    counts: ReviewCounts
    files: int
