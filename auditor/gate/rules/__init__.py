"""The rules of the gate, one file each.

To add a rule here, write a file with a `RULE` and put it into `RULES`. Another package adds one without a change here:
it names a `Rule` in the entry-point group `auditor.rules`, under the rule's own name, or calls `register_rule`.
"""

from __future__ import annotations

import contextlib

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.rules import (
    class_balance,
    class_share,
    classes,
    conflicting_duplicates,
    f1_drop,
    groups,
    leakage,
    marks,
    model_f1,
    near_copies,
    new_suspects,
    picture_faults,
    recovery,
    strangers,
    unreadable,
    wrong_labels,
)
from auditor.gate.rules.base import Rule
from auditor.system.plugins import Plugins, call_theirs

__all__ = ["GROUP", "RULES", "Rule", "all_rules", "measured", "register_rule", "remove_rule"]

GROUP = "auditor.rules"

RULES: tuple[Rule, ...] = (
    wrong_labels.RULE,
    new_suspects.RULE,
    class_share.RULE,
    recovery.RULE,
    model_f1.RULE,
    f1_drop.RULE,
    unreadable.RULE,
    class_balance.RULE,
    conflicting_duplicates.RULE,
    leakage.RULE,
    strangers.RULE,
    near_copies.RULE,
    groups.RULE,
    marks.RULE,
    picture_faults.RULE,
    classes.RULE,
)
"""This package's rules, in the order in which the table shows them."""

_OWN = frozenset(rule.name for rule in RULES)

_others: Plugins[Rule] = Plugins(GROUP, "rule", _OWN)


def register_rule(rule: Rule) -> contextlib.ExitStack:
    """Add a rule for this process.

    Returns
    -------
    A context that removes it at its end. Drop it to keep the addition.

    Raises
    ------
    ConfigError
        There is a rule of this name already.
    """
    return _others.register(rule.name, rule)


def remove_rule(name: str) -> None:
    """Take away what `register_rule` added."""
    _others.remove(name)


def all_rules() -> tuple[Rule, ...]:
    """Every rule: our own in their order, then those from elsewhere by name.

    Raises
    ------
    ConfigError
        A rule of another package cannot be loaded. A gate that left it out would look like a pass.
    """
    return (*RULES, *(_others.called(name, Rule, "auditor.gate.Rule") for name in _others.names()))


def measured(rule: Rule, facts: Facts, levels: Levels) -> Measurement:
    """What a rule measures.

    Raises
    ------
    ConfigError
        A rule of another package failed.
    """
    if rule.name in _OWN:
        return rule.measure(facts, levels)
    return call_theirs(
        f"the rule '{rule.name}'",
        lambda: rule.measure(facts, levels),
        Measurement,
        "a Measurement",
        hint=f"tell those who wrote it, or set enabled = false in [rules.{rule.name}]",
    )
