"""`gate --init`: writes a commented configuration with levels that the data set meets today."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import tomllib

from auditor.certificate.documents import CertificateDocument
from auditor.gate.evaluate import decide, gather
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure, interval
from auditor.gate.levels import rules_from
from auditor.gate.rules import Rule, all_rules, measured
from auditor.gate.verdict import Judgement
from auditor.result import AuditResult, complete_result
from auditor.system.text import plain

_HEAD = """\
# Levels of `auditor gate`, written by `auditor gate --init` from audit {audit} of {dataset}.
#
# Each level is the default. Where the data set does not meet the default yet, the level is what that audit measured.
# So the gate does not fail today, and fails when things surely get worse. Make the levels stricter as labels improve.
#
# A rule fails when its figure is surely beyond `fail`. It passes when the figure surely lies within `warn`. In between
# it warns. Where the interval holds `fail`, nobody can tell: the rule is undecided (exit code 3), and says how many
# looks would decide it. `undecided = "warn"` makes that a warning. It stands below where today's audit cannot tell.
# To decide, draw a sample with `auditor review sample OUT -n 100`, look at it in the report, and apply the decisions.
# From then on the gate judges by the certificate of these looks, and you can remove the line.
#
# `enabled = false` switches a rule off.
"""


def init_file(result: AuditResult, certificate: CertificateDocument | None = None) -> str:
    """A commented `auditor.toml` from a first audit. `load_rules` reads it back.

    A default level that the data meets is kept. One that the data misses is moved to the measured figure, rounded to
    the lenient side. A rule fails when its whole interval lies beyond, so today's figure does not fail, and one that is
    surely worse does. Where today's interval holds the level, the file asks for a warning until somebody looks.
    """
    with complete_result():
        facts = gather(result, None, certificate)
        parts = [_HEAD.format(audit=plain(result.audit_id), dataset=plain(str(result.summary["dataset"]["name"])))]
        for rule in all_rules():
            if rule.only_if_asked:
                parts.append(_offered(rule, facts))
                continue
            # Without a fail level the worst class is the one with the highest figure. Which one surely misses the
            # default does not count.
            found = measured(rule, facts, dataclasses.replace(rule.levels, fail=None))
            parts.append(_table(rule, found, facts))
    text = "\n".join(parts)
    rules_from(tomllib.loads(text)["rules"])
    return text


def _offered(rule: Rule, facts: Facts) -> str:
    """A rule that is off, as a comment: what the audit found, and how to switch it on."""
    found = measured(rule, facts, rule.levels)
    known = not found.undecided and found.value is not None
    said = _measured_as(found, rule) if known else "nothing could be measured"
    about = facts.noun.of(f"{rule.title}. {rule.about}")
    lines = textwrap.wrap(about, 116, initial_indent="# ", subsequent_indent="# ")
    return "\n".join([*lines, f"# First audit: {said}.", f"# [rules.{rule.name}]", "# warn = 0"]) + "\n"


def _measured_as(found: Measurement, rule: Rule) -> str:
    said = "nothing could be measured" if found.value is None else f"measured {figure(found.value, rule.unit)}"
    return said + (f", 95% interval {interval(found.interval, rule.unit)}" if found.interval is not None else "")


def _table(rule: Rule, found: Measurement, facts: Facts) -> str:
    levels = _met(rule, found)
    again = measured(rule, facts, levels)
    if decide(rule, levels, again, "").verdict is Judgement.FAIL:
        # The class that surely fails is not the one that may be worst.
        levels = _met(rule, again)
    about = textwrap.wrap(
        facts.noun.of(f"{rule.title}. {rule.about}"), 116, initial_indent="# ", subsequent_indent="# "
    )
    lines = [*about, f"# First audit: {_measured_as(found, rule)}.", f"[rules.{rule.name}]"]
    if levels.fail is not None:
        # Written down, a level holds at once. A default that waits for a baseline therefore stands in a comment.
        waits = rule.fail_needs_baseline
        lines.append(f"{'# ' if waits else ''}fail = {levels.fail:g}" + ("  # once there is a baseline" * waits))
    if levels.warn is not None:
        lines.append(f"warn = {levels.warn:g}")
    if levels.probability is not None:
        lines.append(f"probability = {levels.probability:g}")
    return "\n".join([*lines, *_undecided(rule, levels, facts)]) + "\n"


def _undecided(rule: Rule, levels: Levels, facts: Facts) -> list[str]:
    """The line that asks for a warning, where today's audit cannot tell; above it, what would decide."""
    waits = rule.fail_needs_baseline
    held = dataclasses.replace(levels, fail=None if waits else levels.fail)
    found = measured(rule, facts, held)
    decided = decide(rule, held, found, found.undecided)
    if not decided.open:
        return []
    said = facts.noun.of(decided.decider.sentence) if decided.decider is not None else ""
    why = f"Today's audit cannot tell{f': {said}' if said else ''}."
    return [*textwrap.wrap(why, 116, initial_indent="# ", subsequent_indent="# "), 'undecided = "warn"']


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
