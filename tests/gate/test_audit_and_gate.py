"""`audit --gate` is `audit` and then `gate`: the same options, the same outputs, and inputs checked before the work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import FIXTURES, small_audit, snapshot

from auditor.gate.outputs import OWN
from auditor.review.baseline import Baseline

Run = Callable[..., Any]
FAILING = "[rules.model_f1]\nfail = 1.0\nwarn = 1.0\n"
SOURCE = FIXTURES / "digits"


@pytest.fixture
def here(finished_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a finished audit in `out`, which an audit of the same data takes up, and strict levels."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_folder, tmp_path / "out")
    (tmp_path / "strict.toml").write_text(FAILING)
    return tmp_path


def test_an_audit_that_fails_its_gate_has_written_what_the_gate_alone_writes(here: Path, run_cli: Run) -> None:
    outputs = [f"--output={kind}=a/{kind}" for kind in ("json", "junit", "sarif", "gitlab", "markdown")]
    judged_by = ["--config", "strict.toml"]
    done = run_cli(*small_audit(SOURCE, "out"), "--gate", *judged_by, *outputs)
    assert done.exit_code == 1, done.output
    assert "report: out/report.html\n" in done.stdout and "Levels: strict.toml. Baseline: none." in done.stdout
    alone = run_cli("gate", "out", *judged_by, *(word.replace("=a/", "=b/") for word in outputs))
    assert done.stdout.endswith(alone.stdout) and alone.exit_code == 1
    assert snapshot(here / "a") == snapshot(here / "b") and len(snapshot(here / "a")) == 5
    assert "FAIL" in (here / "out" / "report.html").read_text(encoding="utf-8")
    assert run_cli(*small_audit(SOURCE, "out"), "--gate", *judged_by, "--exit-zero").exit_code == 0


def test_an_output_on_standard_output_has_it_to_itself_after_an_audit_too(here: Path, run_cli: Run) -> None:
    done = run_cli(*small_audit(SOURCE, "out"), "--gate", "--config", "strict.toml", "--output", "json")
    assert json.loads(done.stdout)["verdict"] == "FAIL"
    assert "report: out/report.html" in done.stderr and "FAIL model_f1" in done.stderr


def test_an_audit_judges_by_a_baseline_and_updates_it(here: Path, run_cli: Run) -> None:
    (here / "sure.toml").write_text("[rules.new_suspects]\nprobability = 1e-12\n")
    words = [*small_audit(SOURCE, "out"), "--gate", "--exit-zero", "--config", "sure.toml", "--output", "json=v.json"]
    assert run_cli(*words).exit_code in (0, 3)
    assert json.loads((here / "v.json").read_text())["new_suspects"] != []
    done = run_cli(*words, "--baseline", "base.json", "--update-baseline")
    assert "added to base.json" in done.stdout, done.output
    assert json.loads((here / "v.json").read_text())["new_suspects"] == []
    assert len(Baseline.load(here / "base.json").entries) > 0
    done = run_cli(*words, "--baseline", "base.json")
    assert "Baseline: base.json (" in done.stdout
    assert json.loads((here / "v.json").read_text())["new_suspects"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output", "json=v.json"], "add --gate"),
        (["--baseline", "base.json"], "add --gate"),
        (["--update-baseline"], "add --gate"),
        (["--gate", "--output", "jsn=v.json"], "did you mean 'json'?"),
        (["--gate", "--output", "json=new/audit.json"], "would overwrite"),
        (["--gate", "--output", "json=list.csv"], "would overwrite"),
        (["--gate", "--output", "json=list.csv/v.json"], "is a file"),
        (["--gate", "--baseline", "none.json"], "cannot read the baseline none.json"),
        (["--gate", "--baseline", "none/b.json", "--update-baseline"], "there is no folder none"),
        (["--gate", "--config", "none.toml"], "none.toml"),
    ],
)
def test_what_the_gate_cannot_use_ends_before_an_image_is_read(
    here: Path, run_cli: Run, words: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "list.csv").write_text("path,label\na.png,a\n")
    monkeypatch.setattr("auditor.pipeline.stages.audit", lambda *_, **__: pytest.fail("the audit began"))
    before = snapshot(here)
    done = run_cli(*small_audit("list.csv", "new"), *words)
    assert done.exit_code == 2 and says in done.stderr, done.output
    assert "Traceback" not in done.output and done.stdout == ""
    assert snapshot(here) == before and not (here / "new").exists()


@pytest.mark.parametrize("word", ["--output=json", "--update-baseline", "--strict-fresh", "--baseline=base.json"])
def test_init_judges_nothing_and_says_so(here: Path, run_cli: Run, word: str) -> None:
    before = snapshot(here)
    done = run_cli("gate", "out", "--init", word)
    assert done.exit_code == 2 and "--config alone" in done.stderr
    assert snapshot(here) == before


@pytest.mark.parametrize("command", ["audit", "gate"])
def test_the_help_names_every_format(command: str, run_cli: Run) -> None:
    said = run_cli(command, "--help").stdout.partition("--output")[2]
    assert all(name in said for name in OWN)
