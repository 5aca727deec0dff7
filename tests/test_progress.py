"""Talk on standard error, timings for the result, and a log that a program can follow."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from auditor.errors import ConfigError
from auditor.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_quiet_says_nothing_and_still_times(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(quiet=True)
    with progress.stage("read", "Reading") as update:
        update(1, 2)
    progress.say("hello")
    assert capsys.readouterr() == ("", "")
    assert list(progress.seconds) == ["read"] and progress.seconds["read"] >= 0


def test_a_stage_is_named_on_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.stage("read", "Reading images") as update:
        update(1, 2)
    out, err = capsys.readouterr()
    assert out == "" and "Reading images ..." in err


def test_a_stage_run_twice_adds_up() -> None:
    progress = Progress(quiet=True)
    for _ in range(2):
        with progress.stage("a", "A"):
            pass
    assert list(progress.seconds) == ["a"]


def test_an_error_passes_through_and_the_stage_is_timed() -> None:
    progress = Progress(quiet=True)
    with pytest.raises(ZeroDivisionError), progress.stage("a", "A"):
        raise ZeroDivisionError
    assert "a" in progress.seconds


def test_the_bar_follows_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    with progress.stage("read", "Reading images") as update:
        for done in range(1, 51):
            update(done, 50)
    text = terminal.getvalue()
    assert "Reading images" in text and "/50" in text


def test_work_that_a_later_stage_asks_for_is_told_as_that_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    with progress.stage("train", "Training") as train:
        train(1, 2)
    trained = len(terminal.getvalue())
    train(1, 2)
    assert len(terminal.getvalue()) == trained, "no stage runs"
    with progress.stage("result", "Writing"):
        train(3, 7)
    assert "Writing" in terminal.getvalue()[trained:] and "/7" in terminal.getvalue()
    assert "Training" not in terminal.getvalue()[trained:]


def _log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_log_has_a_line_for_every_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.jsonl"
    progress = Progress(quiet=True, log_file=str(path))
    with progress.stage("read", "Reading images") as update:
        update(5, 10)
        update(10, 10)
    progress.say("a \u2028 line\nof <text>")
    with pytest.raises(ZeroDivisionError), progress.stage("train", "Training"):
        raise ZeroDivisionError("no data")
    progress.close()
    events = _log(path)
    assert [event["event"] for event in events] == ["begin", "progress", "progress", "end", "message", "begin", "error"]
    assert all(isinstance(event["time"], str) and event["memory_mb"] > 0 for event in events)
    assert events[1]["stage"] == "read" and (events[1]["done"], events[1]["total"]) == (5, 10)
    assert events[2]["seconds_left"] == 0
    assert events[3]["seconds"] == progress.seconds["read"]
    assert "ZeroDivisionError" in str(events[-1]["message"])
    assert capsys.readouterr() == ("", "")


def test_many_updates_do_not_flood_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    progress = Progress(quiet=True, log_file=str(path))
    with progress.stage("read", "Reading images") as update:
        for done in range(100_000):
            update(done, 100_000)
    progress.close()
    assert len(_log(path)) < 1000


def test_the_log_is_appended_to_and_readable_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event":"earlier"}\n')
    progress = Progress(quiet=True, log_file=str(path))
    with progress.stage("read", "Reading images"):
        assert [event["event"] for event in _log(path)] == ["earlier", "begin"]
    progress.close()


def test_a_log_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="log"):
        Progress(log_file=str(tmp_path / "none" / "log.jsonl"))
