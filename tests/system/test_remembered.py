"""Remembered work: taken where everything is equal, never else, and no more is kept than the latest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.system import remembered
from auditor.system.remembered import Remembered


def _counted(calls: list[int]) -> dict[str, object]:
    calls.append(1)
    return {"values": np.arange(3), "call": len(calls)}


def test_work_is_done_once_for_equal_inputs_and_again_for_others(tmp_path: Path) -> None:
    calls: list[int] = []
    kept = Remembered(tmp_path)
    for deciding in ([np.arange(4), "a"], [np.arange(4), "a"], [np.arange(4), "b"], [np.arange(5), "a"]):
        found = kept.once("work", deciding, lambda: _counted(calls))
        assert found["call"] == len(calls) and list(found["values"]) == [0, 1, 2]
    assert len(calls) == 3
    Remembered(tmp_path).once("other", [np.arange(4), "a"], lambda: _counted(calls))
    assert len(calls) == 4


def test_another_version_of_the_program_takes_nothing_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    for version in ("one", "two"):
        monkeypatch.setattr(remembered, "code", lambda version=version: version)
        Remembered(tmp_path).once("work", [1], lambda: _counted(calls))
    assert len(calls) == 2


@pytest.mark.parametrize("content", [b"", b"PK damaged", None])
def test_damaged_and_foreign_files_are_ignored(tmp_path: Path, content: bytes | None) -> None:
    calls: list[int] = []
    kept = Remembered(tmp_path)
    kept.once("work", [1], lambda: _counted(calls))
    kept.once("work", [2], lambda: _counted(calls))
    one, two = sorted((tmp_path / "remembered").iterdir())
    one.write_bytes(two.read_bytes() if content is None else content)
    two.write_bytes(one.read_bytes())
    for part in (1, 2):
        kept.once("work", [part], lambda: _counted(calls))
    assert len(calls) >= 3


def test_no_more_than_the_latest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 3)
    for number in range(6):
        Remembered(tmp_path).once("work", [number], lambda: np.arange(2))
    assert len(list((tmp_path / "remembered").iterdir())) == 3


def test_without_a_cache_and_with_one_that_cannot_be_written_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for cache in (None, tmp_path / "file"):
        assert list(Remembered(cache).once("work", [1], lambda: np.arange(2))) == [0, 1]
