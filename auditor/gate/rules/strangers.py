"""The rule `strangers`: images of none of the classes."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "strangers",
    "None of the classes",
    "The share of images that may show something else. It is a bound: only looks prove that there are any.",
    "share",
    "Look at the first of the list, and remove what shows something else.",
)
