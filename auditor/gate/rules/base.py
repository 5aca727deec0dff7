"""One rule of the gate: what it measures, in what unit, which way its levels point, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from auditor.gate.documents import Unit
from auditor.gate.facts import Facts, Levels, Measurement

FIND_MORE = (
    "Do not rely on this audit's list. More images, a trusted `--reference` or `--weights` trained on similar pictures "
    "let it find more."
)
"""What a person does about an audit that is too weak."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes
    ----------
    name, title, about
        The key in the configuration, the name for people, and what the rule is for.
    unit
        "share" (0 to 1), "count" or "score" (0 to 1).
    at_most
        True when the levels are upper limits. False when they are lower limits.
    levels
        The levels that hold where the configuration says nothing.
    measure
        Gives the figure, its interval and the evidence.
    advice
        What a person does next where the rule did not pass.
    when_undecided
        What a person does next where the audit cannot support the figure.
    rests_on
        What the figure needs from the audit. "solves": influence solves that converged. "recovery": also enough
        planted labels found. "nothing": the figure stands alone. The rule is UNDECIDED where what it needs is missing.
    short_is
        What it means to miss the fail level: FAIL, or UNDECIDED where the audit is too weak and not the data.
    fail_needs_baseline
        True when the default fail level waits until there is a baseline.
    only_if_asked
        True when the rule is off until a configuration gives it a level.
    """

    name: str
    title: str
    about: str
    unit: Unit
    at_most: bool
    levels: Levels
    measure: Callable[[Facts, Levels], Measurement]
    advice: str = ""
    when_undecided: str = FIND_MORE
    rests_on: Literal["nothing", "solves", "recovery"] = "nothing"
    short_is: Literal["FAIL", "UNDECIDED"] = "FAIL"
    fail_needs_baseline: bool = False
    only_if_asked: bool = False

    def is_on(self, levels: Levels) -> bool:
        """Whether these levels switch the rule on."""
        return levels.enabled and not self.waits(levels)

    def is_off(self, levels: Levels) -> bool:
        """Whether somebody switched the rule off. A rule for which nobody asked is neither on nor off."""
        return not levels.enabled and not self.only_if_asked

    def waits(self, levels: Levels) -> bool:
        """Whether the rule is off because it has no level."""
        return self.only_if_asked and levels.fail is None and levels.warn is None
