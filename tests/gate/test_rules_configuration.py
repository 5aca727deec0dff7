"""`[rules.NAME]` in both files: what is taken, what is refused, and which right name the refusal gives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from builders import make_result
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from auditor.config import read_settings
from auditor.errors import ConfigError, ExitCode
from auditor.gate import RULES, Judgement, Levels, default_rules, evaluate, init_file, load_rules
from auditor.gate.levels import find_config, rules_from


def write(folder: Path, text: str, name: str = "auditor.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_both_files_are_read_and_auditor_toml_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_rules() == default_rules()
    write(tmp_path, "[tool.other]\nx = 1\n", "pyproject.toml")
    assert find_config() is None
    write(tmp_path, "[tool.auditor.rules.wrong_labels]\nfail = 0.2\n", "pyproject.toml")
    assert load_rules()["wrong_labels"].fail == 0.2
    write(
        tmp_path, "[audit]\nseed = 3\n[rules.wrong_labels]\nfail = 0.3\nwarn = 0.1\n[rules.leakage]\nenabled = false\n"
    )
    rules = load_rules()
    assert (rules["wrong_labels"].fail, rules["wrong_labels"].warn) == (0.3, 0.1)
    assert not rules["leakage"].enabled
    assert rules["recovery"] == default_rules()["recovery"]
    assert load_rules(tmp_path / "pyproject.toml")["wrong_labels"].fail == 0.2


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("[rules.wrong_lables]\nfail = 0.1\n", "unknown rule 'wrong_lables'", "did you mean 'wrong_labels'?"),
        ("[rules.leakge]\nenabled = false\n", "unknown rule 'leakge'", "did you mean 'leakage'?"),
        ("[rules.wrong_labels]\nfails = 0.1\n", "no key 'fails'", "did you mean 'fail'?"),
        ("[rules.leakage]\nprobability = 0.5\n", "no key 'probability'", "known are"),
        ("[rules.f1]\nfail = 0.1\n", "unknown rule 'f1'", "did you mean 'model_f1' or 'f1_drop'?"),
        ("[wrong_labels]\nfail = 0.1\n", "unknown table 'wrong_labels'", "write [rules.wrong_labels]"),
        ("[rules.wrong_labels]\nfail = '5%'\n", "fail must be a number, not '5%'", "without quotes"),
        ("[rules.wrong_labels]\nwarn = 0.2\n", "lies above the default fail = 0.05", "give a fail level as well"),
        ("[rules.recovery]\nwarn = 0.1\n", "lies below the default fail = 0.2", "give a fail level as well"),
        ("[rules.wrong_labels]\nfail = true\n", "fail must be a number, not True", ""),
        ("[rules.wrong_labels]\nfail = 5\n", "fail must be between 0 and 1, not 5", "5% is written 0.05"),
        ("[rules.new_suspects]\nfail = -1\n", "fail must be a finite number of at least 0", ""),
        ("[rules.new_suspects]\nfail = nan\n", "fail must be a number", ""),
        ("[rules.new_suspects]\nfail = inf\n", "fail must be a finite number", ""),
        ("[rules.new_suspects]\nprobability = 0\n", "probability must be above 0", ""),
        ("[rules.wrong_labels]\nenabled = 1\n", "enabled must be true or false", ""),
        ("[rules.wrong_labels]\nfail = 0.1\nwarn = 0.2\n", "would never warn", ""),
        ("[rules.recovery]\nfail = 0.5\nwarn = 0.2\n", "would never warn", ""),
        ("[rules]\nwrong_labels = 0.05\n", "must be a table, written as [rules.wrong_labels]", ""),
        ("rules = 3\n", "'rules' must hold tables", ""),
        ("[rule.wrong_labels]\nfail = 0.1\n", "unknown table 'rule'", "did you mean 'rules'?"),
        ("[rules.wrong_labels\n", "is not valid TOML", ""),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_the_nearest_right_name(
    tmp_path: Path, text: str, says: str, hint: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_rules(path)
    assert says in raised.value.message
    assert "\n" not in raised.value.message
    assert str(path) in raised.value.message
    assert hint in raised.value.hint
    assert raised.value.exit_code is ExitCode.USAGE


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_rules(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_rules(tmp_path / "binary.toml")
    with pytest.raises(ConfigError, match="must be a table"):
        load_rules(write(tmp_path, "[tool]\nauditor = 1\n", "pyproject.toml"))


def test_a_stricter_fail_level_alone_warns_too_and_no_fail_level_is_lost_unsaid() -> None:
    assert rules_from({"wrong_labels": {"fail": 0.01}})["wrong_labels"].warn == 0.01
    assert rules_from({"recovery": {"fail": 0.5}})["recovery"].warn == 0.5
    assert rules_from({"wrong_labels": {"fail": 1, "warn": 0.2}})["wrong_labels"].fail == 1


def test_settings_in_one_file_and_rules_in_the_other_are_both_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "[audit]\nseed = 3\n")
    write(tmp_path, "[tool.auditor.rules.wrong_labels]\nfail = 0.2\n", "pyproject.toml")
    assert load_rules()["wrong_labels"].fail == 0.2
    assert read_settings() == {"seed": 3}
    write(tmp_path, "[rules.wrong_labels]\nfail = 0.3\n")
    write(tmp_path, "[tool.auditor.audit]\nnoise-rate = 0.2\n", "pyproject.toml")
    assert load_rules()["wrong_labels"].fail == 0.3
    assert read_settings() == {"noise_rate": 0.2}


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    n=st.integers(300, 400),
    classes=st.integers(2, 5),
    share=st.floats(0.0, 0.5),
    seed=st.integers(0, 99),
    calibrated=st.booleans(),
)
@example(n=300, classes=4, share=0.5, seed=4, calibrated=True)  # the worst class is not the one that surely fails
def test_the_file_of_init_is_met_by_the_audit_it_came_from(
    n: int, classes: int, share: float, seed: int, calibrated: bool
) -> None:
    result = make_result(
        n=n, classes=classes, share_wrong=share, seed=seed, calibrated=calibrated, thumbnails=0, examples=0
    )
    result.summary["dataset"]["name"] = "photos\n[rules.evil]\nfail = 1"
    import tomllib

    rules = rules_from(tomllib.loads(init_file(result))["rules"])
    assert set(rules) == {rule.name for rule in RULES}
    verdict = evaluate(result, rules)
    assert verdict.verdict is not Judgement.FAIL
    lacking = [o for o in verdict.rules if o.verdict is Judgement.UNDECIDED]
    assert not any("holds the fail level" in o.message for o in lacking), "what looks would decide is a warning"
    exact = {o.rule: o.verdict for o in verdict.rules if o.interval is None and o not in lacking}
    assert set(exact.values()) <= {Judgement.PASS}


def test_init_comments_every_rule_and_eases_only_what_is_not_met() -> None:
    result = make_result(n=400, share_wrong=0.15, thumbnails=0, examples=0)
    text = init_file(result)
    for rule in RULES:
        assert f"[rules.{rule.name}]" in text
    rules = load_rules_text(text)
    assert rules["wrong_labels"].fail > 0.15
    assert rules["model_f1"] == rules_from({"model_f1": {"fail": 0.2, "warn": 0.5}})["model_f1"]
    assert text == init_file(result)


def test_init_keeps_a_level_that_the_data_meets_however_wide_the_interval() -> None:
    result = make_result(n=400, share_wrong=0.0, thumbnails=0, examples=0)
    result.summary["calibration"]["share"] = {"value": 0.0, "interval": [0.0, 0.19]}
    rules = load_rules_text(init_file(result))
    assert (rules["wrong_labels"].fail, rules["wrong_labels"].warn) == (0.05, 0.02)
    assert rules["wrong_labels"].undecided == "warn", "and today nobody can tell"
    assert "# Today's audit cannot tell: " in init_file(result)
    assert evaluate(result, rules).rules[0].verdict is Judgement.WARN
    result.summary["calibration"]["share"] = {"value": 0.0, "interval": [0.0, 0.019]}
    assert load_rules_text(init_file(result))["wrong_labels"].undecided == "undecided"


def test_init_explains_the_looks_that_decide() -> None:
    text = init_file(make_result(n=400, share_wrong=0.15, thumbnails=0, examples=0))
    assert "`auditor review sample OUT -n 100`" in text and "certificate of these looks" in text
    assert '`undecided = "warn"` makes that a warning' in text


@pytest.mark.parametrize(("value", "says"), [("warning", "must be"), (True, "must be"), (1, "must be")])
def test_undecided_is_one_of_two_words(value: object, says: str) -> None:
    assert rules_from({"leakage": {"undecided": "warn"}})["leakage"].undecided == "warn"
    with pytest.raises(ConfigError, match=f'undecided {says} "undecided" or "warn"'):
        rules_from({"wrong_labels": {"undecided": value}})


def test_init_leaves_a_level_that_can_still_be_missed_however_wide_the_interval() -> None:
    result = make_result(n=400, share_wrong=0.15, thumbnails=0, examples=0)
    calibration = result.summary["calibration"]
    calibration["share"] = {"value": 0.3, "interval": [0.02, 1.0]}
    calibration["by_class"][0].update(share=0.5, share_interval=[0.1, 1.0])
    rules = load_rules_text(init_file(result))
    assert (rules["wrong_labels"].fail, rules["class_share"].fail) == (0.3, 0.5)
    calibration["share"] = {"value": 0.6, "interval": [0.35, 1.0]}
    rules["recovery"] = dataclasses.replace(rules["recovery"], enabled=False)  # poor in a result this small
    assert evaluate(result, rules).rules[0].verdict is Judgement.FAIL


def load_rules_text(text: str) -> dict[str, Levels]:
    import tomllib

    return rules_from(tomllib.loads(text)["rules"])
