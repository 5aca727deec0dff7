"""Rules about oddities: each reads the figure of one kind, and is off until a configuration gives it a level."""

from __future__ import annotations

from functools import partial

from auditor.gate.documents import EvidenceRow, Unit
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import EVIDENCE_ROWS
from auditor.gate.rules.base import Rule
from auditor.result.documents import OddityDocument


def oddity_rule(name: str, title: str, about: str, unit: Unit, advice: str) -> Rule:
    """The rule of a kind of oddity. Its figure is at most the levels that a configuration gives.

    Parameters
    ----------
    name
        The kind's name in `audit.json`.
    title, about, unit, advice
        As in `Rule`.
    """
    return Rule(
        name=name,
        title=title,
        about=f"{about} Off until it has a level.",
        unit=unit,
        at_most=True,
        levels=Levels(fail=None, warn=None),
        measure=partial(_measure, name),
        advice=advice,
        when_undecided="Look at the section of this name in the report. It says what would tell.",
        only_if_asked=True,
    )


def _measure(name: str, facts: Facts, levels: Levels) -> Measurement:
    """The kind's figure. It is undecided where nobody looked, and where the data cannot tell."""
    found = next((one for one in facts.summary["oddities"] if one["name"] == name), None)
    if found is None:
        return Measurement(None, undecided="this audit did not look for it")
    said = found["summary"].rstrip(".")
    if found["outcome"] != "told":
        return Measurement(None, undecided=said)
    interval = None if found["interval"] is None else (found["interval"][0], found["interval"][1])
    return Measurement(found["value"], interval, said, _evidence(found))


def _evidence(found: OddityDocument) -> tuple[EvidenceRow, ...]:
    return tuple(
        {"path": item["path"], "label": item["label"], "reason": item["said"]}
        for item in found["items"][:EVIDENCE_ROWS]
    )
