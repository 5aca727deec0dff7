"""The rule `near_copies`: nearly equal images with two labels, or in training and another split."""

from __future__ import annotations

from auditor.gate.rules.oddity import oddity_rule

RULE = oddity_rule(
    "near_copies",
    "Near copies",
    "Pairs of nearly equal images with two labels, or in training and another split that the data set gives.",
    "count",
    "Keep one image of each pair, or put both into one split under one label.",
)
