"""docs/gate.md: its examples run, and its table has the levels that hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from builders import make_result
from helpers import PROJECT

from auditor.gate import RULES, all_rules, default_rules, evaluate, outputs, remove_rule
from auditor.gate.levels import rules_from
from auditor.result import AuditResult

PAGE = (PROJECT / "docs" / "gate.md").read_text(encoding="utf-8")


def _examples(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    assert found
    return [str(text) for text in found]


def test_the_configuration_on_the_page_is_read() -> None:
    (text,) = _examples("toml")
    rules = rules_from(tomllib.loads(text)["rules"])
    assert rules["wrong_labels"].fail == 0.05 and not rules["leakage"].enabled


def test_the_rule_on_the_page_judges(wrong: AuditResult) -> None:
    exec(compile(_examples("python")[0], "docs/gate.md", "exec"), {})
    try:
        outcome = evaluate(wrong, default_rules()).rules[-1]
        assert outcome.rule == "smallest_class" and outcome.verdict == "PASS" and "images" in outcome.message
    finally:
        remove_rule("smallest_class")
    assert all_rules() == RULES


def test_the_lines_for_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "OUT").mkdir()
    make_result(n=300, share_wrong=0.3, thumbnails=0, examples=0).save(tmp_path / "OUT")
    exec(compile(_examples("python")[1], "docs/gate.md", "exec"), {})
    assert capsys.readouterr().out == "FAIL 1\n" and (tmp_path / "verdict.json").is_file()


def test_the_table_has_every_rule_with_its_default_levels() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \| ([^|]+) \|$", PAGE, re.M)
    said = {
        name: tuple(None if word == "-" else float(word.split(",")[0]) for word in levels) for name, *levels in rows
    }
    assert said == {rule.name: (rule.levels.fail, rule.levels.warn) for rule in RULES}


def test_the_page_names_every_format() -> None:
    named = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE.partition("## Outputs")[2], re.M)
    assert sorted(named) == list(outputs.OWN)
