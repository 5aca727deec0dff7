"""The rules as one plain table: what each measures, in what unit, which way its levels point, and their defaults.

Levels are read from `[rules.NAME]` in `auditor.toml` or `[tool.auditor.rules.NAME]` in `pyproject.toml`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from auditor.config import read_toml
from auditor.errors import ConfigError
from auditor.gate import measure
from auditor.gate.measure import Facts, Measurement

CONFIG_FILES = ("auditor.toml", "pyproject.toml")
"""Where rules are looked for, in this order, when no file is named."""
_TABLES = ("audit", "rules")
"""Tables that a configuration may have; another name is a slip of the pen that would silently switch rules back."""


@dataclass(frozen=True)
class Levels:
    """How strict one rule is.

    Attributes
    ----------
    fail, warn
        Levels in the rule's unit; None where there is no such level.
    enabled
        False switches the rule off.
    probability
        For `new_suspects`: the probability of a wrong label from which an image is a suspect.
    explicit_fail
        True when a person chose the fail level, so that it holds where a default would not.
    """

    fail: float | None
    warn: float | None
    enabled: bool = True
    probability: float | None = None
    explicit_fail: bool = False


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes
    ----------
    name, title, about
        The key in the configuration, the name for people, and what the rule is for.
    at_most
        True when the levels are upper limits, False when they are lower ones.
    unit
        "share" (0 to 1), "count" or "score" (0 to 1).
    measure
        Gives the figure, its interval and the evidence.
    estimated
        True when the figure rests on the audit's estimate, and so on its recovery and its influence solves.
    short_is
        What falling over the fail level means: FAIL, or UNDECIDED where it is the audit that is too weak.
    advice
        What a person does next where the rule did not pass.
    """

    name: str
    title: str
    about: str
    at_most: bool
    unit: Literal["share", "count", "score"]
    measure: Callable[[Facts, Levels], Measurement]
    levels: Levels
    estimated: bool = False
    short_is: Literal["FAIL", "UNDECIDED"] = "FAIL"
    advice: str = ""


RULES: tuple[Rule, ...] = (
    Rule(
        "wrong_labels", "Wrong labels",
        "Estimated share of wrong labels. Fails when the interval's lower end is above `fail`; warns when the estimate "
        "itself is above `warn`.",
        True, "share", measure.wrong_labels, Levels(0.05, 0.02), estimated=True,
        advice="Review the suspects in the audit's report from the top and apply the decisions with `auditor "
               "review apply`. A trusted `--reference` narrows the interval.",
    ),
    Rule(
        "new_suspects", "New suspects",
        "Images whose label is wrong with at least this `probability` and that no baseline entry covers. Warns by "
        "their number; fails when surely more than `fail` of them are wrong. Without a baseline every suspect is new, "
        "so then the default `fail` does not apply.",
        True, "count", measure.new_suspects, Levels(10, 0, probability=0.9), estimated=True,
        advice="Review them in the audit's report and apply the decisions with `auditor review apply`; `auditor "
               "gate --update-baseline` accepts them unseen.",
    ),
    Rule(
        "class_share", "Wrong labels in one class",
        "The same share in the worst class. Intervals are widened for the number of classes looked at.",
        True, "share", measure.class_share, Levels(0.2, 0.1), estimated=True,
        advice="Review this class's suspects first. More images of the class, or a trusted `--reference`, "
               "narrow the interval.",
    ),
    Rule(
        "recovery", "Planted labels found",
        "Share of the planted wrong labels found among as many images as were planted. Below `fail` (by the interval's "
        "lower end), or no better than chance, the audit is too weak to support a verdict: UNDECIDED.",
        False, "share", measure.recovery, Levels(0.2, 0.4), short_is="UNDECIDED",
        advice="Do not rely on this audit's list. More images, a trusted `--reference` or `--weights` trained "
               "on similar pictures let it find more.",
    ),
    Rule(
        "model_f1", "Model F1",
        "Weighted F1 of the model on the test split. Fails when the interval's upper end is below `fail`.",
        False, "score", measure.model_f1, Levels(0.2, 0.5),
        advice="See whether the pictures show their classes at all, and whether `--weights` fit them; after "
               "that, more images.",
    ),
    Rule(
        "f1_drop", "Drop in F1 under noise",
        "How much weighted F1 the planted noise costs. Fails when the interval's lower end is above `fail`.",
        True, "score", measure.f1_drop, Levels(0.2, 0.1),
        advice="A model of these data suffers much from wrong labels: correct them before training, or collect "
               "more images.",
    ),
    Rule(
        "unreadable", "Unreadable images",
        "Share of the entries that could not be used.",
        True, "share", measure.unreadable, Levels(0.01, 0.0),
        advice="Repair or remove these files.",
    ),
    Rule(
        "class_balance", "Class balance",
        "Images in the smallest class for each one in the largest.",
        False, "score", measure.class_balance, Levels(0.01, 0.1),
        advice="Collect images of the smallest class, or lower the level if the classes are meant to be that "
               "uneven.",
    ),
    Rule(
        "conflicting_duplicates", "Identical images, different labels",
        "Groups of identical image files under different labels that a person has not accepted.",
        True, "count", measure.conflicting_duplicates, Levels(0, None),
        advice="Decide which label is right and remove the other copies, or record in the baseline that both "
               "hold.",
    ),
    Rule(
        "leakage", "Leakage",
        "Identical image files in training and test. Where the audit drew the splits itself this only warns.",
        True, "count", measure.leakage, Levels(0, None),
        advice="Remove the copies from one side of the split.",
    ),
)  # fmt: skip

