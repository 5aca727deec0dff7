"""A rule and an output that do not come with this package: registered by a program, or declared by a package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from builders import make_result

from auditor.errors import ConfigError, ExitCode
from auditor.gate import (
    RULES,
    Facts,
    GateRequest,
    Judgement,
    Levels,
    Measurement,
    Rule,
    Verdict,
    all_rules,
    default_rules,
    evaluate,
    init_file,
    outputs,
    register_output,
    register_rule,
    remove_output,
    remove_rule,
    run,
)
from auditor.result import AuditResult


def _smallest(facts: Facts, levels: Levels) -> Measurement:
    counts = facts.summary["dataset"]["counts"]
    name = min(counts, key=lambda label: (counts[label], label))
    evidence = ({"label": name, "n": counts[name]},)
    return Measurement(float(counts[name]), None, f"the class '{name}' has {counts[name]} images", evidence)


SMALLEST = Rule(
    name="smallest_class",
    title="Smallest class",
    about="Images in the smallest class.",
    unit="count",
    at_most=False,
    levels=Levels(fail=1, warn=2),
    measure=_smallest,
    advice="Collect images of this class.",
)


class Telegram:
    """An output format: the verdict and the rules that did not pass."""

    name = "telegram"

    def render(self, verdict: Verdict, result: AuditResult) -> str:
        return f"{verdict.verdict} {' '.join(outcome.rule for outcome in verdict.noted)} STOP\n"


@pytest.fixture
def registered() -> Iterator[None]:
    register_rule(SMALLEST)
    register_output(Telegram())
    yield
    remove_rule("smallest_class")
    remove_output("telegram")


PACKAGE = """
from auditor.gate import Levels, Measurement, Rule
def measure(facts, levels):
    counts = facts.summary["dataset"]["counts"]
    return Measurement(float(min(counts.values())), None, "the smallest class was counted")
RULE = Rule(name="smallest_class", title="Smallest class", about="Images in the smallest class.", unit="count",
            at_most=False, levels=Levels(fail=1, warn=2), measure=measure, advice="Collect images of this class.")
name = "telegram"
def render(verdict, result):
    return f"{verdict.verdict} {' '.join(outcome.rule for outcome in verdict.noted)} STOP\\n"
