"""The command line: promised files and codes; bad input gets one clear sentence, code 2, and nothing written over."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import HOSTILE_CLASSES
from helpers import FIXTURES, PROJECT, names, needs_pydvl, small_audit, snapshot

from auditor.config import AuditSettings, RunSettings
from auditor.pipeline import checks, stages
from auditor.result import AuditResult
from auditor.system.checkpoint import Checkpoints

pytestmark = pytest.mark.usefixtures("tiny")

Run = Callable[..., Any]


def _digits(folder: Path, counts: dict[str, int]) -> Path:
    """A folder of classes with so many images each."""
    for label, n in counts.items():
        (folder / label).mkdir(parents=True)
        source = sorted((FIXTURES / "digits" / "train" / ("8" if label == "8" else "3")).glob("*.png"))
        for image in source[:n]:
            shutil.copy(image, folder / label / image.name)
    return folder


# What bad input gets


def _missing(tmp: Path) -> list[str]:
    return [str(tmp / "none")]


def _one_class(tmp: Path) -> list[str]:
    return [str(_digits(tmp / "data", {"3": 20}))]


def _empty_class(tmp: Path) -> list[str]:
    return [str(_digits(tmp / "data", {"3": 20, "8": 20, "empty": 0}))]


def _small_class(tmp: Path) -> list[str]:
    return [str(_digits(tmp / "data", {"3": 20, "8": 2}))]


def _empty_folder(tmp: Path) -> list[str]:
    (tmp / "data").mkdir()
    return [str(tmp / "data")]


def _no_columns(tmp: Path) -> list[str]:
    (tmp / "list.csv").write_text("file,class\na.png,3\n")
    return [str(tmp / "list.csv")]


def _missing_files(tmp: Path) -> list[str]:
    rows = "".join(f"{i}.png,{i % 2}\n" for i in range(20))
    (tmp / "list.csv").write_text("path,label\n" + rows)
    return [str(tmp / "list.csv")]


def _unreadable(tmp: Path) -> list[str]:
    for label in "ab":
        (tmp / "data" / label).mkdir(parents=True)
        for i in range(5):
            (tmp / "data" / label / f"{i}.png").write_bytes(b"no image")
    return [str(tmp / "data")]


def _too_many_unreadable(tmp: Path) -> list[str]:
    data = _digits(tmp / "data", {"3": 20, "8": 20})
    for i in range(10):
        (data / "3" / f"bad{i}.png").write_bytes(b"no image")
    return [str(data)]


def _other_weights(tmp: Path) -> list[str]:
    torch.save({"features.0.weight": torch.zeros(8, 3, 3, 3)}, tmp / "vgg.pth")
    return [str(FIXTURES / "digits"), "--weights", str(tmp / "vgg.pth")]


def _digits_with(*more: str) -> Callable[[Path], list[str]]:
    return lambda tmp: [str(FIXTURES / "digits"), *more]


def _config(text: str) -> Callable[[Path], list[str]]:
    def build(tmp: Path) -> list[str]:
        (tmp / "auditor.toml").write_text(text)
        return [str(FIXTURES / "digits"), "--config", str(tmp / "auditor.toml")]

    return build


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "a missing folder": (_missing, "there is no folder or file"),
    "an empty folder": (_empty_folder, "data"),
    "one class only": (_one_class, "only one class, '3'"),
    "an empty class": (_empty_class, "'empty'"),
    "a class too small to split": (_small_class, "class '8' has 2 images, too few to split"),
    "a manifest without its columns": (_no_columns, "list.csv"),
    "a manifest with missing files": (_missing_files, "list.csv"),
    "no readable image": (_unreadable, "no image of data can be read"),
    "too many unreadable images": (_too_many_unreadable, "10 of 50 images"),
    "a class that is not there": (_digits_with("--classes", "3,9"), "has no class '9'"),
    "one class named": (_digits_with("--classes", "3"), "classes"),
    "weights of another network": (_other_weights, "vgg.pth is not a resnet18"),
    "a weights file that is not there": (_digits_with("--weights", "none.pth"), "there is no weights file none.pth"),
    "offline without ImageNet's weights": (_digits_with("--weights", "imagenet"), "ImageNet weights are not in the"),
    "an unknown option": (_digits_with("--nose-rate", "0.1"), "No such option"),
    "an option without its value": (_digits_with("--seed"), "requires an argument"),
    "a rate of a half": (_digits_with("--noise-rate", "0.5"), "noise_rate is 0.5"),
    "a rate that is a word": (_digits_with("--noise-rate", "much"), "noise-rate"),
    "an unknown noise": (_digits_with("--noise", "loud"), "loud"),
    "an unknown layer": (_digits_with("--train", "layers:layer9"), "layer9"),
    "an unknown part to train": (_digits_with("--train", "some"), "head, full"),
    "an engine for heads and a network": (_digits_with("--train", "full", "--engine", "ekfac"), "linear layers only"),
    "a dense Hessian of a whole network": (_digits_with("--train", "full", "--engine", "direct"), "11 million"),
    "a damping of zero": (_digits_with("--damping", "0"), "damping is '0'"),
    "a reference that is not there": (_digits_with("--reference", "none"), "there is no folder or file none"),
    "a configuration that is not there": (_digits_with("--config", "none.toml"), "none.toml"),
    "a configuration with an unknown name": (_config("[audit]\nnose = 1\n"), "unknown setting 'nose'"),
    "a configuration that is no TOML": (_config("[audit\n"), "is not valid TOML"),
    "a comparison with nothing": (_digits_with("--compare", "none"), "audit.json is missing"),
    "no CUDA device": (_digits_with("--device", "cuda"), "no CUDA device"),
    "a log file in no folder": (_digits_with("--log-file", "none/log"), "the log file none/log"),
}


EARLIER = {
    "audit.json": '{"schema_version": 1, "audit_id": "of an earlier audit"}',
    "ranking.csv": "rank,path,split,label,suggested_label,average_influence\n",
    "report.html": '<meta name="generator" content="auditor">',
}
"""Files that an earlier audit may have left."""

REAL = ("weights of another network",)
"""What only the real network can refuse."""


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    build, words = BAD[case]
    if case in REAL:
        monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = build(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    for name, text in EARLIER.items():
        (out / name).write_text(text)
    before = snapshot(tmp_path)
    fixed = small_audit(command[0], out, "--seed", "1")
    done = run_cli(*fixed, *command[1:])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert "Traceback" not in done.output and "unexpected" not in done.stderr and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) <= 4, "one message, with what to do next"
    assert snapshot(tmp_path) == before, "nothing is written over"
    shutil.rmtree(out)
    assert run_cli(*fixed, *command[1:]).exit_code == 2
    assert not out.exists(), "no folder is left behind"


@pytest.mark.parametrize(
    ("train", "engine"),
    [
        ("head", "direct"),
        ("head", "nystroem"),
        ("head", "arnoldi"),
        ("head", "ihm"),
        ("layers:layer4,fc", "direct"),
    ],
)
def test_memory_too_small_for_an_engine_is_said_before_an_image_is_read(
    train: str, engine: str, tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"head": 10_000, "layers:layer4,fc": 10_000_000}[train]
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device: few)
    monkeypatch.setattr(checks, "require_room", lambda *_: None)
    monkeypatch.setattr(checks, "_check_probabilities", lambda *_: None)
    words = ["audit", FIXTURES / "digits", "-o", tmp_path / "out", "--weights", "none", "--train", train]
    done = run_cli(*words, "--engine", engine)
    assert done.exit_code == 2 and "--engine auto" in done.stderr and "Traceback" not in done.output, done.output
    assert "Reading images" not in done.stderr and not (tmp_path / "out").exists()


@needs_pydvl
def test_the_engine_named_instead_fits_the_same_memory(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device: 1_000_000)
    words = small_audit(FIXTURES / "digits", tmp_path / "out")
    refused, done = run_cli(*words, "--engine", "direct"), run_cli(*words, "--engine", "auto")
    assert refused.exit_code == 2 and "1.0 MiB are free" in refused.stderr, refused.stderr
    assert done.exit_code == 0, done.stderr


def test_memory_too_small_for_the_pixels_is_said_before_an_image_is_read(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device: 10_000)
    done = run_cli("audit", FIXTURES / "digits", "-o", tmp_path / "out", "--weights", "none")
    assert done.exit_code == 2 and "keeping the pixels of 160 images" in done.stderr
    assert "--image-size" in done.stderr and "Reading images" not in done.stderr


def test_more_images_than_the_memory_holds_is_said_before_an_image_is_read(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features and bases count, not only tables of classes: a million images of two classes need 17 GB."""
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device="cpu": 300_000)
    done = run_cli("audit", FIXTURES / "digits", "-o", tmp_path / "out", "--weights", "none")
    assert done.exit_code == 2 and "detection on 160 images in 2 classes needs 0.3 MiB" in done.stderr, done.stderr
    assert "a part at a time" in done.stderr and "Reading images" not in done.stderr


