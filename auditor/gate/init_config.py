"""`gate --init`: writes a commented configuration with levels that the data set meets today."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import tomllib

from auditor.gate.evaluate import gather
from auditor.gate.facts import Levels, Measurement
from auditor.gate.figures import figure, interval
from auditor.gate.levels import rules_from
from auditor.gate.rules import Rule, all_rules, measured
from auditor.result import AuditResult, complete_result
from auditor.system.text import plain

_HEAD = """\
# Levels of `auditor gate`, written by `auditor gate --init` from audit {audit} of {dataset}.
#
# Each level is the default. Where the data set does not meet the default yet, the level is what that audit measured.
# So the gate does not fail today, and fails when things surely get worse. Make the levels stricter as labels improve.
#
# A rule fails on its `fail` level and warns on its `warn` level. `enabled = false` switches it off.
"""


def init_file(result: AuditResult) -> str:
    """A commented `auditor.toml` from a first audit. `load_rules` reads it back.

    A default level that the data meets is kept. One that the data misses is moved to the measured figure, rounded to
    the lenient side. A rule fails by the far end of its interval, so today's figure does not fail, and one that is
    surely worse does.
    """
    with complete_result():
        facts = gather(result, None)
        parts = [_HEAD.format(audit=plain(result.audit_id), dataset=plain(str(result.summary["dataset"]["name"])))]
        for rule in all_rules():
            # Without a fail level the worst class is the one with the highest figure. Which one surely misses the
            # default does not count.
            found = measured(rule, facts, dataclasses.replace(rule.levels, fail=None))
            parts.append(_table(rule, found))
    text = "\n".join(parts)
    rules_from(tomllib.loads(text)["rules"])
    return text


def _table(rule: Rule, found: Measurement) -> str:
    levels = _met(rule, found)
    about = textwrap.wrap(f"{rule.title}. {rule.about}", 116, initial_indent="# ", subsequent_indent="# ")
    said = "nothing could be measured" if found.value is None else f"measured {figure(found.value, rule.unit)}"
    if found.interval is not None:
        said += f", 95% interval {interval(found.interval, rule.unit)}"
    lines = [*about, f"# First audit: {said}.", f"[rules.{rule.name}]"]
    if levels.fail is not None:
        # Written down, a level holds at once. A default that waits for a baseline therefore stands in a comment.
        waits = rule.fail_needs_baseline
        lines.append(f"{'# ' if waits else ''}fail = {levels.fail:g}" + ("  # once there is a baseline" * waits))
    if levels.warn is not None:
        lines.append(f"warn = {levels.warn:g}")
    if levels.probability is not None:
        lines.append(f"probability = {levels.probability:g}")
    return "\n".join(lines) + "\n"


def _met(rule: Rule, found: Measurement) -> Levels:
    """The rule's levels, more lenient where the measurement does not meet them."""
    levels = rule.levels
    if found.value is None or rule.short_is == "UNDECIDED" or rule.fail_needs_baseline:
        return levels
    fail, warn = (_eased(rule, level, found.value) for level in (levels.fail, levels.warn))
    return Levels(fail, warn, probability=levels.probability)


def _eased(rule: Rule, default: float | None, figure: float) -> float | None:
    if default is None:
        return None
    step, highest = (1.0, math.inf) if rule.unit == "count" else (100.0, 1.0)
    if rule.at_most:
        return max(default, min(math.ceil(figure * step - 1e-9) / step, highest))
    return min(default, max(math.floor(figure * step + 1e-9) / step, 0.0))
