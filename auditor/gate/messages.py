"""The sentences of a rule's outcome: what was found, how it stands to the level, what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.gate.facts import Decider, Levels, Measurement
from auditor.gate.figures import figure, interval
from auditor.gate.rules.base import Rule
from auditor.gate.verdict import Judgement
from auditor.system.text import sentence


@dataclass(frozen=True)
class Decision:
    """How one rule was judged.

    Attributes
    ----------
    verdict
        The judgement.
    level
        The level that decided it.
    fail
        The fail level that holds.
    lacks
        What the audit lacks to support the figure, or nothing.
    open
        True where the figure was measured and does not decide: more data or looks would.
    decider
        What would decide the rule, where it is undecided, or warns only because its figure is not sure.
    """

    verdict: Judgement
    level: float | None
    fail: float | None
    lacks: str = ""
    open: bool = False
    decider: Decider | None = None


def advice(rule: Rule, levels: Levels, decided: Decision, *, unsolved: str) -> str:
    """What a person does next; nothing where the rule passed.

    The rule's own advice is about the data. Where the audit lacks something, the advice is about the audit.

    Parameters
    ----------
    rule, levels, decided
        The rule, its levels and how it was judged.
    unsolved
        The reason that the influence solves give, or nothing.
    """
    if decided.verdict is Judgement.PASS:
        return ""
    if decided.open:
        return _to_decide(rule, levels, decided)
    if not decided.lacks:
        return rule.advice if decided.decider is None else sentence(decided.decider.sentence)
    if decided.lacks == unsolved:
        said = "Audit again with `--engine auto`, or with a larger `--damping`."
    else:
        said = rule.when_undecided
    if decided.decider is None or decided.decider.looks is None:
        return said
    return f"{said} Looks decide without the audit's word: {decided.decider.sentence}."


def _to_decide(rule: Rule, levels: Levels, decided: Decision) -> str:
    """What to do about a rule that only looks or more data decide."""
    looks = decided.decider is not None and decided.decider.looks is not None
    said = "Look at them, apply the decisions with `auditor review apply`, and gate again." if looks else ""
    if levels.undecided == "warn":
        return said or rule.advice
    table = f'`undecided = "warn"` in [rules.{rule.name}] makes this a warning.'
    return f"{said or 'More images decide it.'} Until then {table}"


def message(rule: Rule, found: Measurement, decided: Decision) -> str:
    """One sentence with the figure, its interval, and how it stands to the level."""
    parts = [found.sentence] if found.sentence else []
    if found.interval is not None and found.interval != found.ends:
        parts.append(f"95% interval {interval(found.interval, rule.unit)} {found.interval_of}".rstrip())
    if decided.lacks:
        parts.append(f"undecided: {decided.lacks}")
    elif decided.open:
        parts += _open(rule, found, decided)
    elif decided.level is not None:
        parts += _against(rule, found, decided)
    return sentence("; ".join(parts))


def _open(rule: Rule, found: Measurement, decided: Decision) -> list[str]:
    """Why the figure does not decide, and what would."""
    level = figure(decided.level, rule.unit)
    if found.cannot_pass:
        why = found.cannot_pass
    elif found.ends is not None:
        why = f"that proves neither {'at most' if rule.at_most else 'at least'} {level} nor the opposite"
    else:
        why = f"the interval holds the fail level of {level}"
    verdict = "undecided, taken as a warning" if decided.verdict is Judgement.WARN else "undecided"
    said = [f"{verdict}: {why}"]
    return [*said, decided.decider.sentence] if decided.decider is not None and decided.decider.sentence else said


def _against(rule: Rule, found: Measurement, decided: Decision) -> list[str]:
    """How the figure stands to the level that decided. The words tell a warning from a failure."""
    shown, side = figure(decided.level, rule.unit), "above" if rule.at_most else "below"
    bound = "at most" if rule.at_most else "at least"
    sure = found.interval is not None
    if decided.verdict is Judgement.PASS:
        return [f"{'surely ' if sure else ''}{bound} {shown} passes"]
    if decided.verdict is Judgement.UNDECIDED:
        return [f"not surely at least {shown}", "the audit is too weak for a verdict"]
    if decided.verdict is Judgement.WARN:
        name = "fail" if decided.level == decided.fail else "warn"
        if beyond(rule, found, decided.level):
            return [f"{side} the {name} level of {shown}"]
        return [f"not surely {bound} the {name} level of {shown}"]
    whole = "surely " if found.ends is not None else "the whole interval lies " if sure else ""
    return [f"{whole}{side} the fail level of {shown}"]


def beyond(rule: Rule, found: Measurement, level: float | None) -> bool:
    """Whether the figure itself lies beyond a level."""
    if level is None or found.value is None:
        return False
    return found.value > level if rule.at_most else found.value < level
