"""Groups of items, such as those of one annotator, have more wrong labels than the rest."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "groups",
    "Groups with more wrong labels",
    "Groups with more wrong labels than the rest, such as those of one annotator, more than chance explains.",
    "count",
    "Look at the labels of this group first. Its camera or its annotator may need other instructions.",
)
