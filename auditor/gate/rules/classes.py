"""The rule `classes`: classes that can hardly be told apart."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "classes",
    "Classes that overlap",
    "Pairs of classes that the model takes for each other nearly as often as guessing would.",
    "count",
    "Say what tells the two classes apart, or make them one.",
)
