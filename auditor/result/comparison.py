"""What changed between two audits, key by key: `review.compare` writes it, the report shows it."""

from __future__ import annotations

from typing import TypedDict

from auditor.result.figures import Estimate


class ComparedEstimates(TypedDict):
    """The number of wrong labels in both audits; null where an audit could not estimate it."""

    earlier: Estimate | None
    now: Estimate | None


class ComparedImages(TypedDict):
    """How many images came, went, or have another label. Images are matched by content."""

    added: int
    removed: int
    relabelled: int


class ComparedSuspects(TypedDict):
    """How many suspects both audits have, and what became of the earlier ones.

    `cleared`: the same image and label, no longer a suspect. `remaining`: a suspect in both. `new`: only now. `seen`:
    so many of the cleared and the remaining were looked at.
    """

    earlier: int
    now: int
    relabelled: int
    removed: int
    cleared: int
    remaining: int
    new: int
    seen: int


class Comparison(TypedDict):
    """What changed from an earlier audit to a later one.

    `suspects` is null unless both audits have probabilities. `settings` holds each setting that differs, with its
    earlier and its present value. `sentences` say all this.
    """

    earlier_audit_id: str
    audit_id: str
    estimate: ComparedEstimates
    images: ComparedImages
    suspects: ComparedSuspects | None
    settings: dict[str, list[object]]
    sentences: list[str]
