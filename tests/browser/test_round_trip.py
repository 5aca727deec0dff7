"""A whole round on real files: audit, review in the browser, apply, audit again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import small_audit, snapshot

from auditor.result import AuditResult


def _with_wrong_labels(source: Path, target: Path, each: int) -> dict[str, str]:
    """Copy a folder of classes and move every n-th image to another class. Returns the true labels by path."""
    classes = sorted(p.name for p in source.iterdir() if p.is_dir())
    truth = {}
    for index, name in enumerate(classes):
        for number, file in enumerate(sorted((source / name).iterdir())):
            given = classes[(index + 1) % len(classes)] if number % each == each - 1 else name
            (target / given).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / given / f"{name}-{file.name}")
            truth[f"{given}/{name}-{file.name}"] = name
    return truth


@pytest.mark.slow  # the README's round walks the same way, and stays in the suite
def test_audit_review_apply_audit(
    page: Callable[..., Any], run_cli: Callable[..., Any], fixtures: Path, tmp_path: Path
) -> None:
    truth = _with_wrong_labels(fixtures / "digits" / "train", tmp_path / "data", each=12)
    before = snapshot(tmp_path / "data")
    assert run_cli(*small_audit(tmp_path / "data", tmp_path / "out")).exit_code == 0
    result = AuditResult.load(tmp_path / "out")
    ranking = result.ranking[result.ranking["rank"].notna()]
    assert len(ranking) == len(truth)

    report = page(result).open()
    report.errors()  # those of the test before, whose server is gone
    for path, label in zip(ranking["path"], ranking["label"], strict=True):
        if truth[path] == label:
            report.keys("k")
        else:
            report.keys("c")
            report.keys(truth[path] + "\ue007")
    assert report.text(".rv-tally").startswith(f"{len(truth)} of {len(truth)} reviewed")
    exported = report.export()
    assert report.errors() == []

    done = run_cli("review", "apply", tmp_path / "out", exported)
    assert done.exit_code == 0, done.stderr
    cleaned = tmp_path / "out" / "reviewed" / "cleaned.csv"
    assert str(cleaned) in done.stdout
    again = run_cli(*small_audit(cleaned, tmp_path / "again", "--compare", str(tmp_path / "out")))
    assert again.exit_code == 0, again.stderr
    second = AuditResult.load(tmp_path / "again")
    assert dict(zip(second.ranking["path"], second.ranking["label"], strict=True)) == truth
    wrong = sum(label != truth[path] for path, label in zip(ranking["path"], ranking["label"], strict=True))
    assert f"Images: {wrong} relabelled." in (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    assert snapshot(tmp_path / "data") == before
