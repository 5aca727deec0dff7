"""`make audit-deps` never says that all is well when nobody was asked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import advisories
import pytest

SAFE = {"name": "numpy", "version": "1.26.4", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)"}
BAD = {"name": "pillow", "version": "9.0.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.0.1"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([SAFE], 0, "no known vulnerability in 1 packages"),
        ([SAFE, BAD], 1, "pillow 9.0.0: PYSEC-1, repaired in 9.0.1"),
        ([UNKNOWN], 2, "nothing was audited"),
        ([SAFE, UNKNOWN], 2, "1 of 2 packages were not audited: torch"),
        ([BAD, UNKNOWN], 1, "1 of 2 packages have known vulnerabilities"),
    ],
)
def test_the_code_says_whether_all_were_asked(packages: list[dict[str, Any]], code: int, words: str) -> None:
    text, found = advisories.judge({"dependencies": packages})
    assert found == code and words in text


@pytest.mark.parametrize("output", ["", "no JSON", json.dumps({"dependencies": [UNKNOWN]})])
def test_an_index_without_answers_is_one_sentence(
    output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answered(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert words[:3] == [sys.executable, "-m", "pip_audit"]
        return subprocess.CompletedProcess(words, 1, output, "Traceback ...\nConnectionError: no route to pypi.org\n")

    monkeypatch.setattr(subprocess, "run", answered)
    assert advisories.main() == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("nothing was audited: ") and "Traceback" not in said.err


def test_versions_are_asked_about_without_their_local_label() -> None:
    asked = advisories.installed()
    assert any(line.startswith("torch==") for line in asked) and not any("+" in line for line in asked)
    assert not any(line.startswith("auditor==") for line in asked)
