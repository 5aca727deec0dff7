"""How strict the rules are: levels from `[rules.NAME]` in a configuration file, or the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.config import read_toml
from auditor.errors import ConfigError
from auditor.gate.facts import Levels
from auditor.gate.rules import Rule, all_rules
from auditor.system.text import did_you_mean

CONFIG_FILES = ("auditor.toml", "pyproject.toml")
"""Where rules are looked for, in this order, when no file is named."""

_TABLES = ("audit", "rules")
"""Tables that a configuration may have. Another name is a slip of the pen, and the defaults would hold unnoticed."""

_NUMBERS = ("fail", "warn", "probability")

_KEYS = (*_NUMBERS, "enabled", "undecided")
"""Keys of a rule's table."""

Rules = Mapping[str, Levels]
"""Levels of every rule by the rule's name."""


def default_rules() -> dict[str, Levels]:
    """The levels that hold without a configuration."""
    return {rule.name: rule.levels for rule in all_rules()}


def find_config(folder: str | Path = ".") -> Path | None:
    """The configuration that holds in `folder`: the first of `CONFIG_FILES` that has rules, or None."""
    for name in CONFIG_FILES:
        path = Path(folder) / name
        if path.is_file() and has_rules(path):
            return path
    return None


def has_rules(path: str | Path) -> bool:
    """Whether a configuration says anything about rules.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    return "rules" in _read(Path(path))


def load_rules(path: str | Path | None = None) -> dict[str, Levels]:
    """Levels from a configuration file, or from the one that holds in the current folder when `path` is None.

    Raises
    ------
    ConfigError
        The file cannot be read. Or it names an unknown rule or key, or a level of the wrong type or size.
    """
    chosen = find_config() if path is None else Path(path)
    if chosen is None:
        return default_rules()
    return rules_from(_read(chosen).get("rules", {}), where=str(chosen))


def rules_from(tables: Any, *, where: str = "rules") -> dict[str, Levels]:
    """Levels from the `rules` table of a configuration. Where it says nothing the defaults hold.

    Parameters
    ----------
    tables
        What the file holds under `rules`.
    where
        The file, for messages.

    Raises
    ------
    ConfigError
        Something in it is wrong.
    """
    if not isinstance(tables, Mapping):
        raise ConfigError(f"{where}: 'rules' must hold tables, written as [rules.NAME]")
    known = {rule.name: rule for rule in all_rules()}
    levels = {name: rule.levels for name, rule in known.items()}
    for name, entries in tables.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown rule '{name}'", hint=did_you_mean(name, known))
        if not isinstance(entries, Mapping):
            raise ConfigError(f"{where}: rule '{name}' must be a table, written as [rules.{name}]")
        levels[name] = _levels(known[name], entries, f"{where}: [rules.{name}]")
    return levels


def _levels(rule: Rule, entries: Mapping[str, Any], where: str) -> Levels:
    known = [f for f in _KEYS if f != "probability" or rule.levels.probability]
    for key in entries:
        if key not in known:
            raise ConfigError(f"{where} has no key '{key}'", hint=did_you_mean(key, known))
    if not isinstance(entries.get("enabled", True), bool):
        raise ConfigError(f"{where} enabled must be true or false, not {entries['enabled']!r}")
    undecided = entries.get("undecided", "undecided")
    if undecided not in ("undecided", "warn"):
        raise ConfigError(f'{where} undecided must be "undecided" or "warn", not {undecided!r}')
    numbers = {key: _number(rule, key, entries[key], where) for key in _NUMBERS if key in entries}
    levels = dataclasses.replace(
        rule.levels,
        **numbers,
        enabled=entries.get("enabled", True),
        explicit_fail="fail" in entries,
        undecided=undecided,
    )
    if entries.get("enabled") is True and rule.waits(levels):
        raise ConfigError(f"{where} has no level, so the rule stays off", hint="give it warn or fail, or both")
    return _ordered(rule, levels, entries, where)


def _number(rule: Rule, key: str, value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        hint = "5% is written 0.05, without quotes" if isinstance(value, str) and rule.unit != "count" else ""
        raise ConfigError(f"{where} {key} must be a number, not {value!r}", hint=hint)
    if key == "probability" and not 0 < value <= 1:
        raise ConfigError(f"{where} {key} must be above 0 and at most 1, not {value!r}")
    if rule.unit != "count" and not 0 <= value <= 1:
        raise ConfigError(f"{where} {key} must be between 0 and 1, not {value!r}", hint="5% is written 0.05")
    if value < 0 or value == float("inf"):
        raise ConfigError(f"{where} {key} must be a finite number of at least 0, not {value!r}")
    return value


def _ordered(rule: Rule, levels: Levels, entries: Mapping[str, Any], where: str) -> Levels:
    """The levels, with the warning before the failure.

    If only `fail` is set, and it is stricter than the default `warn`, it is the warning level too. If only `warn` is
    set, and it is laxer than the default `fail`, that is an error: the rule would never fail, and nobody said so.
    """
    if levels.fail is None or levels.warn is None:
        return levels
    if (levels.warn <= levels.fail) if rule.at_most else (levels.warn >= levels.fail):
        return levels
    if "warn" not in entries:
        return dataclasses.replace(levels, warn=levels.fail)
    side = "above" if rule.at_most else "below"
    default = "" if "fail" in entries else "the default "
    raise ConfigError(
        f"{where} warn = {levels.warn!r} lies {side} {default}fail = {levels.fail!r} and would never warn",
        hint="" if "fail" in entries else "give a fail level as well",
    )


def _read(path: Path) -> Mapping[str, Any]:
    """A configuration whose tables are all known."""
    document = read_toml(path)
    for name in document:
        if name not in _TABLES:
            raise ConfigError(f"{path}: unknown table '{name}'", hint=_right_table(name, path))
    return document


def _right_table(name: str, path: Path) -> str:
    """The table that was meant. People often forget the `rules.` before a rule."""
    parent = "tool.auditor.rules" if path.name == "pyproject.toml" else "rules"
    return f"write [{parent}.{name}]" if name in default_rules() else did_you_mean(name, _TABLES)
