"""Commands pointed at devices, pipes, gone folders and closed streams: one sentence or a right answer."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import make_result
from helpers import FIXTURES, PROJECT, few_images, names, small_audit, snapshot

import auditor
from auditor.cli import main
from auditor.errors import ConfigError

Run = Callable[..., Any]
AUDITOR = [sys.executable, "-m", "auditor.cli"]


def _shell(command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture
def finished_folder(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of one's own: a gate leaves its verdict there."""
    return Path(shutil.copytree(finished_folder, tmp_path_factory.mktemp("finished") / "out"))


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def in_time(run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`run_cli` in the test's own folder; a command that waits for a minute is interrupted, and its test fails."""

    def late(*_: object) -> None:
        raise TimeoutError("the command waits for something that never comes")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield run_cli
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# What is read


_READERS = (
    (["gate", "OUT", "--config", "FILE"], "pipe"),
    (["gate", "OUT", "--config", "FILE"], "device"),
    (["gate", "OUT", "--baseline", "FILE"], "pipe"),
    (["gate", "OUT", "--baseline", "FILE"], "device"),
    (["review", "apply", "OUT", "FILE"], "pipe"),
    (["review", "apply", "OUT", "FILE"], "device"),
    (["audit", "digits", "-o", "NEW", "--config", "FILE"], "pipe"),
    (["audit", "FILE", "-o", "NEW"], "pipe"),
    (["audit", "digits", "-o", "NEW", "--weights", "FILE"], "device"),
)


@pytest.mark.parametrize(("words", "kind"), _READERS)
def test_a_device_or_pipe_in_place_of_a_file_is_never_waited_for(
    words: list[str], kind: str, pipe: Path, finished_folder: Path, tmp_path: Path, in_time: Run
) -> None:
    file = str(pipe) if kind == "pipe" else "/dev/zero"
    places = {"OUT": str(finished_folder), "FILE": file, "NEW": str(tmp_path / "new")}
    done = in_time(*(places.get(word, word) for word in words))
    assert done.exit_code == 2 and file in done.stderr and "Traceback" not in done.stderr
    assert "error: " in done.stderr and not (tmp_path / "new").exists() and pipe.is_fifo()


@pytest.mark.parametrize("name", ["audit.json", "evidence.json", "ranking.csv", "verdict.json"])
def test_a_result_file_that_is_a_device_is_refused(
    name: str, finished_folder: Path, tmp_path: Path, in_time: Run
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_folder, out)
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to("/dev/zero")
    done = in_time("report", out)
    assert done.exit_code == (0 if name == "verdict.json" else 2) and "Traceback" not in done.stderr
    assert done.exit_code == 0 or "a device, not a file" in done.stderr


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    "words",
    [["gate", "OUT", "--config", "FILE"], ["gate", "OUT", "--baseline", "FILE"], ["review", "apply", "OUT", "FILE"]],
)
@pytest.mark.parametrize("content", [f"a = {DEEP}".encode(), DEEP.encode(), b"[audit]\nclasses = ['caf\xe9']\n"])
def test_nested_without_end_and_other_encodings_are_one_sentence(
    words: list[str], content: bytes, finished_folder: Path, tmp_path: Path, run_cli: Run
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    places = {"OUT": str(finished_folder), "FILE": str(file)}
    done = run_cli(*(places.get(word, word) for word in words))
    assert done.exit_code == 2 and str(file) in done.stderr and "unexpected" not in done.stderr, done.stderr
    assert file.read_bytes() == content


def test_a_configuration_with_a_byte_order_mark_is_read(finished_folder: Path, tmp_path: Path, run_cli: Run) -> None:
    file = tmp_path / "auditor.toml"
    file.write_bytes(b"\xef\xbb\xbf[rules.leakage]\r\nenabled = false\r\n")
    done = run_cli("gate", finished_folder, "--config", file)
    assert done.exit_code in (0, 1, 3) and "leakage " not in done.stdout, done.output


# What is written


def test_outputs_go_into_pipes_and_devices_and_never_replace_them(finished_folder: Path, pipe: Path) -> None:
    gate = shlex.join([*AUDITOR, "gate", str(finished_folder)])
    alone = _shell(f"{gate} --output json={pipe}")
    assert alone.returncode == 2 and str(pipe) in alone.stderr, "nobody reads"
    read = _shell(f"cat {pipe} & {gate} --output json={pipe} > /dev/null; wait")
    assert '"kind": "auditor-verdict"' in read.stdout and pipe.is_fifo()
    _shell(f"{gate} --output json=/dev/null")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("file", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_by_name_is_standard_output(file: str, finished_folder: Path, tmp_path: Path) -> None:
    gate = shlex.join([*AUDITOR, "gate", str(finished_folder), "--output"])
    plain = _shell(f"{gate} json")
    named = _shell(f"{gate} json={file} > {tmp_path / 'x'}")
    assert (tmp_path / "x").read_text(encoding="utf-8") == plain.stdout and named.stderr == plain.stderr
    assert names(tmp_path) == ["x"]


def test_an_output_folder_inside_the_data_set_is_refused(tmp_path: Path, run_cli: Run) -> None:
    data = tmp_path / "data"
    shutil.copytree(FIXTURES / "digits" / "train", data)
    (tmp_path / "link").symlink_to(data)
    before = snapshot(tmp_path)
    for out in (data, data / "out", data / "3" / "out", tmp_path / "link" / "out"):
        done = run_cli(*small_audit(data, out))
        assert done.exit_code == 2 and "inside the data set" in done.stderr
    with pytest.raises(ConfigError, match="inside the data set"):
        auditor.audit(str(data), out=data / "out", weights="none")
    assert snapshot(tmp_path) == before and names(data) == ["3", "8"]


@pytest.mark.parametrize("option", ["--cache", "--save-matrix"])
def test_what_an_audit_writes_is_never_inside_the_data_set(option: str, tmp_path: Path, run_cli: Run) -> None:
    data = tmp_path / "data"
    shutil.copytree(FIXTURES / "digits" / "train", data)
    done = run_cli(*small_audit(data, tmp_path / "out", option, str(data / "kept")))
    assert done.exit_code == 2 and "inside the data set" in done.stderr and option in done.stderr
    assert names(data) == ["3", "8"]


def test_an_output_folder_whose_name_is_not_utf8(tmp_path: Path, run_cli: Run, tiny: None) -> None:
    out = tmp_path / os.fsdecode(b"o\xffut")
    done = run_cli(*small_audit(FIXTURES / "digits", out, "--epochs", "3"))
    assert done.exit_code == 0 and "report: " in done.stdout, done.stderr
    assert (out / "report.html").is_file()


def test_an_output_folder_without_a_name_is_refused(run_cli: Run) -> None:
    done = run_cli(*small_audit(FIXTURES / "digits", ""))
    assert done.exit_code == 2 and "-o" in done.stderr


def test_a_log_file_that_is_a_pipe_without_a_reader_is_said(pipe: Path, tmp_path: Path, run_cli: Run) -> None:
    done = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "out", "--log-file", str(pipe)))
    assert done.exit_code == 2 and str(pipe) in done.stderr and not (tmp_path / "out").exists()


