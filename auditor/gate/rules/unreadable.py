"""The rule `unreadable`: the share of the entries that could not be used."""

from __future__ import annotations

from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import EVIDENCE_ROWS
from auditor.gate.rules.base import Rule
from auditor.system.text import counted


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Entries that were left out, as a share of all entries."""
    dataset = facts.summary["dataset"]
    left_out, total = dataset["n_skipped"], dataset["n_skipped"] + dataset["n_images"]
    if not total:
        return Measurement(None, undecided="the data set is empty")
    evidence: tuple[EvidenceRow, ...] = tuple(
        {"path": entry["path"], "reason": entry["reason"]} for entry in dataset["skipped"][:EVIDENCE_ROWS]
    )
    sentence = f"{left_out} of {counted(total, 'entry', 'entries')} could not be used"
    return Measurement(left_out / total, None, sentence, evidence)


RULE = Rule(
    name="unreadable",
    title="Unreadable images",
    about="Share of the entries that could not be used.",
    unit="share",
    at_most=True,
    levels=Levels(fail=0.01, warn=0.0),
    measure=measure,
    advice="Repair or remove them.",
    when_undecided="Audit a data set that holds images.",
)
