"""Every format against its schema, on results that pass, fail, cannot be decided, and attack their reader."""

from __future__ import annotations

import copy
import dataclasses
import html
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from baselines import baseline_of
from builders import as_kind, make_result
from helpers import PROJECT

import auditor.gate.outputs
import auditor.gate.outputs.places as places
from auditor.errors import ConfigError
from auditor.gate import Judgement, Verdict, default_rules, evaluate
from auditor.gate.levels import rules_from
from auditor.gate.outputs import OWN, get, names
from auditor.result import AuditResult

SCHEMAS = Path(__file__).parent / "schemas"


def _case(**arguments: Any) -> tuple[Verdict, AuditResult]:
    result = make_result(**{"n": 300, "thumbnails": 0, "examples": 0, **arguments})
    stale = baseline_of([("gone", "boats", "keep")])
    return evaluate(result, default_rules(), stale), result


CASES: dict[str, dict[str, Any]] = {
    "few": {},
    "many": {"share_wrong": 0.4, "n": 600},
    "uncalibrated": {"calibrated": False},
    "hostile": {"hostile": True, "share_wrong": 0.3},
    "forty classes": {"classes": 40, "n": 800},
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Verdict, AuditResult]:
    return _case(**CASES[request.param])


@pytest.mark.parametrize("name", OWN)
def test_every_format_renders_every_result_the_same_twice(name: str, case: tuple[Verdict, AuditResult]) -> None:
    text = get(name).render(*case)
    assert text == get(name).render(*case)
    assert text.endswith("\n")
    text.encode("utf-8")


def test_the_cases_cover_the_verdicts() -> None:
    verdicts = {name: _case(**arguments)[0].verdict for name, arguments in CASES.items()}
    assert verdicts["many"] is Judgement.FAIL
    seen = {outcome.verdict for arguments in CASES.values() for outcome in _case(**arguments)[0].rules}
    assert seen == set(Judgement)


def test_json_follows_the_schema_that_is_shipped(case: tuple[Verdict, AuditResult]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(auditor.gate.outputs.__file__).parent / "verdict.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    verdict, result = case
    document = json.loads(get("json").render(verdict, result))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert [rule["rule"] for rule in document["rules"]] == [outcome.rule for outcome in verdict.rules]
    assert [row["path"] for row in document["new_suspects"]] == list(verdict.new_suspects["path"])
    assert document["stale_baseline_entries"][0]["reason"] == "its image is gone"


def test_the_json_schema_refuses_what_is_not_a_verdict() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(auditor.gate.outputs.__file__).parent / "verdict.schema.json").read_text("utf-8"))
    good = json.loads(get("json").render(*_case()))
    for change in (
        lambda d: d.update(verdict="MAYBE"),
        lambda d: d.update(surprise=1),
        lambda d: d["rules"][0].update(interval=[0.1]),
        lambda d: d["rules"][0].pop("evidence"),
        lambda d: d.update(schema_version=2),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema, cls=jsonschema.Draft202012Validator)


def test_junit_follows_its_schema_and_tells_failures_errors_and_skips_apart(case: tuple[Verdict, AuditResult]) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    verdict, result = case
    verdict = dataclasses.replace(verdict, switched_off=("leakage",), rules=verdict.rules[:-1])
    text = get("junit").render(verdict, result)
    xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd")).validate(text)
    cases = {c.get("name"): [child.tag for child in c] for c in ET.fromstring(text).iter("testcase")}
    tags = {
        Judgement.PASS: [],
        Judgement.WARN: ["system-out"],
        Judgement.FAIL: ["failure"],
        Judgement.UNDECIDED: ["error"],
    }
    assert cases == {o.rule: tags[o.verdict] for o in verdict.rules} | {"leakage": ["skipped"]}
    suite = ET.fromstring(text).find("testsuite")
    assert suite is not None
    failures = sum(o.verdict is Judgement.FAIL for o in verdict.rules)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(cases)), str(failures), "1")


