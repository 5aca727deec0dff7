"""The gate's last verdict, kept beside the audit for the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.gate import default_rules, evaluate, keep, kept
from auditor.result import AuditResult

PANEL = re.compile(r'<h2>Gate <span class="badge \w+">(\w+)</span></h2>')


def _panel(out: Path) -> list[str]:
    return PANEL.findall((out / "report.html").read_text(encoding="utf-8"))


def test_a_report_shows_the_verdict_of_the_gate_that_ran_before_it(out: Path, run_cli: Callable[..., Any]) -> None:
    assert run_cli("report", out).exit_code == 0
    assert _panel(out) == []
    assert run_cli("gate", out).exit_code == 1
    assert run_cli("report", out).exit_code == 0
    assert _panel(out) == ["FAIL"]
    failing = ("wrong_labels", "class_share", "conflicting_duplicates", "leakage")
    off = [f"[rules.{name}]\nenabled = false\n" for name in failing]
    (out.parent / "auditor.toml").write_text("\n".join(off))
    again = run_cli("gate", out)
    assert run_cli("report", out).exit_code == 0
    assert again.exit_code == 0, again.stdout
    assert _panel(out) == [again.stdout.split()[-1]] != ["FAIL"]


def test_what_is_kept_is_the_verdict_itself(out: Path, wrong: AuditResult) -> None:
    verdict = evaluate(wrong, default_rules(), None)
    keep(verdict, out)
    assert kept(out, wrong) == json.loads(verdict.to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"audit_id": "0" * 16},
        {"schema_version": 2},
        {"kind": "other"},
        {"verdict": "GOOD"},
        {"verdict": ["PASS"]},
        {"rules": None},
        {"rules": [1]},
        {"rules": [{"rule": "a", "verdict": "PASS", "message": 3}]},
    ],
)
def test_a_verdict_that_does_not_fit_is_none(out: Path, wrong: AuditResult, change: dict[str, Any]) -> None:
    document = json.loads(evaluate(wrong, default_rules(), None).to_json())
    (out / "verdict.json").write_text(json.dumps({**document, **change}))
    assert kept(out, wrong) is None


@pytest.mark.parametrize("text", ["", "{cut", "[]", "[" * 100_000, "\udcff"])
def test_a_damaged_verdict_is_none(out: Path, wrong: AuditResult, text: str) -> None:
    (out / "verdict.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert kept(out, wrong) is None


def test_a_folder_that_cannot_be_written_to_changes_no_verdict(wrong: AuditResult, tmp_path: Path) -> None:
    keep(evaluate(wrong, default_rules(), None), tmp_path / "missing")
    assert kept(tmp_path / "missing", wrong) is None
