"""`gate --init`: a commented configuration whose levels the data set meets as it stands today."""

from __future__ import annotations

import dataclasses
import math
import textwrap

from auditor.gate.evaluate import gather
from auditor.gate.facts import Levels, Measurement
from auditor.gate.levels import rules_from
from auditor.gate.rules import RULES, Rule
from auditor.gate.wording import figure, interval
from auditor.result import AuditResult, complete_result
from auditor.system.text import plain

_HEAD = """\
# Levels of `auditor gate`, written by `auditor gate --init` from audit {audit} of {dataset}.
#
# Each level is the default, or what that audit measured where the data set does not meet the default yet: the gate
# does not fail today, and fails when things are surely worse. Tighten the levels as the labels get better.
#
# A rule fails on its `fail` level and warns on its `warn` level; `enabled = false` switches it off.
"""


def init_file(result: AuditResult) -> str:
    """A commented `auditor.toml` derived from a first audit; `load_rules` reads it back.

    A default level that the data meets is kept. One that it misses is moved to the figure that was measured, rounded to
    the lenient side: a rule fails by the far end of its interval, so that today's figure does not fail on itself and
    one that is surely worse does.
    """
    with complete_result():
        facts = gather(result, None)
        name = plain(str(result.summary["dataset"]["name"]))
        parts = [_HEAD.format(audit=plain(result.audit_id), dataset=name)]
        # Without a fail level the worst class is the one with the highest figure, whichever surely misses the default.
        measured = [rule.measure(facts, dataclasses.replace(rule.levels, fail=None)) for rule in RULES]
        parts += [_table(rule, found) for rule, found in zip(RULES, measured, strict=True)]
    text = "\n".join(parts)
    rules_from(_parsed(text))
    return text


def _table(rule: Rule, found: Measurement) -> str:
    levels = _met(rule, found)
    about = textwrap.wrap(f"{rule.title}. {rule.about}", 116, initial_indent="# ", subsequent_indent="# ")
    measured = "nothing could be measured" if found.value is None else f"measured {figure(found.value, rule.unit)}"
    if found.interval is not None:
        measured += f", 95% interval {interval(found.interval, rule.unit)}"
    lines = [*about, f"# First audit: {measured}.", f"[rules.{rule.name}]"]
    if levels.fail is not None:
        # A default `fail` of this rule waits for a baseline; written down it would hold at once.
        waits = rule.name == "new_suspects"
        lines.append(f"{'# ' if waits else ''}fail = {levels.fail:g}" + ("  # once there is a baseline" * waits))
    if levels.warn is not None:
        lines.append(f"warn = {levels.warn:g}")
    if levels.probability is not None:
        lines.append(f"probability = {levels.probability:g}")
    return "\n".join(lines) + "\n"


def _met(rule: Rule, found: Measurement) -> Levels:
    """The rule's levels, eased where the measurement does not meet them."""
    levels = rule.levels
    if found.value is None or rule.short_is == "UNDECIDED" or rule.name == "new_suspects":
        return levels
    fail, warn = (_eased(rule, level, found.value) for level in (levels.fail, levels.warn))
    return Levels(fail, warn, probability=levels.probability)


def _eased(rule: Rule, default: float | None, measured: float) -> float | None:
    if default is None:
        return None
    step, highest = (1.0, math.inf) if rule.unit == "count" else (100.0, 1.0)
    if rule.at_most:
        return max(default, min(math.ceil(measured * step - 1e-9) / step, highest))
    return min(default, max(math.floor(measured * step + 1e-9) / step, 0.0))


def _parsed(text: str) -> object:
    import tomllib

    return tomllib.loads(text)["rules"]
