"""The rule `strangers`: images of none of the classes."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "strangers",
    "None of the classes",
    "Images that lie as far from all classes as half of the planted strangers. Only looks tell what they show.",
    "count",
    "Look at the first of the list, and remove what shows something else.",
)
