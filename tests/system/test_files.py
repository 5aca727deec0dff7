"""Files come whole or not at all; CSV cells survive a round trip and start no formula."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers import names
from hypothesis import given
from hypothesis import strategies as st

from auditor.system import files

FORMULA = ("=", "+", "-", "@", "\t", "\r")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
# Text that happens to begin like a formula is too rare to be met by chance.
CELL = st.builds("{}{}".format, st.sampled_from(["", "'", *FORMULA]), TEXT)


@given(CELL)
def test_unescape_undoes_escape(text: str) -> None:
    assert files.unescape_cell(str(files.escape_cell(text))) == text


@given(CELL)
def test_an_escaped_cell_starts_no_formula(text: str) -> None:
    assert not str(files.escape_cell(text)).startswith(FORMULA)


def test_escape_leaves_what_is_not_text() -> None:
    assert files.escape_cell(-3.5) == -3.5
    assert files.escape_cell(None) is None


@given(st.lists(st.tuples(CELL, st.floats(-1e6, 1e6)), min_size=1, max_size=8))
def test_csv_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame({"name": [r[0] for r in rows], "value": [r[1] for r in rows]})
    files.write_csv(path, frame)
    again = files.read_csv(path, ["name"])
    assert again["name"].tolist() == frame["name"].tolist()
    assert again["value"].tolist() == pytest.approx(frame["value"].tolist(), rel=1e-9, abs=1e-12)


def test_csv_round_trip_of_line_ends_inside_cells(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a\rb", "a\nb", "a\r\nb", "end\r\n", "\r", "plain"], "value": range(6)})
    files.write_csv(tmp_path / "a.csv", frame)
    assert files.read_csv(tmp_path / "a.csv", ["name"])["name"].tolist() == frame["name"].tolist()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 7
    assert (tmp_path / "a.csv").read_bytes().endswith(b"\nplain,5\n")


def test_csv_keeps_text_that_looks_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["NA", "null", "nan", "", "None", "007", "1e5"]})
    files.write_csv(tmp_path / "a.csv", frame)
    assert files.read_csv(tmp_path / "a.csv", ["name"])["name"].tolist() == frame["name"].tolist()


def test_equal_frames_give_equal_bytes_with_unix_line_ends(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1 / 3, 2.0], "b": ["x", "=1"]})
    files.write_csv(tmp_path / "a.csv", frame)
    files.write_csv(tmp_path / "b.csv", frame)
    data = (tmp_path / "a.csv").read_bytes()
    assert data == (tmp_path / "b.csv").read_bytes()
    assert b"\r" not in data and data.endswith(b"\n")


def test_write_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old" * 1000)
    files.write_text(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a", "x")
    finally:
        assert os.umask(before) == 0o027, "the umask must be as it was"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["é" * 120, "\N{GRINNING FACE}" * 60])
def test_long_names_in_any_script(tmp_path: Path, name: str) -> None:
    files.write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"a": "ß"})
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "ß"}


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from auditor.system import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path(sys.argv[1])
for write in (
    lambda: files.write_bytes(folder / "a", b"n" * 5000),
    lambda: files.write_together({folder / "a": b"n", folder / "b": b"n" * 5000}, last=folder / "b"),
):
    try:
        write()
    except OSError:
        continue
    sys.exit("no error")
"""


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == ["a", "b"]
    assert {(tmp_path / name).read_text() for name in "ab"} == {"old"}


def test_a_folder_that_is_gone_is_an_error_about_the_file_the_user_knows(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.write_text(tmp_path / "gone" / "audit.json", "{}")
    assert caught.value.filename == str(tmp_path / "gone" / "audit.json")


def test_together_takes_the_mark_away_before_anything_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dies between two renames leaves no mark, so that new and old files are never taken for one result."""
    for name in ("a", "b", "mark"):
        (tmp_path / name).write_text("old")
    seen = []
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        seen.append((Path(target).name, (tmp_path / "mark").exists()))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    files.write_together({tmp_path / name: b"new" for name in ("mark", "b", "a")}, last=tmp_path / "mark")
    assert [name for name, _ in seen][-1] == "mark"
    assert not any(marked for _, marked in seen)
    assert names(tmp_path) == ["a", "b", "mark"]


def test_sweep_removes_what_a_killed_writer_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "kept.tmp").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    code = (
        "import os, sys; from pathlib import Path; from auditor.system import files\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        "files.write_text(Path(sys.argv[1]) / 'a.csv', 'x' * 100)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert len(names(tmp_path)) == 3, "the killed writer left a temporary file"
    files.sweep(tmp_path, older_than=3600)
    assert len(names(tmp_path)) == 3, "it may be somebody's who still writes"
    files.sweep(tmp_path)
    assert names(tmp_path) == [".hidden", "kept.tmp"]
