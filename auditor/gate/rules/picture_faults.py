"""The rule `picture_faults`: images that are dark, blurred, blank or odd in another way."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "picture_faults",
    "Faulty images",
    "Share of images that are dark, bright, blank, washed out, blurred, or of an odd size or shape.",
    "share",
    "Look at them, and remove or replace those that show nothing.",
)