def test_more_classes_than_the_memory_holds_is_said_before_an_image_is_read(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = next((FIXTURES / "digits" / "train" / "3").glob("*.png"))
    (tmp_path / "data").mkdir()
    rows = [f"{i}.png,class {i // 3}" for i in range(9000)]
    for i in range(9000):
        (tmp_path / "data" / f"{i}.png").hardlink_to(picture)
    (tmp_path / "data" / "list.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    words = ["audit", tmp_path / "data" / "list.csv", "-o", tmp_path / "out", "--weights", "none"]
    done = run_cli(*words, "--repeats", "1000000")
    assert done.exit_code == 2 and "the probabilities of 9000 images in 3000 classes" in done.stderr, done.stderr
    assert "--classes" in done.stderr and "Reading images" not in done.stderr and not (tmp_path / "out").exists()
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device="cpu": 3 * 2**30)
    done = run_cli(*words)
    assert done.exit_code == 2 and "detection on 9000 images in 3000 classes needs 4.1 GiB" in done.stderr, done.stderr
    assert "--classes" in done.stderr and "Reading images" not in done.stderr and not (tmp_path / "out").exists()
    monkeypatch.setattr("auditor.pipeline.checks.LONGEST", 3600.0)
    done = run_cli(*words)
    assert done.exit_code == 2 and "in 3,000 classes would take about 3 hours" in done.stderr, done.stderr
    assert "--classes" in done.stderr and "Reading images" not in done.stderr and not (tmp_path / "out").exists()


def test_how_long_many_classes_take_is_said_before_an_image_is_read(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (checks.LONG, checks.LONGEST) == (600, 24 * 3600), "ten minutes and a day, as docs/robustness.md says"
    monkeypatch.setattr("auditor.pipeline.checks.MANY_CLASSES", 1)
    monkeypatch.setattr("auditor.pipeline.checks.LONG", 0.0)
    words = small_audit(FIXTURES / "digits", tmp_path / "out")
    words.remove("--quiet")
    done = run_cli(*words)
    said = done.stderr.index("2 classes: the search for wrong labels takes about 1 minutes of processor time")
    assert done.exit_code == 0 and said < done.stderr.index("--classes") < done.stderr.index("Reading images")


def test_an_output_folder_that_is_a_file(tmp_path: Path, run_cli: Run) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    done = run_cli(*small_audit(FIXTURES / "digits", out))
    assert done.exit_code == 2 and "cannot be made" in done.stderr and out.read_text() == "mine"


def test_an_output_folder_in_use(tmp_path: Path, run_cli: Run) -> None:
    from auditor.system.lock import locked

    with locked(tmp_path):
        done = run_cli(*small_audit(FIXTURES / "digits", tmp_path))
        assert done.exit_code == 2 and "another audit is writing to" in done.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize("words", [[], ["audit"], ["audit", "digits"], ["nonsense"], ["gate"], ["report"]])
def test_half_commands(words: list[str], run_cli: Run) -> None:
    done = run_cli(*words)
    assert done.exit_code == (2 if words else done.exit_code)
    assert "Traceback" not in done.output and "Usage" in done.output


@pytest.mark.parametrize("command", ["report", "gate"])
def test_a_folder_without_an_audit(command: str, tmp_path: Path, run_cli: Run) -> None:
    done = run_cli(command, tmp_path)
    assert done.exit_code == 2 and "holds no finished audit" in done.stderr and names(tmp_path) == []


# What a good one gives


def test_the_promised_files_are_there(finished_folder: Path) -> None:
    promised = {"report.html", "audit.json", "ranking.csv", "planted.csv", "evidence.json"}
    assert set(names(finished_folder)) == promised


def test_the_recorded_command_gives_equal_bytes_and_a_log(
    finished_folder: Path, tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    summary = json.loads((finished_folder / "audit.json").read_text(encoding="utf-8"))
    words = shlex.split(summary["command"])
    assert words[0] == "auditor"
    again, log = tmp_path / "out", tmp_path / "log.jsonl"
    done = run_cli(*words[1:], "-o", again, "--quiet", "--log-file", log)
    assert done.exit_code == 0 and done.stderr == "" and str(again / "report.html") in done.stdout
    for name in ("ranking.csv", "planted.csv"):
        assert (again / name).read_bytes() == (finished_folder / name).read_bytes()
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert {"begin", "progress", "end"} <= {event["event"] for event in events}
    ended = [event["stage"] for event in events if event["event"] == "end"]
    assert "features" in ended and "experiment" in ended


def test_a_finished_folder_takes_a_second_audit_and_keeps_strangers(
    finished_folder: Path, tmp_path: Path, run_cli: Run
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_folder, out)
    (out / "notes.txt").write_text("mine")
    done = run_cli(*small_audit(FIXTURES / "digits", out, "--seed", "7"))
    assert done.exit_code == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "ranking.csv").read_bytes() != (finished_folder / "ranking.csv").read_bytes()


def test_every_setting_is_an_option_with_help(run_cli: Run) -> None:
    text = run_cli("audit", "--help").stdout
    for field in (*fields(AuditSettings), *fields(RunSettings)):
        assert f"--{field.name.replace('_', '-')}" in text
        first = field.metadata["help"].split()[0]
        assert first in text


def test_flags_win_over_the_configuration_file(tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[AuditSettings] = []

    def stop(source: str, settings: AuditSettings, *_: Any, **__: Any) -> None:
        seen.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "audit", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auditor.toml").write_text("[audit]\nseed = 4\nrepeats = 2\n")
    done = run_cli("audit", "digits", "-o", "out", "--seed", "5")
    assert done.exit_code == 130 and "run the same command again" in done.stderr
    assert (seen[0].seed, seen[0].repeats) == (5, 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "make room there and run the same command again"),
        (errno.EDQUOT, "make room there"),
        (errno.EROFS, "choose another place with -o"),
        (errno.EACCES, "check its permissions"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "choose another place with -o"),
        (errno.EDOM, "AUDITOR_TRACEBACK=1"),
    ],
)
def test_what_the_system_refuses_is_said_with_what_to_do(
    code: int, words: str, tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path / "out" / "ranking.csv"))

    monkeypatch.setattr(stages, "audit", refuse)
    done = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "out"))
    first, second = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and first == f"error: {tmp_path / 'out' / 'ranking.csv'}: {os.strerror(code)}"
    assert words in second


