"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import names

from auditor.system import files


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
    """A writer killed between two renames leaves no mark. New and old files are never taken for one result."""
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


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV])
def test_a_file_that_cannot_be_replaced_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    place, other = tmp_path / "baseline.json", tmp_path / "other.json"
    place.write_text("the earlier one, which was longer")
    place.chmod(0o640)
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == place:  # a container mounts this one file
            raise OSError(code, os.strerror(code), str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    files.write_text(place, "new")
    assert place.read_text() == "new" and place.stat().st_mode & 0o777 == 0o640
    files.write_together({place: b"newer", other: b"beside"}, last=other)
    assert (place.read_bytes(), other.read_bytes()) == (b"newer", b"beside")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline.json", "other.json"]
    with pytest.raises(OSError):  # nothing lies there: there is nothing to write over
        place.unlink()
        files.write_text(place, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]