Rules = Mapping[str, Levels]
"""Levels of every rule by its name."""


def default_rules() -> dict[str, Levels]:
    """The levels that hold without a configuration."""
    return {rule.name: rule.levels for rule in RULES}


def find_config(folder: str | Path = ".") -> Path | None:
    """The configuration that holds in `folder`: the first of `CONFIG_FILES` that has rules, or None."""
    for name in CONFIG_FILES:
        path = Path(folder) / name
        if path.is_file() and has_rules(path):
            return path
    return None


def has_rules(path: str | Path) -> bool:
    """Whether a configuration says anything about rules; raises `ConfigError` where it cannot be read."""
    return "rules" in _read(Path(path))


def load_rules(path: str | Path | None = None) -> dict[str, Levels]:
    """Levels from a configuration file, or from the one that holds in the current folder when `path` is None.

    Raises
    ------
    ConfigError
        The file cannot be read, or names an unknown rule or key, or a level of the wrong type or size.
    """
    chosen = find_config() if path is None else Path(path)
    if chosen is None:
        return default_rules()
    return rules_from(_read(chosen).get("rules", {}), where=str(chosen))


def rules_from(tables: Any, *, where: str = "rules") -> dict[str, Levels]:
    """Levels from the `rules` table of a configuration, the defaults standing where it is silent."""
    if not isinstance(tables, Mapping):
        raise ConfigError(f"{where}: 'rules' must hold tables, written as [rules.NAME]")
    rules = default_rules()
    for name, entries in tables.items():
        if name not in rules:
            raise ConfigError(f"{where}: unknown rule '{name}'", hint=_nearest(name, rules))
        if not isinstance(entries, Mapping):
            raise ConfigError(f"{where}: rule '{name}' must be a table, written as [rules.{name}]")
        rules[name] = _levels(next(rule for rule in RULES if rule.name == name), entries, f"{where}: [rules.{name}]")
    return rules


def _levels(rule: Rule, entries: Mapping[str, Any], where: str) -> Levels:
    known = [f for f in ("fail", "warn", "enabled", "probability") if f != "probability" or rule.levels.probability]
    for key in entries:
        if key not in known:
            raise ConfigError(f"{where} has no key '{key}'", hint=_nearest(key, known))
    if not isinstance(entries.get("enabled", True), bool):
        raise ConfigError(f"{where} enabled must be true or false, not {entries['enabled']!r}")
    numbers = {key: _number(rule, key, entries[key], where) for key in known if key in entries and key != "enabled"}
    levels = dataclasses.replace(
        rule.levels, **numbers, enabled=entries.get("enabled", True), explicit_fail="fail" in entries
    )
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
    """Warning comes before failing. A `fail` alone that is stricter than the default warning warns too, by the figure
    itself; a laxer `warn` alone is an error, because a rule must not lose the level it fails on without anybody having
    said so."""
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
    """A configuration, all of whose tables are known."""
    document = read_toml(path)
    for name in document:
        if name not in _TABLES:
            raise ConfigError(f"{path}: unknown table '{name}'", hint=_right_table(name, path))
    return document


def _right_table(name: str, path: Path) -> str:
    """The table that was meant; a rule without `rules.` before it is a common slip."""
    parent = "tool.auditor.rules" if path.name == "pyproject.toml" else "rules"
    return f"write [{parent}.{name}]" if name in default_rules() else _nearest(name, _TABLES)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    # A part of a name, such as f1, is too short to be alike; every name that holds it is meant.
    near = near or [other for other in known if len(name) > 1 and name.lower() in other]
    meant = " or ".join(f"'{other}'" for other in near)
    return f"did you mean {meant}?" if near else f"known are: {', '.join(known)}"
