"""The files of a result say what the result says. Damaged and foreign files are refused with a clear message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import make_result
from helpers import names, snapshot

from auditor.errors import ResultError
from auditor.result import PLANTED_COLUMNS, RANKING_COLUMNS, AuditResult
from auditor.system import files
from auditor.system.tables import csv_bytes


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("calibrated", [False, True])
def test_round_trip(tmp_path: Path, hostile: bool, calibrated: bool) -> None:
    result = make_result(80, calibrated=calibrated, hostile=hostile)
    result.save(tmp_path)
    again = AuditResult.load(tmp_path)
    assert again.summary == result.summary and again.evidence == result.evidence
    for name in ("ranking", "planted"):
        ours, theirs = getattr(result, name), getattr(again, name)
        pd.testing.assert_frame_equal(
            theirs.astype(object).where(theirs.notna(), None),
            ours.astype(object).where(ours.notna(), None),
            check_exact=False,
            rtol=1e-9,
        )
    assert again.planted["planted"].dtype == bool


def test_saving_again_gives_equal_bytes_and_nothing_else(tmp_path: Path) -> None:
    make_result(60).save(tmp_path)
    before = snapshot(tmp_path)
    assert names(tmp_path) == ["audit.json", "evidence.json", "planted.csv", "ranking.csv"]
    AuditResult.load(tmp_path).save(tmp_path)
    assert snapshot(tmp_path) == before


def test_columns_are_the_promised_ones(finished_folder: Path) -> None:
    summary = json.loads((finished_folder / "audit.json").read_text(encoding="utf-8"))
    of_oddities = [one["column"]["name"] for one in summary["oddities"] if one["column"] is not None]
    for name, columns in (("ranking.csv", (*RANKING_COLUMNS, *of_oddities)), ("planted.csv", PLANTED_COLUMNS)):
        assert (finished_folder / name).read_text().splitlines()[0] == ",".join(columns)


def test_no_cell_starts_a_formula(tmp_path: Path) -> None:
    make_result(120, hostile=True).save(tmp_path)
    for name in ("ranking.csv", "planted.csv"):
        frame = pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False)
        for column in ("path", "label"):
            assert not frame[column].str.startswith(("=", "+", "-", "@", "\t", "\r")).any()


@pytest.mark.parametrize("name", ["audit.json", "evidence.json", "planted.csv", "ranking.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make_result(40, thumbnails=2).save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ResultError, match=name):
        AuditResult.load(tmp_path)


@pytest.mark.parametrize("name", ["audit.json", "evidence.json", "planted.csv", "ranking.csv"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff\xfe\x00", b"\0\0\0\0", b"a,b\n1,2\n", b"[" * 100_000, b'"unclosed'],
    ids=["empty", "half", "list", "not text", "zeros", "columns", "deep", "quote"],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    make_result(40, thumbnails=2).save(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResultError, match=name):
        AuditResult.load(tmp_path)


@pytest.mark.parametrize("words", [["report"], ["gate"], ["review", "apply"]])
@pytest.mark.parametrize("content", [None, b"{"])
def test_every_command_that_reads_a_result_ends_with_2(
    words: list[str], content: bytes | None, tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    make_result(40, thumbnails=2).save(out)
    (out / "audit.json").unlink()
    if content is not None:
        (out / "audit.json").write_bytes(content)
    before = snapshot(tmp_path)
    done = run_cli(*words, out, *[out / "decisions.json"] * (words[0] == "review"))
    assert done.exit_code == 2 and "audit.json" in done.stderr and "run " in done.stderr, done.output
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["planted.csv", "ranking.csv"])
def test_a_cut_file_is_refused(tmp_path: Path, name: str) -> None:
    """At any place, also between rows and inside the last row."""
    result = make_result(6, thumbnails=0, examples=0)
    result.save(tmp_path)
    data = (tmp_path / name).read_bytes()
    for length in [*range(0, len(data) - 100, 7), *range(len(data) - 100, len(data))]:
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ResultError, match=name):
            AuditResult.load(tmp_path)


@pytest.mark.parametrize("name", ["planted.csv", "ranking.csv"])
def test_other_columns_are_refused_however_many_rows_there_are(tmp_path: Path, name: str) -> None:
    make_result(40, thumbnails=2).save(tmp_path)
    head, rows = (tmp_path / name).read_text(encoding="utf-8").split("\n", 1)
    for other in (head.replace("suspicion", "suspicions"), ",".join(reversed(head.split(",")))):
        (tmp_path / name).write_text(f"{other}\n{rows}", encoding="utf-8")
        with pytest.raises(ResultError, match=f"{name} has other columns"):
            AuditResult.load(tmp_path)


def test_words_where_numbers_belong_are_refused(tmp_path: Path) -> None:
    result = make_result(40, thumbnails=2)
    result.save(tmp_path)
    for column in ("rank", "average_influence", "suspicion"):
        broken = result.ranking.astype(object)
        broken.loc[3, column] = "many"
        (tmp_path / "ranking.csv").write_bytes(csv_bytes(broken))
        with pytest.raises(ResultError, match="ranking"):
            AuditResult.load(tmp_path)


def test_another_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    result = make_result(40, thumbnails=2)
    result.save(tmp_path)
    files.write_json(tmp_path / "audit.json", {**result.summary, "schema_version": 99})
    with pytest.raises(ResultError) as caught:
        AuditResult.load(tmp_path)
    assert "99" in caught.value.message and "run the audit again" in caught.value.hint


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ResultError, match=r"audit\.json"):
            AuditResult.load(folder)


def test_written_json_is_json_for_everyone(finished_folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    for name in ("audit.json", "evidence.json"):
        json.loads((finished_folder / name).read_text(encoding="utf-8"), parse_constant=refuse)