@pytest.mark.parametrize(
    ("owner", "name", "error", "code"),
    [
        (stages, "gather_evidence", KeyboardInterrupt(), 130),
        (AuditResult, "save", OSError(errno.ENOSPC, "No space left on device"), 2),
    ],
)
def test_an_audit_that_ends_early_goes_on_from_its_finished_stages(
    owner: Any,
    name: str,
    error: BaseException,
    code: int,
    tmp_path: Path,
    run_cli: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, log = tmp_path / "cache", tmp_path / "log"
    words = [*small_audit(FIXTURES / "digits", tmp_path / "out"), "--cache", cache, "--log-file", log]

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        assert run_cli(*words).exit_code == code
    log.unlink()
    done = run_cli(*words)
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    taken = sorted(event["stage"].split("-")[0] for event in events if event["event"] == "resumed")
    assert done.exit_code == 0, done.stderr
    assert taken == ["detection", "oddities", "run", "run", "suspicion"]
    assert not (cache / "checkpoints").exists()


def test_an_audit_that_ends_after_its_report_leaves_its_stages_to_the_next(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    words = [*small_audit(FIXTURES / "digits", tmp_path / "out"), "--cache", cache]

    def end(_: Checkpoints) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "clear", end)
        assert run_cli(*words).exit_code == 130
    assert list((cache / "checkpoints").glob("*/*.npz"))
    written = (tmp_path / "out" / "audit.json").stat().st_mtime_ns
    assert run_cli(*words).exit_code == 0
    assert (tmp_path / "out" / "audit.json").stat().st_mtime_ns == written, "its result stands"
    assert not (cache / "checkpoints").exists()


def test_an_error_nobody_foresaw_is_one_line(tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> Callable[..., None]:
        def audit(*_: Any, **__: Any) -> None:
            raise error

        return audit

    for error, words in (
        (ZeroDivisionError("division by \x1b[31mzero"), "unexpected ZeroDivisionError: division by \\x1b[31mzero"),
        (ValueError("one line\nand another"), "unexpected ValueError: one line"),
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device", "/x/ranking.csv"), "/x/ranking.csv: No space left on device"),
    ):
        monkeypatch.setattr(stages, "audit", fail(error))
        done = run_cli("audit", "digits", "-o", tmp_path / "out")
        assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 2, "one line, and what to do"
        if "unexpected" in words:
            assert "AUDITOR_TRACEBACK=1" in done.stderr and "report it" in done.stderr
    monkeypatch.setattr(stages, "audit", fail(ZeroDivisionError("here")))
    monkeypatch.setenv("AUDITOR_TRACEBACK", "1")
    assert isinstance(run_cli("audit", "digits", "-o", tmp_path / "out").exception, ZeroDivisionError)


def test_names_cannot_steer_the_terminal(tmp_path: Path, run_cli: Run) -> None:
    for name in HOSTILE_CLASSES:
        done = run_cli("audit", "digits", "-o", tmp_path / "out", "--classes", f"3,{name}")
        assert done.exit_code == 2
        assert all(c.isprintable() or c == "\n" for c in done.stderr), name


def test_too_little_data_for_a_single_flip_is_undecided(tmp_path: Path, run_cli: Run) -> None:
    data = _digits(tmp_path / "data", {"3": 3, "8": 3})
    done = run_cli(*small_audit(data, tmp_path / "out"))
    assert done.exit_code == 3 and "too few" in done.stderr and not (tmp_path / "out").exists()


def test_unreadable_images_are_named_in_result_and_report(tmp_path: Path, run_cli: Run) -> None:
    out = tmp_path / "out"
    done = run_cli(*small_audit(FIXTURES / "broken", out))
    assert done.exit_code == 0, done.stderr
    summary = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    skipped = {entry["path"]: entry["reason"] for entry in summary["dataset"]["skipped"]}
    bad = {"3/truncated.jpg", "3/zero-bytes.png", "8/text.jpg", "8/bomb.png", "8/half.png"}
    assert bad <= set(skipped) and all(skipped.values())
    assert summary["dataset"]["n_skipped"] == len(skipped)
    report = (out / "report.html").read_text(encoding="utf-8")
    assert all(Path(path).name in report for path in bad)


@pytest.mark.parametrize(("words", "code"), [(["report"], 0), (["gate"], 2)])
def test_a_reader_that_goes_away_does_not_change_the_code(
    words: list[str], code: int, finished_folder: Path, tmp_path: Path
) -> None:
    folder = finished_folder if words == ["report"] else tmp_path
    command = shlex.join([sys.executable, "-m", "auditor.cli", *words, str(folder)])
    script = f"{command} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code and done.stdout == done.stderr == ""


def test_a_full_disk_below_standard_output_is_an_error_and_below_standard_error_none(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "auditor.cli"]
    with Path("/dev/full").open("w") as full:
        out = subprocess.run([*words, "gate", str(tmp_path)], stdout=full, stderr=full, check=False)
        told = subprocess.run([*words, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert out.returncode == 2
    assert told.returncode == 2 and "No space left on device" in told.stderr and "Traceback" not in told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_130_and_a_word(number: signal.Signals, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "auditor.cli", *small_audit("digits", tmp_path / "out")]
    words.remove("--quiet")
    code = f"import os, signal; signal.signal({int(number)}, signal.SIG_DFL); os.execv({words[0]!r}, {words!r})"
    started = [sys.executable, "-c", code]  # a shell's background job is started with SIGINT ignored
    with subprocess.Popen(started, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first stage has begun
        process.send_signal(number)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"interrupted; run the same command again" in rest and b"Traceback" not in rest
    assert not (tmp_path / "out").exists()


def test_versions(run_cli: Run) -> None:
    from auditor._version import __version__

    assert run_cli("--version").stdout == f"auditor, version {__version__}\n"
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?\S*", __version__)


def test_an_interrupt_that_hits_a_destructor_is_not_lost() -> None:
    code = """
import time
import click
from auditor import cli

class Fragile:
    def __del__(self):
        raise KeyboardInterrupt

@cli.main.command()
def wait():
    Fragile()
    for _ in range(1000):
        time.sleep(0.1)
    click.echo("went on")

cli.main(["wait"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr and "Traceback" not in done.stderr and "went on" not in done.stdout


@pytest.mark.parametrize("command", ["audit", "demo"])
def test_options_are_shown_in_groups_and_none_is_lost(command: str, run_cli: Run) -> None:
    shown = run_cli(command, "--help").stdout
    headings = ["What is read and written:", "What decides the result:", "How it is run:"]
    places = [shown.index(heading) for heading in headings]
    assert places == sorted(places)
    for option in ("--columns", "--features", "--kind", "--reference", "--root"):
        assert places[0] < shown.rindex(f"  {option} ") < places[1], "what is read stands under its heading"
    from auditor.cli import main

    for option in main.commands[command].params:
        assert option.param_type_name == "argument" or max(option.opts, key=len) in shown


def test_out_names_the_folder_in_every_command_that_writes_one(run_cli: Run) -> None:
    for words in (["audit"], ["demo"], ["review", "apply"]):
        assert re.search(r"-o, --out\b", run_cli(*words, "--help").stdout), words


def test_output_means_a_format_wherever_help_names_it_and_its_old_use_stays(run_cli: Run) -> None:
    assert "--output" not in run_cli("review", "apply", "--help").stdout
    done = run_cli("review", "apply", "none", "none.json", "--output", "there")
    assert done.exit_code == 2 and "no such option" not in done.stderr.lower()


def test_a_system_without_fcntl_has_the_command() -> None:
    code = "import sys; sys.modules['fcntl'] = None\nimport auditor, auditor.session\nfrom auditor.cli import main\n"
    code += "main(['gate', 'none'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "holds no finished audit" in done.stderr and "Traceback" not in done.stderr


def test_the_tools_of_an_export_are_those_that_there_are(run_cli: Run) -> None:
    from auditor.review.tools import TOOLS

    assert f"[{'|'.join(TOOLS)}]" in run_cli("export", "--help").stdout
