"""One audit at a time in a folder. A dead one holds no lock."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import names

from auditor.errors import ConfigError, ExitCode, LockedError
from auditor.system import lock as lock_module
from auditor.system.lock import NAME, locked, output_folder

HOLD = (
    "import sys, time; from pathlib import Path; from auditor.system.lock import locked\n"
    "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
)


def test_a_second_one_is_told(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        try:
            with pytest.raises(LockedError) as caught, locked(tmp_path):
                pass
        finally:
            holder.kill()
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(tmp_path) in caught.value.message and caught.value.hint
    with locked(tmp_path):  # the holder was killed: its lock is gone, its file does not matter
        pass
    assert names(tmp_path) == []


def test_within_one_process_too(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(LockedError), locked(tmp_path):
            pass
        with pytest.raises(LockedError), locked(tmp_path):  # the refused one did not free it
            pass


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ConfigError, match="cannot be written to"), locked(folder):
            pass


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine").write_text("x")
    for target in ("mine", "nothing"):
        link = tmp_path / "folder" / NAME
        link.symlink_to(tmp_path / target)
        with pytest.raises(ConfigError, match="cannot be written to"), locked(tmp_path / "folder"):
            pass
        link.unlink()
    assert names(tmp_path) == ["folder", "mine"] and (tmp_path / "mine").read_text() == "x"


def test_the_lock_is_its_owners_alone(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_who_waited_with_the_old_file_open_does_not_share_with_who_comes_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder leaves, and removes the file, just after the next one has opened it."""
    first = locked(tmp_path)
    first.__enter__()
    real = os.open
    state = {"left": False}

    def slow_open(path: Path, *arguments: int) -> int:
        handle = real(path, *arguments)
        if not state["left"]:
            state["left"] = True
            first.__exit__(None, None, None)
        return handle

    monkeypatch.setattr(os, "open", slow_open)
    with locked(tmp_path), pytest.raises(LockedError), locked(tmp_path):
        pass


def test_who_comes_the_moment_the_holder_leaves_keeps_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder removes its file before it lets go. Afterwards it would remove the next holder's file."""
    first, second = locked(tmp_path), locked(tmp_path)
    first.__enter__()
    real, taken = os.close, []

    def close(handle: int) -> None:
        real(handle)
        if not taken:
            taken.append(second.__enter__())

    monkeypatch.setattr(os, "close", close)
    first.__exit__(None, None, None)
    with pytest.raises(LockedError), locked(tmp_path):
        pass
    second.__exit__(None, None, None)


def _take_turns(folder: Path, times: int) -> None:
    inside = folder / "inside"
    for _ in range(times):
        try:
            with locked(folder):
                inside.mkdir()  # fails if somebody else is inside
                inside.rmdir()
        except LockedError:
            continue


def test_many_at_once_never_overlap(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_take_turns, args=(tmp_path, 300)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]


def test_the_output_folder_is_made_and_stays_when_something_came_into_it(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with output_folder(out):
        (out / "file").write_text("x")
    assert names(out) == ["file"]


def test_folders_made_for_nothing_are_removed_again(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "mine" / "a" / "b"):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "mine"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["mine"] and names(tmp_path / "mine") == []


def test_an_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="cannot be made"), output_folder(folder):
            pass
    assert (tmp_path / "file").read_text() == "x"


def test_leftovers_of_a_killed_audit_are_swept_and_the_users_files_stay(tmp_path: Path) -> None:
    (tmp_path / ".auditor-abc123.tmp").write_text("half")
    (tmp_path / "notes.tmp").write_text("mine")
    with output_folder(tmp_path):
        pass
    assert names(tmp_path) == ["notes.tmp"]


def _flock_answers(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP", "ENOTSUP", "EINVAL", "ENOTTY"])
def test_a_file_system_without_locks_gets_a_file_that_stands_for_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _flock_answers(getattr(errno, name), monkeypatch)
    for _ in range(2):
        with locked(tmp_path):
            assert names(tmp_path) != []
            with pytest.raises(LockedError), locked(tmp_path):
                pass
        assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ESTALE", "ENAMETOOLONG"])
def test_any_other_answer_of_the_system_is_said_in_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = getattr(errno, name)

    def refuses(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("auditor.system.lock.FileLock.acquire", refuses)
    with pytest.raises(ConfigError, match="cannot be written to") as caught, locked(tmp_path):
        pass
    assert os.strerror(code) in caught.value.message and "-o" in caught.value.hint
    assert ("make room" in caught.value.hint) == (name in {"ENOSPC", "EDQUOT"})


def test_a_stale_handle_of_a_network_drive_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, found = [errno.ESTALE], lock_module.FileLock.acquire

    def acquire(self: object, *given: object, **named: object) -> object:
        if first:
            raise OSError(first.pop(), "Stale file handle")
        return found(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("auditor.system.lock.FileLock.acquire", acquire)
    with locked(tmp_path):
        pass
    assert not first and names(tmp_path) == []
