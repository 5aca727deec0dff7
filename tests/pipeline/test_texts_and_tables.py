"""Whole audits of texts and of a table: planted errors are found, a reference settles, and nothing needs a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import needs_pydvl, small_audit

from auditor.data.fresh import require_fresh
from auditor.errors import ResultError
from auditor.result import AuditResult

TOPICS = {
    "cats": "cat purr whisker paw fur mouse milk kitten tail claw",
    "money": "bank stock bond market price fund loan trade rate profit",
}


def text_rows(n: int, seed: int, wrong: int = 0) -> list[dict[str, Any]]:
    """Texts of two topics; the first `wrong` of them carry the other label."""
    rng, rows = np.random.default_rng(seed), []
    for at in range(n):
        topic = list(TOPICS)[at % 2]
        said = list(TOPICS)[(at + (at < wrong)) % 2]
        words = [*rng.choice(TOPICS[topic].split(), 7), *rng.choice(["the", "a", "of", "in", "<b>"], 3)]
        rows.append({"id": f"t{at:03d}", "text": " ".join(words), "label": said})
    return rows


def table_rows(n: int, wrong: int) -> list[dict[str, Any]]:
    """Rows with a number, a level and a copy of the label; the first `wrong` carry the other label."""
    rng, rows = np.random.default_rng(3), []
    for at in range(n):
        told = ["no", "yes"][(at + (at < wrong)) % 2]
        level = rng.choice(["low", "mid"] if at % 2 else ["mid", "high"])
        number = f"{rng.standard_normal() + 2.5 * (at % 2):.3f}" if at % 17 else None
        rows.append({"score": number, "level": level, "code": int(told == "yes"), "buys": told})
    return rows


def write(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Any]) -> tuple[Path, Any]:
    """An audit of texts beside a reference that holds one of them."""
    folder = tmp_path_factory.mktemp("texts")
    rows = text_rows(120, 0, wrong=8)
    known = [*text_rows(40, 1), {**rows[0], "label": "cats"}]
    trusted = write(folder / "trusted.jsonl", [{**row, "id": f"r{at}"} for at, row in enumerate(known)])
    words = small_audit(write(folder / "texts.jsonl", rows), folder / "out", "--reference", trusted)
    return folder / "out", run_cli(*words)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Any]) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("rows")
    file = write(folder / "rows.jsonl", table_rows(120, wrong=8))
    words = small_audit(file, folder / "out", "--kind", "table", "--label", "buys")
    return folder / "out", run_cli(*words)


def test_wrong_labels_of_texts_come_first(texts: tuple[Path, Any]) -> None:
    out, done = texts
    assert done.exit_code == 0, done.stderr
    result = AuditResult.load(out)
    wrong = {f"t{at:03d}" for at in range(8)}
    assert len(wrong & set(result.ranking["path"].iloc[:8])) >= 7
    assert result.summary["dataset"]["kind"] == "text" and result.summary["model"]["architecture"] == "tfidf"
    assert result.summary["reference"] is not None
    settled = result.summary["reference"]["settled"]
    assert settled["n"] == 1 and [entry["path"] for entry in settled["wrong"]] == ["t000"]


def test_people_read_the_texts(texts: tuple[Path, Any]) -> None:
    result = AuditResult.load(texts[0])
    said = result.evidence["excerpts"]
    assert "t001" in said and not result.evidence["thumbnails"]
    assert any("read by their words" in note for note in result.summary["notes"])


def test_what_classifies_them_is_at_the_minimum_of_its_loss(texts: tuple[Path, Any]) -> None:
    result = AuditResult.load(texts[0])
    model = result.summary["model"]
    assert model["epochs"] == 0
    start, end = model["clean"]["loss"]["train"]
    assert start == pytest.approx(np.log(2)) and end < start
    assert any("trained to the minimum of its loss" in note for note in result.summary["notes"])
    page = (texts[0] / "report.html").read_text(encoding="utf-8")
    assert "at the minimum" in page and "Loss per epoch" not in page and " epochs." not in page
    shown = re.findall(r"<dt>(\w+)</dt>", page)
    assert "noise_rate" in shown and not {"epochs", "backbone", "weights", "image_size"} & set(shown)


def test_a_table_is_audited_without_the_copy_of_its_label(rows: tuple[Path, Any]) -> None:
    out, done = rows
    assert done.exit_code == 0, done.stderr
    result = AuditResult.load(out)
    wrong = {f"row-{at + 1:06d}" for at in range(8)}
    assert len(wrong & set(result.ranking["path"].iloc[:10])) >= 6
    assert any("'code'. A copy of the labels hides wrong ones" in note for note in result.summary["notes"])
    assert any("missing values: 'score'" in note for note in result.summary["notes"])
    assert (
        "score: " in result.evidence["excerpts"]["row-000003"] or "level: " in result.evidence["excerpts"]["row-000003"]
    )


def test_an_audit_of_the_same_rows_stands_and_of_others_does_not(rows: tuple[Path, Any], run_cli: Any) -> None:
    out = rows[0]
    file = out.parent / "rows.jsonl"
    before = file.read_bytes()
    require_fresh(AuditResult.load(out), out=out)
    words = small_audit(file, out, "--kind", "table", "--label", "buys")
    words.remove("--quiet")
    assert "nothing has changed" in run_cli(*words).stderr
    try:
        file.write_bytes(before.replace(b'"level": "low"', b'"level": "mid"', 1))
        with pytest.raises(ResultError, match="1 changed"):
            require_fresh(AuditResult.load(out), out=out)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backbone", "resnet50"], "for texts --backbone does not serve"),
        (["--train", "full"], "for texts --train does not serve"),
        pytest.param(["--preset", "study"], "for texts --preset does not serve", marks=needs_pydvl),
        (["--reference", "breast-cancer"], "holds items of the kind table"),
        (["--classes", "cats,dogs"], "has no class 'dogs'"),
    ],
)
def test_settings_for_images_are_refused(
    texts: tuple[Path, Any], tmp_path: Path, run_cli: Any, more: list[str], message: str
) -> None:
    words = small_audit(texts[0].parent / "texts.jsonl", tmp_path / "out", *more)
    done = run_cli(*words)
    assert done.exit_code == 2 and message in done.stderr, done.stderr