def test_sarif_follows_the_official_schema_with_one_result_a_suspect(case: tuple[Verdict, AuditResult]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text("utf-8"))
    verdict, result = case
    log = json.loads(get("sarif").render(verdict, result))
    jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    run = log["runs"][0]
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]]
    assert [unquote(uri) for uri in uris] == list(verdict.new_suspects["path"])
    assert all(re.fullmatch(r"[A-Za-z0-9%/._~-]*", uri) for uri in uris)
    prints = [r["partialFingerprints"]["labelledImage/v1"] for r in run["results"]]
    assert len(set(prints)) == len(prints)
    del log["runs"][0]["tool"]["driver"]["name"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate(log)
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert all(rules[n["associatedRule"]["index"]]["id"] == n["associatedRule"]["id"] for n in notes)
    assert len(notes) == len(verdict.rules)


def test_sarif_fingerprints_survive_a_rename_and_change_with_the_label() -> None:
    verdict, result = _case(share_wrong=0.2)
    row = verdict.new_suspects.iloc[[0]]

    def first(frame: Any) -> str:
        log = json.loads(get("sarif").render(dataclasses.replace(verdict, new_suspects=frame), result))
        return str(log["runs"][0]["results"][0]["partialFingerprints"]["labelledImage/v1"])

    assert first(row.assign(path="elsewhere/renamed.png")) == first(row)
    assert first(row.assign(label="another")) != first(row)


def test_gitlab_follows_its_schema(case: tuple[Verdict, AuditResult]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    verdict, result = case
    entries = json.loads(get("gitlab").render(verdict, result))
    jsonschema.validate(entries, json.loads((SCHEMAS / "gitlab-code-quality.json").read_text("utf-8")))
    noted = [outcome for outcome in verdict.rules if outcome.verdict is not Judgement.PASS]
    rules, suspects = entries[: len(noted)], entries[len(noted) :]
    assert [entry["check_name"] for entry in rules] == [f"auditor/{outcome.rule}" for outcome in noted]
    kinds = {Judgement.WARN: "minor", Judgement.UNDECIDED: "major", Judgement.FAIL: "critical"}
    assert [entry["severity"] for entry in rules] == [kinds[outcome.verdict] for outcome in noted]
    exact = ("unreadable", "conflicting_duplicates", "leakage")
    source = result.summary["dataset"]["source"]
    places = [o.evidence[0]["path"] if o.rule in exact else source for o in noted]
    assert [entry["location"]["path"] for entry in rules] == places
    assert [entry["location"]["path"] for entry in suspects] == list(verdict.new_suspects["path"])
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


def test_gitlab_tells_a_rule_that_got_worse_from_one_that_stayed() -> None:
    verdict, result = _case(share_wrong=0.2)
    outcome = dataclasses.replace(verdict.rules[0], verdict=Judgement.WARN)

    def digest(**changes: Any) -> str:
        changed = dataclasses.replace(verdict, rules=(dataclasses.replace(outcome, **changes),))
        return str(json.loads(get("gitlab").render(changed, result))[0]["fingerprint"])

    assert digest(measured=0.031, message="another figure") == digest()
    assert digest(verdict=Judgement.FAIL) != digest()


def _unescape(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_github_annotations_are_one_command_a_line_and_no_more_than_are_shown(
    case: tuple[Verdict, AuditResult],
) -> None:
    verdict, result = case
    lines = get("github").render(verdict, result).splitlines()
    parsed = [re.fullmatch(r"::(error|warning|notice) ((?:[a-z]+=[^:,]*,?)+)::(.*)", line) for line in lines]
    assert all(parsed)
    kinds = [match[1] for match in parsed if match]
    assert kinds.count("warning") <= 10 and kinds.count("error") <= 10
    noted = [o for o in verdict.rules if o.verdict is not Judgement.PASS]
    assert [_unescape(m[3]) for m in parsed[: len(noted)] if m] == [f"{o.message} {o.advice}" for o in noted]
    files = [_unescape(m[2].split("file=")[1].split(",")[0]) for m in parsed[len(noted) :] if m and "file=" in m[2]]
    assert files == list(verdict.new_suspects["path"])[: len(files)]
    assert files == [], "nobody knows where these data lie, so nothing attaches to a wrong file"
    placed = [o.rule for m, o in zip(parsed, noted, strict=False) if m and "file=" in m[2]]
    assert placed == []
    unseen = len(verdict.new_suspects) - kinds.count("warning") + sum(o.verdict is Judgement.WARN for o in noted)
    assert (f"{unseen} more new suspect" in lines[-1]) == (unseen > 0)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set's folder in the current folder, which is no repository of any CI system."""
    for name in places.ROOTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "_holds", lambda folder, result: True)
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def test_github_annotations_stand_at_their_files(case: tuple[Verdict, AuditResult], photos: Path) -> None:
    verdict, result = case
    lines = get("github").render(verdict, result).splitlines()
    placed = [_unescape(line.split("file=")[1].split(",")[0]) for line in lines if "file=" in line]
    exact = [o for o in verdict.noted if o.rule in ("unreadable", "conflicting_duplicates", "leakage")]
    about = [f"photos/{o.evidence[0]['path']}" for o in exact]
    suspects = [f"photos/{path}" for path in verdict.new_suspects["path"]]
    assert placed[: len(about)] == about
    assert placed[len(about) :] == suspects[: len(placed) - len(about)]


def test_github_escapes_what_its_commands_are_made_of(photos: Path) -> None:
    verdict, result = _case(share_wrong=0.2)
    row = verdict.new_suspects.iloc[[0]].assign(path="a%,b:c\r\n::error::x.png", label="50%\r\nx")
    text = get("github").render(dataclasses.replace(verdict, new_suspects=row), result)
    assert "file=photos/a%25%2Cb%3Ac%0D%0A%3A%3Aerror%3A%3Ax.png," in text
    assert "'50%25\\x0d\\x0ax'" in text


def test_the_step_summary_is_appended_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict, result = _case()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    get("github").publish(verdict, result)  # type: ignore[attr-defined]
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    get("github").publish(verdict, result)  # type: ignore[attr-defined]
    assert page.read_text("utf-8") == "before\n" + get("markdown").render(verdict, result)


def test_markdown_shows_the_table_and_lets_no_label_mark_anything_up() -> None:
    verdict, result = _case(hostile=True, share_wrong=0.3)
    text = get("markdown").render(verdict, result)
    own = {"code", "/code", "details", "/details", "summary", "/summary", "!-- auditor gate --"}
    assert set(re.findall(r"<([^>]*)>", text)) <= own
    cells = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert len(cells) == len(verdict.rules) + min(20, len(verdict.new_suspects))
    assert {line.count("|") for line in cells} == {5, 6}
    first = verdict.new_suspects.iloc[0]
    shown = html.unescape(cells[len(verdict.rules)].split("|")[2])
    assert shown.strip().startswith("<code>") and shown.count("<code>") == 1
    mentioned = dataclasses.replace(verdict, dataset="@everyone #1 [x](http://evil) `y` www.evil.example")
    line = get("markdown").render(mentioned, result).splitlines()[3]
    assert not re.search(r"[@\[\]`*_]|#(?!\d+;)|www\.|://", line.split(",")[0])
    assert isinstance(first["path"], str)


def _uri(verdict: Verdict, result: AuditResult) -> Any:
    location = json.loads(get("sarif").render(verdict, result))["runs"][0]["results"][0]["locations"][0]
    return location["physicalLocation"]["artifactLocation"]


def _gitlab(verdict: Verdict, result: AuditResult) -> list[str]:
    """Places of the rules' entries and of the first suspect's."""
    paths = [entry["location"]["path"] for entry in json.loads(get("gitlab").render(verdict, result))]
    return paths[: len(verdict.noted) + 1]


def test_files_are_named_from_the_repositorys_root_wherever_the_step_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 08: a step in `ml`, with GITHUB_WORKSPACE, with CI_PROJECT_DIR, with `.git` alone, and with nothing."""
    verdict, result = _case(share_wrong=0.2)
    path = verdict.new_suspects["path"].iloc[0]
    file = tmp_path / "ml" / "photos" / result.ranking["path"].iloc[0]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"an image")
    monkeypatch.chdir(tmp_path / "ml")
    for name in places.ROOTS:
        monkeypatch.delenv(name, raising=False)
    assert _gitlab(verdict, result)[-1] == f"photos/{path}", "no repository: from the current folder"
    named = [(name, str(tmp_path)) for name in ("CI_PROJECT_DIR", *places.MORE_ROOTS)]
    for setting in (("GITHUB_WORKSPACE", ".."), *named, None):
        with monkeypatch.context() as patch:
            if setting is None:
                (tmp_path / ".git").mkdir()
            else:
                patch.setenv(*setting)
            assert _gitlab(verdict, result)[0] == "ml/photos", "a rule stands at the data set"
            assert _gitlab(verdict, result)[-1] == f"ml/photos/{path}"
            assert _uri(verdict, result) == {"uri": f"ml/photos/{path}", "uriBaseId": "%SRCROOT%"}
            assert f"file=ml/photos/{path}," in get("github").render(verdict, result)


def test_files_outside_the_repository_are_absolute_and_annotate_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, result = _case(share_wrong=0.2)
    path = verdict.new_suspects["path"].iloc[0]
    file = tmp_path / "photos" / result.ranking["path"].iloc[0]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"an image")
    (tmp_path / "repository").mkdir()
    result.summary["dataset"]["source"] = result.summary["dataset"]["root"] = str(tmp_path / "photos")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    uri = _uri(verdict, result)["uri"]
    assert uri.startswith("file:///") and unquote(uri).endswith(f"/photos/{path}")
    text = get("github").render(verdict, result)
    assert "file=" not in text and f"{path}: The label" in text


def test_where_nobody_knows_the_place_of_the_data_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another folder of the same name is not taken for the data set."""
    verdict, result = _case(share_wrong=0.2)
    (tmp_path / "photos" / "other").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    path = verdict.new_suspects["path"].iloc[0]
    assert _uri(verdict, result) == {"uri": path, "uriBaseId": "%DATASET%"}
    assert "file=" not in get("github").render(verdict, result)
    assert "whose folder is unknown here" in get("gitlab").render(verdict, result)


def _many(count: int, name: str = "train/{}.png") -> tuple[Verdict, AuditResult]:
    verdict, result = _case(share_wrong=0.2)
    row = verdict.new_suspects.iloc[[0] * count].reset_index(drop=True)
    frame = row.assign(path=[name.format(i) for i in range(count)], rank=range(1, count + 1))
    return dataclasses.replace(verdict, new_suspects=frame), result


def test_sarif_holds_the_5000_most_suspicious_and_says_how_many_more_there_are() -> None:
    verdict, result = _many(5012)
    run = json.loads(get("sarif").render(verdict, result))["runs"][0]
    assert len(run["results"]) == 5000
    assert [r["properties"]["audit_rank"] for r in run["results"]] == list(range(1, 5001))
    note = run["invocations"][0]["toolExecutionNotifications"][-1]
    assert note["level"] == "note" and note["message"]["text"].startswith("12 more new suspects are not listed here")


def test_a_comment_and_a_summary_stay_within_what_their_readers_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, result = _many(30, "<" * 190 + "{}.png")
    wide = dataclasses.replace(verdict, new_suspects=verdict.new_suspects.assign(label="<" * 300))
    text = get("markdown").render(wide, result)
    assert len(text.encode()) <= 65_536 and "more new suspects are not shown." in text
    assert "| **FAIL** |" in text, "the rules stay"
    page = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    page.write_text("x" * (1024 * 1024 - 300))
    get("github").publish(verdict, result)  # type: ignore[attr-defined]
    text = page.read_text("utf-8")
    assert len(text.encode()) <= 1024 * 1024 and "### Label audit: FAIL" in text
    assert "30 new suspects are not shown." in text
    page.write_text("x" * (1024 * 1024 - 20))
    get("github").publish(verdict, result)  # type: ignore[attr-defined]
    assert page.stat().st_size == 1024 * 1024 - 20, "more than it takes would empty the page"


def test_more_rules_than_github_shows_are_counted_and_failures_come_first() -> None:
    verdict, result = _case(share_wrong=0.2)
    base = next(o for o in verdict.rules if o.verdict is Judgement.FAIL)
    doubtful = [dataclasses.replace(base, rule=f"r{i}", verdict=Judgement.UNDECIDED) for i in range(12)]
    many = dataclasses.replace(verdict, rules=(*doubtful, base))
    lines = get("github").render(many, result).splitlines()
    assert sum(line.startswith("::error") for line in lines) == 10
    assert any(f"{base.rule} FAIL" in line for line in lines)
    assert "3 more rules that did not pass" in lines[-1]


def test_our_formats_are_entry_points_and_others_can_add_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teletype_format.py").write_text("name = 'teletype'\ndef render(verdict, result): return 'STOP\\n'\n")
    info = tmp_path / "teletype-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: teletype\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[auditor.outputs]\nteletype = teletype_format\nbroken = no_such_module_anywhere\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {"teletype", *OWN} <= set(names())
    assert get("teletype").render(*_case()) == "STOP\n"
    with pytest.raises(ConfigError, match="cannot be loaded"):
        get("broken")
    with pytest.raises(ConfigError) as raised:
        get("sariff")
    assert "sarif" in raised.value.hint
    declared = PROJECT / "setup.cfg"
    for name in OWN:
        assert f"{name} = auditor.gate.outputs.{name}" in declared.read_text("utf-8")
    installed = {p.name: p.value for p in importlib.metadata.entry_points(group="auditor.outputs")}
    assert all(installed.get(name, f"auditor.gate.outputs.{name}") == f"auditor.gate.outputs.{name}" for name in OWN)


def test_every_own_format_says_its_name() -> None:
    assert [get(name).name for name in OWN] == list(OWN)


def test_switched_off_rules_show_in_every_text_for_people() -> None:
    result = make_result(thumbnails=0, examples=0)
    verdict = evaluate(result, rules_from({"leakage": {"enabled": False}}))
    assert "leakage" in get("markdown").render(verdict, result)
    assert "leakage" in get("junit").render(verdict, result)


def test_a_row_of_a_manifest_has_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    made = as_kind(make_result(n=120, share_wrong=0.3), "text")
    order = sorted(made.ranking["path"])
    label = dict(zip(made.ranking["path"], made.ranking["label"], strict=True))
    rows = "".join(f'"text {i}\nsecond line",{label[path]}\n' for i, path in enumerate(order))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "texts.csv").write_text(f"text,label\n{rows}")
    names = {path: f"row-{i + 2:06d}" for i, path in enumerate(order)}
    dataset = {**made.summary["dataset"], "source": "data/texts.csv"}
    dataset["hashes"] = {names[path]: digest for path, digest in dataset["hashes"].items()}
    ranking = made.ranking.assign(path=made.ranking["path"].map(names))
    result = AuditResult({**made.summary, "dataset": dataset}, ranking, made.planted, made.evidence)
    verdict = evaluate(result, default_rules())
    first = verdict.suspects(1)[0]["path"]
    line = 2 + 2 * (int(first.removeprefix("row-")) - 2)
    where = json.loads(get("sarif").render(verdict, result))["runs"][0]["results"][0]["locations"][0]
    physical = where["physicalLocation"]
    assert physical["region"] == {"startLine": line}
    assert physical["artifactLocation"] == {"uri": "data/texts.csv", "uriBaseId": "%SRCROOT%"}
    entries = json.loads(get("gitlab").render(verdict, result))
    assert {"path": "data/texts.csv", "lines": {"begin": line}} in [entry["location"] for entry in entries]
    assert f"file=data/texts.csv,line={line}," in get("github").render(verdict, result)


def test_an_item_that_is_no_file_stands_at_its_line_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    for name in places.ROOTS:
        monkeypatch.delenv(name, raising=False)
    made = as_kind(make_result(n=120, share_wrong=0.3), "features")
    label = dict(zip(made.ranking["path"], made.ranking["label"], strict=True))
    rows = "".join(f"{path},{given}\n" for path, given in label.items())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "items.csv").write_text(f"path,kind\n{rows}")
    dataset = {**made.summary["dataset"], "source": "data/items.csv::label=kind", "root": "data"}
    result = dataclasses.replace(made, summary={**made.summary, "dataset": dataset})
    verdict = evaluate(result, default_rules())
    line = 2 + list(label).index(verdict.suspects(1)[0]["path"])
    first = json.loads(get("sarif").render(verdict, result))["runs"][0]["results"][0]["locations"][0]
    assert first["physicalLocation"] == {
        "artifactLocation": {"uri": "data/items.csv", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line},
    }
    assert f"file=data/items.csv,line={line}," in get("github").render(verdict, result)
    assert _gitlab(verdict, result)[0] == "data/items.csv"