"""


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package `theirs` with the given entry points."""

    def install(points: str) -> None:
        site = tmp_path / "site"
        (site / "theirs-1.0.dist-info").mkdir(parents=True)
        (site / "theirs.py").write_text(PACKAGE)
        (site / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
        (site / "theirs-1.0.dist-info" / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, "theirs", raising=False)

    return install


RULE_POINT = "[auditor.rules]\nsmallest_class = theirs:RULE\n"
OUTPUT_POINT = "[auditor.outputs]\ntelegram = theirs\n"
OWN = ("json", "junit", "sarif", "gitlab", "github", "markdown")


def _judge_with_both(out: Path) -> None:
    """The rule's levels come from the configuration, its verdict stands in every output, and the output is written."""
    (out.parent / "auditor.toml").write_text("[rules.smallest_class]\nfail = 1000\nwarn = 2000\n")
    words = [f"{kind}=v.{kind}" for kind in (*OWN, "telegram")]
    done = run(out, GateRequest(outputs=words))
    assert done.verdict is not None and done.exit_code is ExitCode.GATE_FAILED
    outcome = done.verdict.rules[-1]
    assert (outcome.rule, outcome.verdict, outcome.fail, outcome.warn) == ("smallest_class", Judgement.FAIL, 1000, 2000)
    assert "FAIL smallest_class: The " in done.stdout and "below the fail level of 1000" in done.stdout
    assert "Next: Collect images of this class." in done.stdout
    text = {kind: (out.parent / f"v.{kind}").read_text("utf-8") for kind in (*OWN, "telegram")}
    assert text["telegram"].startswith("FAIL ") and text["telegram"].endswith("smallest_class STOP\n")
    assert json.loads(text["json"])["rules"][-1]["rule"] == "smallest_class"
    assert "smallest_class" in {case.get("name") for case in ET.fromstring(text["junit"]).iter("testcase")}
    driver = json.loads(text["sarif"])["runs"][0]
    assert driver["tool"]["driver"]["rules"][-1]["id"] == "smallest_class"
    note = driver["invocations"][0]["toolExecutionNotifications"][-1]
    assert (note["level"], note["associatedRule"]["id"]) == ("error", "smallest_class")
    gitlab = {entry["check_name"]: entry["severity"] for entry in json.loads(text["gitlab"])}
    assert gitlab["auditor/smallest_class"] == "critical"
    assert "title=auditor gate%3A smallest_class FAIL" in text["github"]
    assert "smallest&#95;class" in text["markdown"]


@pytest.mark.usefixtures("registered")
def test_a_rule_and_an_output_that_a_program_registers_judge_and_are_written(out: Path) -> None:
    _judge_with_both(out)


def test_a_rule_and_an_output_that_a_package_declares_judge_and_are_written(
    out: Path, declared: Callable[[str], None]
) -> None:
    declared(RULE_POINT + OUTPUT_POINT)
    _judge_with_both(out)


def test_the_command_judges_by_a_rule_from_outside(
    out: Path, declared: Callable[[str], None], run_cli: Callable[..., Any]
) -> None:
    declared(RULE_POINT + OUTPUT_POINT)
    (out.parent / "auditor.toml").write_text("[rules.smallest_class]\nfail = 1000\nwarn = 1000\n")
    done = run_cli("gate", out, "--output", "telegram=t.txt")
    assert done.exit_code == 1 and "FAIL smallest_class" in done.stdout, done.output
    assert (out.parent / "t.txt").read_text().endswith("smallest_class STOP\n")


def test_what_was_registered_can_be_taken_away_again(wrong: AuditResult) -> None:
    before = default_rules()
    register_rule(SMALLEST)
    assert all_rules() == (*RULES, SMALLEST)
    levels = default_rules()
    assert levels == {**before, "smallest_class": SMALLEST.levels}
    assert evaluate(wrong, before).rules[-1].rule == "smallest_class", "levels that were loaded before: the defaults"
    assert "[rules.smallest_class]\nfail = 1\nwarn = 2\n" in init_file(wrong)
    remove_rule("smallest_class")
    assert default_rules() == before and all_rules() == RULES
    assert evaluate(wrong, levels).rules[-1].rule == [rule for rule in RULES if not rule.only_if_asked][-1].name


@pytest.mark.usefixtures("registered")
def test_a_rule_from_outside_is_switched_off_like_any_other(out: Path) -> None:
    (out.parent / "auditor.toml").write_text("[rules.smallest_class]\nenabled = false\n")
    verdict = run(out).verdict
    assert verdict is not None and verdict.switched_off == ("smallest_class",)


@pytest.mark.usefixtures("registered")
def test_a_name_that_is_taken_is_refused() -> None:
    for rule in (SMALLEST, RULES[0]):
        with pytest.raises(ConfigError, match=f"the rule '{rule.name}' is there already"):
            register_rule(rule)
    with pytest.raises(ConfigError, match="the output format 'telegram' is there already"):
        register_output(Telegram())


def test_a_rule_of_another_package_that_fails_is_named(wrong: AuditResult) -> None:
    def broken(facts: Facts, levels: Levels) -> Any:
        raise KeyError("x")

    def nothing(facts: Facts, levels: Levels) -> Any:
        return 0.5

    for measure, says in ((broken, "failed: KeyError: 'x'"), (nothing, "gave float, not a Measurement")):
        register_rule(Rule("odd", "Odd", "", "count", True, Levels(1, None), measure))
        try:
            with pytest.raises(ConfigError, match=f"the rule 'odd' {says}") as raised:
                evaluate(wrong, default_rules())
            assert "enabled = false in [rules.odd]" in raised.value.hint
        finally:
            remove_rule("odd")


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (
            "[auditor.rules]\nodd = no_such_module_anywhere:RULE\n",
            "the rule 'odd' cannot be loaded from no_such_module",
        ),
        ("[auditor.rules]\nodd = theirs:measure\n", "'odd' of auditor.rules is not a rule of that name"),
        ("[auditor.rules]\nodd = theirs:RULE\n", "'odd' of auditor.rules is not a rule of that name"),
    ],
)
def test_a_package_with_a_broken_rule_is_named_and_nothing_passes_without_it(
    out: Path, declared: Callable[[str], None], points: str, says: str
) -> None:
    declared(points)
    with pytest.raises(ConfigError) as raised:
        run(out)
    assert says in raised.value.message and raised.value.exit_code is ExitCode.USAGE


def test_our_own_names_cannot_be_taken_by_another_package(declared: Callable[[str], None]) -> None:
    declared("[auditor.rules]\nleakage = theirs:RULE\n[auditor.outputs]\njson = theirs\n")
    assert all_rules() == RULES
    assert outputs.get("json").__name__ == "auditor.gate.outputs.json"  # type: ignore[attr-defined]


def test_a_rule_without_a_figure_is_undecided() -> None:
    result = make_result(n=60, thumbnails=0, examples=0)
    register_rule(Rule("empty", "Empty", "", "count", True, Levels(1, None), lambda facts, levels: Measurement(None)))
    try:
        outcome = evaluate(result, default_rules()).rules[-1]
        assert (outcome.verdict, outcome.message) == (Judgement.UNDECIDED, "Undecided: nothing could be measured.")
    finally:
        remove_rule("empty")
