"""A fact of the picture files, such as their size or a border, tells the class."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "marks",
    "Marks that tell the class",
    "How much of a class the clearest fact of the image files tells, such as their size or a border; 0 is chance.",
    "score",
    "Make the images of all classes in one way: one camera, one size, one format, no borders.",
)
