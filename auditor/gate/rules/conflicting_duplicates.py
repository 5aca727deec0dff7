"""The rule `conflicting_duplicates`: identical image files under different labels."""

from __future__ import annotations

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import copy_evidence
from auditor.gate.rules.base import Rule
from auditor.system.text import counted


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Groups of identical files under different labels. A group counts until a person has accepted all its labels."""
    duplicates = facts.summary["dataset"]["duplicates"]
    accepted = set(zip(*(facts.rows.loc[facts.rows["decision"].notna(), c] for c in ("hash", "label")), strict=True))
    groups = [
        group
        for group in duplicates["conflicting"]
        if not all((group["hash"], entry["label"]) in accepted for entry in group["entries"])
    ]
    words = ("group of identical images carries", "groups of identical images carry")
    return Measurement(
        float(len(groups)), None, f"{counted(len(groups), *words)} different labels", copy_evidence(groups)
    )


RULE = Rule(
    name="conflicting_duplicates",
    title="Identical images, different labels",
    about="Groups of identical image files under different labels that a person has not accepted.",
    unit="count",
    at_most=True,
    levels=Levels(fail=0, warn=None),
    measure=measure,
    advice="Decide which label is right and remove the other copies, or record in the baseline that both hold.",
)
