"""The sentences of a rule's outcome: what was found, how it stands to the level, what to do next."""

from __future__ import annotations

from auditor.gate.facts import Measurement
from auditor.gate.figures import figure, interval
from auditor.gate.rules.base import Rule
from auditor.gate.verdict import Judgement


def advice(rule: Rule, verdict: Judgement, reason: str, *, unsolved: str) -> str:
    """What a person does next; nothing where the rule passed.

    The rule's own advice is about the data. Where the audit lacks something (`reason`), the advice is about the audit.

    Parameters
    ----------
    rule, verdict
        The rule and its judgement.
    reason
        Why the rule is undecided, or nothing.
    unsolved
        The reason that the influence solves give, or nothing.
    """
    if verdict is Judgement.PASS:
        return ""
    if not reason:
        return rule.advice
    if reason == unsolved:
        return "Audit again with `--engine auto`, or with a larger `--damping`."
    return rule.when_undecided


def message(
    rule: Rule, found: Measurement, decided: tuple[Judgement, float | None], fail: float | None, reason: str
) -> str:
    """One sentence with the figure, its interval, and how it stands to the level.

    Parameters
    ----------
    rule, found
        The rule and what it measured.
    decided
        The judgement and the level that decided it.
    fail
        The fail level that holds.
    reason
        Why the rule is undecided, or nothing.
    """
    verdict, level = decided
    parts = [found.sentence] if found.sentence else []
    if found.interval is not None:
        parts.append(f"95% interval {interval(found.interval, rule.unit)} {found.interval_of}".rstrip())
    if reason:
        parts.append(f"undecided: {reason}")
    elif level is not None:
        parts += _against(rule, found, verdict, level, fail)
    sentence = "; ".join(parts)
    return sentence[:1].upper() + sentence[1:] + "."


def _against(rule: Rule, found: Measurement, verdict: Judgement, level: float, fail: float | None) -> list[str]:
    """How the figure stands to the level that decided. The words tell a warning from a failure."""
    shown, side = figure(level, rule.unit), "above" if rule.at_most else "below"
    if verdict is Judgement.PASS:
        return [f"{'at most' if rule.at_most else 'at least'} {shown} passes", *_open(rule, found, fail)]
    if verdict is Judgement.UNDECIDED:
        return [f"not surely at least {shown}", "the audit is too weak for a verdict"]
    if verdict is Judgement.WARN:
        name = "fail" if level == fail else "warn"
        return [f"{side} the {name} level of {shown}", *_open(rule, found, fail)]
    whole = "the whole interval lies " if found.interval is not None else ""
    return [f"{whole}{side} the fail level of {shown}"]


def _open(rule: Rule, found: Measurement, fail: float | None) -> list[str]:
    """Says that an interval is wide: a share that did not surely fail may still be too high."""
    if not rule.says_what_is_open or fail is None or found.interval is None or found.interval[1] <= fail:
        return []
    reaches = f"the interval reaches above the fail level of {figure(fail, rule.unit)}"
    return [f"{reaches}, so a failing share is not ruled out"]
