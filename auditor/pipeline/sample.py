"""The sample that an audit draws by itself, so that its report can offer it with pictures."""

from __future__ import annotations

from dataclasses import replace

from auditor.certificate import Plan, bounds
from auditor.errors import DecisionsError
from auditor.pipeline.thumbnails import Pictures, excerpts
from auditor.result import AuditResult
from auditor.result.evidence import EvidenceDocument, Proof
from auditor.review.ledger import Ledger
from auditor.review.sampling import Wish, draw_sample
from auditor.sources.base import ImageTable

DRAWN = 100
"""Items that the report offers. `auditor review sample OUT -n N` draws more."""

PROOFS = (100, 300, 1000)
"""Numbers of looks of which the report says what they would prove."""


def with_sample(result: AuditResult, table: ImageTable, pictures: Pictures, ledger: Ledger) -> AuditResult:
    """The result with the beginning of its sample in the evidence, and what can be seen of each drawn item.

    `auditor.review.sampling` draws. The draw follows from the data set, so nobody can draw again until it pleases. An
    audit in which nothing is left to look at has no sample.

    Parameters
    ----------
    table
        The data set's items.
    pictures
        Makes the small pictures.
    ledger
        What people found before.
    """
    try:
        sample = draw_sample(result, ledger, Wish(DRAWN))
    except DecisionsError:
        return result
    known = result.evidence["thumbnails"]
    wanted = [item["path"] for item in sample["items"] if item["path"] not in known]
    evidence: EvidenceDocument = {
        **result.evidence,
        "sample": [{**item} for item in sample["items"]],
        "proves": _proofs(Plan.from_document(sample["plan"])) if ledger.plan is None else [],
        "thumbnails": {**known, **pictures.small(wanted, suspects=len(wanted))},
        "excerpts": {**result.evidence["excerpts"], **excerpts(table, wanted)},
    }
    return replace(result, evidence=evidence)


def _proofs(plan: Plan) -> list[Proof]:
    """What looks would prove if none of them found a wrong label."""
    order = list(dict.fromkeys(drawn.id for drawn in plan.order()))
    n = plan.n
    return [
        {"looks": looks, "at_most": bounds(plan, dict.fromkeys(order[:looks], False)).at_most / n}
        for looks in PROOFS
        if looks < len(order)
    ]
