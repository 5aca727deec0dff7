"""`auditor demo`: the whole network trained from scratch on scikit-learn's digits, offline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import names, use_hasty_detection

from auditor.result import AuditResult
from auditor.review import apply
from auditor.sources import open_source
from auditor.sources.manifest import Layout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Any]) -> tuple[Path, Any]:
    """The demo with a shorter training, a hasty detection and fewer pictures."""
    out = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        use_hasty_detection(patch)
        done = run_cli("demo", "-o", out, "--epochs", "2", "--examples", "0", "--thumbnails", "10")
    return out, done


def test_it_ends_well_and_says_where_the_report_is(demo: tuple[Path, Any]) -> None:
    out, done = demo
    assert done.exit_code == 0, done.stderr
    assert str(out / "report.html") in done.stdout and "Traceback" not in done.stderr
    assert names(out) == ["audit.json", "evidence.json", "planted.csv", "ranking.csv", "report.html"]


def test_it_trained_the_whole_network_on_threes_and_eights(demo: tuple[Path, Any]) -> None:
    summary = json.loads((demo[0] / "audit.json").read_text(encoding="utf-8"))
    assert summary["dataset"]["classes"] == ["3", "8"] and summary["model"]["trained"] == "full"
    assert summary["model"]["weights"] == "none" and summary["model"]["n_parameters"] > 10_000_000
    losses = summary["model"]["clean"]["loss"]["train"]
    assert len(losses) == 2 and losses[1] < losses[0]


def test_a_tenth_was_planted_and_found_above_chance(demo: tuple[Path, Any]) -> None:
    result = AuditResult.load(demo[0])
    planted = result.planted
    assert planted["planted"].sum() == round(0.1 * len(planted)) == result.summary["recovery"]["n_planted"]
    assert np.isfinite(planted["average_influence"].astype(float)).all()
    rankings = result.summary["recovery"]["rankings"]
    best = rankings["suspicion"] or rankings["influence"]
    assert best["auroc"]["value"] > rankings["random"]["auroc"]["interval"][1]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("table", "breast cancer"), pytest.param("text", "help texts of scipy", marks=pytest.mark.slow)],
)
def test_the_other_kinds_have_a_demo(tmp_path: Path, run_cli: Callable[..., Any], kind: str, name: str) -> None:
    done = run_cli("demo", "--kind", kind, "-o", tmp_path / "out", "--examples", "0", "--quiet")
    assert done.exit_code == 0, done.stderr
    result = AuditResult.load(tmp_path / "out")
    assert result.summary["dataset"]["kind"] == kind and result.summary["dataset"]["name"] == name
    assert result.evidence["excerpts"] and not result.evidence["thumbnails"]
    recovered = result.summary["recovery"]["rankings"]["suspicion"]
    assert recovered is not None and recovered["auroc"]["value"] > 0.8
    path, label = result.ranking["path"][0], result.ranking["label"][0]
    other = next(name for name in result.classes if name != label)
    entry = {"path": path, "hash": result.summary["dataset"]["hashes"][path], "label": label, "decision": "relabel"}
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id}
    said = json.dumps({**document, "decisions": [{**entry, "new_label": other, "time": "2026-11-30T10:00:00Z"}]})
    (tmp_path / "decisions.json").write_text(said, encoding="utf-8")
    applied = apply(tmp_path / "out", tmp_path / "decisions.json")
    again = open_source(str(applied.data), layout=Layout(kind=kind))
    assert f"cleaned.jsonl --kind {kind} -o" in applied.text and len(again.frame) == len(result.ranking)
    assert again.frame.set_index("path")["label"][path] == other
    assert hashlib.sha256(again.read(path)).hexdigest() == entry["hash"]