# Where it runs


@pytest.mark.parametrize("words", [["gate", "x"], ["audit", "digits", "-o", "x"], ["doctor"]])
def test_a_current_folder_that_is_gone_is_one_sentence(words: list[str], tmp_path: Path) -> None:
    done = _shell(f"mkdir gone; cd gone; rmdir ../gone; {shlex.join([*AUDITOR, *words])}", cwd=tmp_path)
    assert done.returncode == 2 and "error: the current folder does not exist any more" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("streams", ["<&-", ">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(streams: str, tmp_path: Path) -> None:
    make_result(n=40, thumbnails=0, examples=0).save(tmp_path)
    done = _shell(f"{shlex.join([*AUDITOR, 'report', str(tmp_path)])} {streams}")
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize("closed", [True, False], ids=["no standard error", "its reader went away"])
def test_an_audit_whose_progress_nobody_reads_goes_on(
    closed: bool, tmp_path: Path, tiny: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process; the next test lets a shell do it."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [word for word in small_audit(few_images(tmp_path / "data"), tmp_path / "out") if word != "--quiet"]
    with (
        monkeypatch.context() as patch,
        os.fdopen(writer, "w", buffering=1) as nobody,
        pytest.raises(SystemExit) as end,
    ):
        patch.setattr(sys, "stderr", None if closed else nobody)
        main(words)
    assert not end.value.code and (tmp_path / "out" / "report.html").is_file()
    assert capfd.readouterr().out.splitlines()[-1].startswith("report: ")


@pytest.mark.slow  # two more processes that load torch
@pytest.mark.parametrize("streams", ["2>&-", "2>&1 | head -1"])
def test_an_audit_whose_streams_the_shell_closed_goes_on(streams: str, tmp_path: Path) -> None:
    audit = small_audit(few_images(tmp_path / "data"), tmp_path / "out", "--image-size", "8")
    words = [word for word in audit if word != "--quiet"]
    done = _shell(f"{shlex.join([*AUDITOR, *words])} {streams}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    if streams == "2>&-":  # standard output is for results, whatever became of the other
        assert done.stdout.splitlines()[-1].startswith("report: ") and "Reading images" not in done.stdout


def test_no_home_no_locale_no_cache_is_no_obstacle(tmp_path: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": "/proc/nothing", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    data = few_images(tmp_path / "d\u00e4ta")
    # A process of its own, with a small network and in haste.
    code = "import pytest, helpers as h; h.use_tiny_network(p := pytest.MonkeyPatch()); h.use_hasty_detection(p)"
    words = [sys.executable, "-c", f"{code}; from auditor.cli import main; main()"]
    words += small_audit(data, tmp_path / "out", "--image-size", "8")
    env = {**bare, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "d\u00e4ta" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_labels_that_attack_the_reader_do_not_reach_terminal_page_or_spreadsheet(
    tmp_path: Path, run_cli: Run, tiny: None
) -> None:
    hostile = ("\x1b[31mred\x1b]0;x\x07", "<script>alert(1)</script>", '=cmd|" /C calc"!A0', "x" * 10_000)
    pictures = sorted((FIXTURES / "digits" / "train").rglob("*.png"))[:80]
    for number, picture in enumerate(pictures):
        shutil.copy(picture, tmp_path / f"{number}.png")
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{number}.png", hostile[number % 4]) for number in range(len(pictures))]
        csv.writer(file).writerows([("path", "label"), *rows])
    done = run_cli(*small_audit(tmp_path / "list.csv", tmp_path / "out", "--epochs", "3"), "--gate")
    assert done.exit_code in (0, 1, 3), done.output
    judged = run_cli("gate", tmp_path / "out", "--output", "github", "--output", "markdown")
    for text in (done.stdout, done.stderr, judged.stdout, judged.stderr):
        assert all(c.isprintable() or c == "\n" for c in text) and "<script>alert" not in text
        assert max((len(line) for line in text.splitlines()), default=0) < 2_000
    assert "<script>alert(1)" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for name in ("ranking.csv", "planted.csv"):
        with (tmp_path / "out" / name).open(encoding="utf-8", newline="") as file:
            assert not any(cell.startswith("=") for row in csv.reader(file) for cell in row)
