"""The page goes on to show what changed, and shows what people found, whatever renders it again."""

from __future__ import annotations

import dataclasses
import json

import pytest
from builders import make_result, true_labels
from review_files import by_rank, looks_at, saved, written

from auditor.result import AuditResult
from auditor.review import read_sample
from auditor.session import write_report

N, WRONG = 120, 0.1
TRUTH = true_labels(n=N, share_wrong=WRONG)


@pytest.fixture
def out(tmp_path):
    result = saved(tmp_path, make_result(n=N, share_wrong=WRONG))
    write_report(tmp_path / "out", result)
    return tmp_path / "out"


def _page(out):
    return (out / "report.html").read_text(encoding="utf-8")


def _earlier(out, tmp_path):
    """An audit before this one, with one label more that was wrong."""
    result = AuditResult.load(out)
    labels = result.ranking["label"].copy()
    labels.iloc[-1] = next(name for name in result.classes if name != labels.iloc[-1])
    earlier = dataclasses.replace(result, ranking=result.ranking.assign(label=labels))
    (tmp_path / "first").mkdir()
    earlier.save(tmp_path / "first")
    return tmp_path / "first"


def test_a_comparison_stays_on_the_page(out, tmp_path, run_cli):
    assert run_cli("report", out, "--compare", _earlier(out, tmp_path)).exit_code == 0
    said = "Images: 1 relabelled."
    assert said in _page(out)
    for command in (["report", out], ["review", "sample", out, "-n", 20], ["report", out]):
        assert run_cli(*command).exit_code == 0
        assert said in _page(out), command


@pytest.mark.parametrize(
    "content", ["mine", '{"kind": "auditor-comparison"}', '{"kind": "auditor-comparison", "schema_version": 1}']
)
def test_a_file_that_is_no_comparison_of_this_audit_changes_nothing(out, tmp_path, run_cli, content):
    (out / "comparison.json").write_text(content)
    before = _page(out)
    assert run_cli("report", out).exit_code == 0 and _page(out) == before
    if content == "mine":
        assert run_cli("report", out, "--compare", _earlier(out, tmp_path)).exit_code == 0
        assert (out / "comparison.json").read_text() == content, "somebody else's file stays"


def test_certify_and_apply_show_what_was_found_on_the_page(out, run_cli):
    run_cli("review", "sample", out, "-n", 60)
    assert "Nobody has looked at the sample yet" in _page(out)
    result = AuditResult.load(out)
    said = [*by_rank(result, 20, TRUTH), *looks_at(result, read_sample(out)["items"], TRUTH)]
    file = written(out / "d.json", result, list({entry["path"]: entry for entry in said}.values()))
    for command in ("certify", "apply"):
        (out / "report.html").write_text("<!-- " + '<meta name="generator" content="auditor">')
        done = run_cli("review", command, out, file)
        assert done.exit_code == 0 and f"report: {out / 'report.html'}" in done.stdout, done.stderr
        assert "of these labels are wrong now" in _page(out)


def test_where_there_is_no_page_or_somebody_elses_none_is_written(out, run_cli):
    run_cli("review", "sample", out, "-n", 60)
    result = AuditResult.load(out)
    file = written(out / "d.json", result, looks_at(result, read_sample(out)["items"], TRUTH))
    (out / "report.html").write_text("mine")
    done = run_cli("review", "certify", out, file)
    assert done.exit_code == 0 and "could not be written again" in done.stdout and _page(out) == "mine"
    (out / "report.html").unlink()
    done = run_cli("review", "certify", out, file, "--json", "-")
    assert done.exit_code == 0 and json.loads(done.stdout)["n"] == N
    assert "report:" not in done.stderr and not (out / "report.html").exists()
