"""The rule `leakage`: identical image files in training and test."""

from __future__ import annotations

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import copy_evidence
from auditor.gate.rules.base import Rule
from auditor.system.text import counted


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Groups of identical files with one copy in the test split and one outside it."""
    dataset = facts.summary["dataset"]
    groups = [
        group
        for group in dataset["duplicates"]["leaking"]
        if "test" in (splits := {entry["split"] for entry in group["entries"]}) and len(splits) > 1
    ]
    sentence = f"{counted(len(groups), 'image stands', 'images stand')} in both training and test"
    drawn_by_audit = dataset["split_origin"] == "seeded"
    if drawn_by_audit and groups:
        sentence += "; the audit drew the splits, so these are duplicates and not a fault of the data set's own splits"
    return Measurement(float(len(groups)), None, sentence, copy_evidence(groups), at_worst_warn=drawn_by_audit)


RULE = Rule(
    name="leakage",
    title="Leakage",
    about="Identical image files in training and test. Where the audit drew the splits itself, this only warns.",
    unit="count",
    at_most=True,
    levels=Levels(fail=0, warn=None),
    measure=measure,
    advice="Remove the copies from one side of the split.",
)
