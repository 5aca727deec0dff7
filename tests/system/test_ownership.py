"""Nothing is written over a file that no audit wrote, whatever its name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import FIXTURES, small_audit, snapshot

from auditor.errors import ConfigError
from auditor.system.ownership import FORMAT_MARKS, MARKS, is_ours, refuse_foreign

Run = Callable[..., Any]

FOREIGN = {
    "audit.json": '{"auditReportVersion": 2, "vulnerabilities": {}}',
    "ranking.csv": "path,label\na.png,cat\n",
    "planted.csv": "tree,planted\noak,1999\n",
    "evidence.json": '{"kind": "case", "photos": []}',
    "report.html": "<html><title>pytest report</title></html>",
    "verdict.json": '{"verdict": "guilty", "audit_id": "1"}',
    "sample.json": "[1, 2, 3]",
    "certificate.json": '{"kind": "x509"}',
    "auditor-ledger.json": '{"kind": "ledger"}',
}


@pytest.mark.parametrize("name", sorted(MARKS))
def test_a_folder_with_a_file_of_somebody_else_is_refused_before_any_work(
    name: str, tmp_path: Path, run_cli: Run
) -> None:
    (tmp_path / name).write_text(FOREIGN[name], encoding="utf-8")
    before = snapshot(tmp_path)
    for words in (small_audit(FIXTURES / "digits", tmp_path), ["demo", "-o", str(tmp_path)]):
        done = run_cli(*words)
        assert done.exit_code == 2 and "Traceback" not in done.stderr
        assert f"holds {name}, which no audit wrote" in done.stderr and "-o" in done.stderr
        assert snapshot(tmp_path) == before


def test_the_manifest_is_never_taken_for_a_file_of_ours(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "ranking.csv"  # even where it begins like ours: people audit an earlier ranking again
    manifest.write_text("rank,path,split,label,suggested_label,average_influence,influence_rank\n", encoding="utf-8")
    (tmp_path / "report.html").write_text("somebody else's report", encoding="utf-8")
    before = snapshot(tmp_path)
    monkeypatch.chdir(tmp_path)
    for out in (".", str(tmp_path), "../" + tmp_path.name):
        done = run_cli(*small_audit("ranking.csv", out))
        assert done.exit_code == 2 and "which is the data set that is audited" in done.stderr
        assert "report.html, which no audit wrote" in done.stderr and snapshot(tmp_path) == before


def test_what_an_audit_wrote_is_ours_and_is_replaced(finished_folder: Path, tmp_path: Path) -> None:
    refuse_foreign(finished_folder)
    assert {name for name in MARKS if (finished_folder / name).exists()} >= {"audit.json", "report.html", "ranking.csv"}
    refuse_foreign(tmp_path / "not" / "there")
    (tmp_path / "report.html").touch()
    refuse_foreign(tmp_path)  # an empty file holds nothing
    (tmp_path / "planted.csv").symlink_to(tmp_path / "nowhere")
    refuse_foreign(tmp_path)
    (tmp_path / "audit.json").mkdir()
    with pytest.raises(ConfigError, match=r"audit\.json"):
        refuse_foreign(tmp_path)


def test_the_page_of_an_earlier_version_is_ours(finished_folder: Path, tmp_path: Path) -> None:
    page = (finished_folder / "report.html").read_text(encoding="utf-8")
    assert '<meta name="generator" content="auditor">' in page
    older = page.replace('<meta name="generator" content="auditor">\n', "")
    (tmp_path / "report.html").write_text(older, encoding="utf-8")
    refuse_foreign(tmp_path)


def test_report_and_gate_leave_files_of_others_alone(finished_folder: Path, tmp_path: Path, run_cli: Run) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_folder, out)
    for name in ("report.html", "verdict.json"):
        (out / name).write_text(FOREIGN[name], encoding="utf-8")
    done = run_cli("report", str(out))
    assert done.exit_code == 2 and "report.html, which no audit wrote" in done.stderr
    assert run_cli("gate", str(out)).exit_code in (0, 1, 3)
    assert all((out / name).read_text(encoding="utf-8") == FOREIGN[name] for name in ("report.html", "verdict.json"))


@pytest.mark.parametrize("name", sorted(FORMAT_MARKS))
def test_an_output_of_the_gate_replaces_its_own_earlier_one_and_nothing_else(
    name: str, finished_folder: Path, tmp_path: Path, run_cli: Run
) -> None:
    file = tmp_path / "thesis.txt"
    words = ("gate", str(finished_folder), "--no-keep", "--exit-zero", "--output", f"{name}={file}")
    for _ in range(2):
        assert run_cli(*words).exit_code in (0, 3)
        assert is_ours(file, FORMAT_MARKS[name])
    for text in ("my thesis", "<html></html>", json.dumps([{"check_name": "eslint"}]), "[{}]"):
        file.write_text(text, encoding="utf-8")
        done = run_cli(*words)
        assert done.exit_code == 2 and "would overwrite" in done.stderr
        assert file.read_text(encoding="utf-8") == text
