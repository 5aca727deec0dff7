"""A new folder in the place of an earlier one, where renames work and where the system refuses them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from helpers import snapshot

from auditor.review.exchange import exchange_folders, repair

MARK, DRAFTS = "review.json", ".auditor-review-x-"
OLD = {"review.json": b"old", "a/1.png": b"one", "a/b/2.png": b"two"}
NEW = {"review.json": b"new", "a/1.png": b"ONE", "c/3.png": b"three", "cleaned.csv": b"table"}
Name = str | os.PathLike[str]


def lay(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "out" / "reviewed"


def staged(place: Path) -> Path:
    place.parent.mkdir(exist_ok=True)
    return lay(place.parent / f"{DRAFTS}new", NEW)


def mounted(patch: pytest.MonkeyPatch, place: Path, code: int) -> None:
    """`place` as a mount point: it can be neither renamed nor replaced."""
    real = Path.rename

    def rename(self: Path, target: Name) -> Path:
        if place in (self, Path(target)):
            raise OSError(code, os.strerror(code), str(self))
        return real(self, target)

    patch.setattr(Path, "rename", rename)


def whole(place: Path) -> dict[str, bytes]:
    """What lies there; beside it lies nothing."""
    assert [path.name for path in place.parent.iterdir()] == ([place.name] if place.exists() else [])
    assert not [path for path in place.rglob("*/") if not any(path.iterdir())], "no empty folder is left"
    return snapshot(place)


@pytest.mark.parametrize("code", [0, errno.EXDEV, errno.EBUSY])
@pytest.mark.parametrize("earlier", [{}, OLD])
def test_the_new_files_stand_whatever_the_system_refuses(
    place: Path, monkeypatch: pytest.MonkeyPatch, code: int, earlier: dict[str, bytes]
) -> None:
    lay(place, earlier)
    if code:
        mounted(monkeypatch, place, code)
    exchange_folders(staged(place), place, DRAFTS, MARK)
    assert whole(place) == NEW


def test_other_errors_are_told_and_nothing_changes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(place, OLD)
    mounted(monkeypatch, place, errno.EACCES)
    with pytest.raises(PermissionError):
        exchange_folders(staged(place), place, DRAFTS, MARK)
    assert snapshot(place) == OLD


class Killed(BaseException):
    """The process ends here; nothing after it runs."""


def steps(patch: pytest.MonkeyPatch, stop_at: int, error: type[BaseException] | None) -> list[str]:
    """Every change of a file is counted; at one of them `error` is raised, and from then on if it is a kill."""
    seen: list[str] = []

    def counted(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: object, **options: object) -> object:
            seen.append(name)
            dead = error is Killed and len(seen) > stop_at
            if error is not None and (len(seen) == stop_at or dead):
                raise error(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        patch.setattr(owner, name, call)

    for owner, name in ((os, "link"), (Path, "unlink"), (Path, "mkdir"), (Path, "rmdir")):
        counted(owner, name)
    return seen


@pytest.mark.parametrize("earlier", [{}, OLD])
def test_a_kill_at_any_change_leaves_what_the_next_call_makes_whole(tmp_path: Path, earlier: dict[str, bytes]) -> None:
    for number in range(1, 100):
        place = tmp_path / str(number) / "reviewed"
        place.parent.mkdir()
        lay(place, earlier)
        draft = staged(place)
        with pytest.MonkeyPatch.context() as patch:
            mounted(patch, place, errno.EBUSY)
            patch.setattr("shutil.rmtree", lambda *_, **__: None)  # a killed process removes nothing
            seen = steps(patch, number, Killed)
            try:
                exchange_folders(draft, place, DRAFTS, MARK)
                done = True
            except Killed:
                done = False
        with pytest.MonkeyPatch.context() as patch:
            mounted(patch, place, errno.EBUSY)
            repair(place, DRAFTS, MARK)
        assert whole(place) in (([NEW] if done else []) + [earlier, NEW])
        if done:
            assert len(seen) < number
            break
    assert number > 8


def test_a_full_disk_brings_the_earlier_files_back(tmp_path: Path) -> None:
    for number in range(1, 100):
        place = lay(tmp_path / str(number) / "reviewed", OLD)
        draft = staged(place)
        with pytest.MonkeyPatch.context() as patch:
            mounted(patch, place, errno.EXDEV)
            patch.setattr("shutil.copy2", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            seen = steps(patch, number, OSError)
            try:
                exchange_folders(draft, place, DRAFTS, MARK)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                assert snapshot(place) == OLD
                continue
        assert snapshot(place) == NEW
        if len(seen) < number:
            assert whole(place) == NEW
            return


def test_files_of_the_users_in_a_half_filled_folder_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(place, OLD)
    draft = staged(place)
    with pytest.MonkeyPatch.context() as patch:
        mounted(patch, place, errno.EBUSY)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        real = os.link

        def link(source: Name, target: Name) -> None:
            if Path(target) == place / "c/3.png":
                raise Killed
            real(source, target)

        patch.setattr(os, "link", link)
        patch.setattr("auditor.review.exchange._bring_back", lambda *_: None)
        with pytest.raises(Killed):
            exchange_folders(draft, place, DRAFTS, MARK)
    assert not (place / MARK).exists()
    lay(place, {"mine.txt": b"mine"})
    repair(place, DRAFTS, MARK)
    assert snapshot(place) == {**OLD, "mine.txt": b"mine"}
