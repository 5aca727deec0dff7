"""Progress on standard error, seconds for the result, and a log that a program can follow."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from pathlib import Path

import pytest

from auditor.errors import ConfigError
from auditor.system import progress as progress_module
from auditor.system.progress import Progress


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
    for earlier in ([], ["begin", "end"]):
        progress = Progress(quiet=True, log_file=str(path))
        with progress.stage("read", "Reading images"):
            assert [event["event"] for event in _log(path)] == [*earlier, "begin"]
        progress.close()


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\na.png,cat\n",
        b"\x89PNG\r\n",
        b'{"path": "a.png"}\n',
        b'{"time": "x"}\n',
        b'{"path": "a.png", "event": "begin"}\n',
    ],
)
def test_a_log_is_never_appended_to_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="holds something else than a log"):
        Progress(log_file=str(path))
    assert path.read_bytes() == content


def test_a_log_whose_first_line_was_cut_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"time": "2026-11-')
    progress = Progress(quiet=True, log_file=str(path))
    progress.say("on")
    progress.close()
    assert path.read_bytes().startswith(b'{"time": "2026-11-') and b'"event": "message"' in path.read_bytes()


def test_a_log_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="log"):
        Progress(log_file=str(tmp_path / "none" / "log.jsonl"))


def test_a_log_that_cannot_grow_any_more_stops_nothing() -> None:
    progress = Progress(quiet=True, log_file="/dev/full")
    with progress.stage("read", "Reading images") as update:
        update(1, 2)
    progress.close()
    assert "read" in progress.seconds


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stage_that_tells_nothing_is_said_to_be_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    stream = _Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    assert progress_module.LINE_EVERY + 2 * progress_module.PULSE == 12, "seconds, as docs/robustness.md says"
    monkeypatch.setattr("auditor.system.progress.LINE_EVERY", 0.05)
    monkeypatch.setattr("auditor.system.progress.PULSE", 0.01)
    progress = Progress(log_file=str(tmp_path / "log"))
    with progress.stage("detection", "Looking for wrong labels") as update:
        time.sleep(0.3)
        assert "Looking for wrong labels" in stream.getvalue() and "at work for 0 s, " in stream.getvalue()
        assert "GB of memory" in stream.getvalue()
        update(3, 10)
        time.sleep(0.3)
        said = stream.getvalue()
    progress.close()
    left = [thread.name for thread in threading.enumerate()]  # tqdm's own watcher among them, once there was a bar
    assert "progress" not in left, "nothing goes on when the stage has ended"
    assert terminal or "3 of 10, at work for 0 s" in said
    alive = [line for line in _log(tmp_path / "log") if line["event"] == "alive"]
    assert len(alive) >= 2 and all(line["stage"] == "detection" and "memory_mb" in line for line in alive)


def test_a_stage_that_tells_enough_is_not_said_to_be_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("auditor.system.progress.LINE_EVERY", 0.2)
    monkeypatch.setattr("auditor.system.progress.LOG_EVERY", 0.05)
    monkeypatch.setattr("auditor.system.progress.PULSE", 0.05)
    progress = Progress(log_file=str(tmp_path / "log"))
    with progress.stage("train", "Training") as update:
        for step in range(60):
            update(step + 1, 60)
            time.sleep(0.01)
    progress.close()
    assert "at work" not in capsys.readouterr().err
    assert not [line for line in _log(tmp_path / "log") if line["event"] == "alive"]
