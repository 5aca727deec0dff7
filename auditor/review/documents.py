"""What the JSON files of a review hold, key by key; every writer and reader takes its types from here.

The report's page writes the decisions file in JavaScript (`templates/decisions.js`). A test compares its keys with
these.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, get_args

SCHEMA_VERSION: Literal[1] = 1
"""The form of all three files. A reader refuses another one."""

DECISIONS_KIND: Literal["auditor-decisions"] = "auditor-decisions"

BASELINE_KIND: Literal["auditor-baseline"] = "auditor-baseline"

REVIEW_KIND: Literal["auditor-review"] = "auditor-review"

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


class DecisionsDocument(TypedDict):
    """The whole of `decisions.json`, which the report's page exports."""

    schema_version: Literal[1]
    kind: Literal["auditor-decisions"]
    audit_id: str
    decisions: list[DecisionEntry]


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
