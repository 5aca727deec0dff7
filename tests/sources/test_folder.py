"""Folders of classes: layouts, hostile entries, order."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from hostile import HostileFolder, hostile_folder, png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source


def fill(root: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(png(number % 256))
    return root


def rows(table: ImageTable) -> list[tuple[str, str, str]]:
    return list(table.frame.itertuples(index=False, name=None))


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> HostileFolder:
    return hostile_folder(tmp_path_factory.mktemp("hostile") / "set")


def test_classes_without_splits(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, "dog/2.jpg", "cat/b/deep/1.png", "cat/1.JPEG")))
    assert rows(table) == [("cat/1.JPEG", "cat", ""), ("cat/b/deep/1.png", "cat", ""), ("dog/2.jpg", "dog", "")]
    assert list(table.frame.columns) == ["path", "label", "split"]
    assert list(table.frame.index) == [0, 1, 2]
    assert table.name == tmp_path.name
    assert table.root == str(tmp_path)
    assert table.skipped == ()


@pytest.mark.parametrize(
    ("spelling", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("val", "val"),
        ("valid", "val"),
        ("validation", "val"),
        ("dev", "val"),
        ("TEST", "test"),
        ("testing", "test"),
    ],
)
def test_spellings_of_splits(tmp_path: Path, spelling: str, split: str) -> None:
    table = open_source(str(fill(tmp_path, f"{spelling}/cat/1.png", f"{spelling}/dog/1.png")))
    assert {row[2] for row in rows(table)} == {split}
    assert {row[1] for row in rows(table)} == {"cat", "dog"}


def test_two_spellings_of_one_split_are_both_listed(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, "val/cat/1.png", "valid/cat/1.png", "train/cat/1.png")))
    assert [row[2] for row in rows(table)] == ["train", "val", "val"]


def test_a_class_called_test_or_train(tmp_path: Path) -> None:
    """Folders that hold images directly are classes, whatever they are called."""
    table = open_source(str(fill(tmp_path, "train/1.png", "car/1.png", "plane/1.png", "test/9.png")))
    assert {row[1] for row in rows(table)} == {"train", "car", "plane", "test"}
    assert {row[2] for row in rows(table)} == {""}


def test_unlabelled_test_images_and_other_folders_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/1.png", "test/2.png", "docs/figure.png")
    table = open_source(str(tmp_path))
    assert [row[0] for row in rows(table)] == ["train/cat/1.png", "train/dog/1.png"]
    assert reasons(table) == {
        "docs": "lies beside the folders of the splits, so it is no class",
        "test/1.png": "not in a class folder (and 1 more beside it)",
    }


def test_a_linked_split_never_takes_the_place_of_the_real_one(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "train/dog/1.png")
    (tmp_path / "test").symlink_to("train")
    (tmp_path / "dev").symlink_to("train")
    table = open_source(str(tmp_path))
    assert {row[2] for row in rows(table)} == {"train"}
    assert reasons(table)["dev/cat"].startswith("a symbolic link to a folder that is already listed")


def test_nested_links_do_not_move_images_to_another_class(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "link").symlink_to("../b")
    assert rows(open_source(str(tmp_path))) == [("a/1.png", "a", ""), ("b/1.png", "b", "")]


def test_links_to_folders_inside_the_root_are_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, ".store/x/1.png", "b/1.png")
    (tmp_path / "a").symlink_to(".store/x")
    (tmp_path / "c").symlink_to(".store/x")
    table = open_source(str(tmp_path), classes=["a", "b"])
    assert rows(table) == [("a/1.png", "a", ""), ("b/1.png", "b", "")]
    assert table.empty == ("c",)


def test_a_farm_of_links_ends(tmp_path: Path) -> None:
    """Twelve folders that each link to all others: 12! paths for who follows links without memory."""
    names = [f"c{number:02d}" for number in range(12)]
    fill(tmp_path, *(f"{name}/1.png" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(f"../{other}")
    assert len(open_source(str(tmp_path)).frame) == 12


@pytest.mark.parametrize("split", ["", "train/"])
def test_an_empty_class_is_refused_by_name_unless_not_wanted(tmp_path: Path, split: str) -> None:
    fill(tmp_path, f"{split}cat/1.png", f"{split}dog/1.png")
    (tmp_path / split / "bird").mkdir()
    (tmp_path / split / "bird" / "notes.txt").write_text("to do")
    with pytest.raises(SourceError, match=r"no image in the class 'bird'") as caught:
        open_source(str(tmp_path))
    assert "--classes" in caught.value.hint
    table = open_source(str(tmp_path), classes=["cat", "dog"])
    assert table.empty == ("bird",)
    assert reasons(table) == {f"{split}bird": "a class folder without images"}


def test_a_class_that_is_empty_in_one_split_only_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/1.png")
    (tmp_path / "test" / "dog").mkdir()
    table = open_source(str(tmp_path))
    assert table.empty == ()
    assert reasons(table) == {"test/dog": "a class folder without images"}


def test_a_folder_without_images_says_why(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    os.mkfifo(tmp_path / "cat" / "x.png")
    with pytest.raises(SourceError, match=r"holds no labelled image.*named pipe"):
        open_source(str(tmp_path))


def test_hostile_entries_are_listed_or_named(hostile: HostileFolder) -> None:
    table = open_source(str(hostile.root))
    assert set(table.frame["path"]) == hostile.listed
    told = reasons(table)
    assert {path for path in hostile.skipped if path not in told} == set()
    assert {path: told[path] for path, words in hostile.skipped.items() if words not in told[path]} == {}
    assert not hostile.ignored & (told.keys() | set(table.frame["path"]))
    assert set(told) == set(hostile.skipped)


def test_everything_listed_can_be_written_as_utf8_and_read(hostile: HostileFolder) -> None:
    table = open_source(str(hostile.root))
    for path in table.frame["path"]:
        path.encode("utf-8")
        assert table.read(path).startswith(b"\x89PNG")
        assert Path(table.locate(path) or "").read_bytes() == table.read(path)
    for entry in table.skipped:
        (entry.path + entry.reason).encode("utf-8")


def test_outside_only_when_allowed(hostile: HostileFolder) -> None:
    table = open_source(str(hostile.root), allow_outside=True)
    paths = set(table.frame["path"])
    assert {"b/escape.png", "b/escape-dotdot.png", "b/escape-folder/secret.png"} <= paths
    assert table.read("b/escape.png") == png(203)
    assert "a device" in reasons(table)["b/device.png"]


@pytest.mark.parametrize("path", ["b/escape.png", "b/passwd.png", "../set-outside/secret.png", "/etc/passwd"])
def test_read_never_leaves_the_root(hostile: HostileFolder, path: str) -> None:
    with pytest.raises(OSError, match=r"outside the root"):
        open_source(str(hostile.root)).read(path)


@pytest.mark.parametrize("path", ["b/pipe.png", "b/socket.png", "b", "b/pipe-link.png"])
def test_read_never_hangs_on_special_files(hostile: HostileFolder, path: str) -> None:
    table = open_source(str(hostile.root))
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            table.read(path)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "not a file" in str(errors[0])


@pytest.mark.parametrize("path", ["b/pipe.png", "b/socket.png", "b/pipe-link.png"])
def test_special_files_are_never_opened(hostile: HostileFolder, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a device can have effects, so that looking at the open file comes too late."""
    table, opened = open_source(str(hostile.root)), list[object]()
    monkeypatch.setattr(os, "open", lambda *arguments, **_: opened.append(arguments))
    with pytest.raises(OSError, match="not a file"):
        table.read(path)
    assert opened == []


def test_litter_of_other_programs_is_no_class(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, "cat/1.png", "dog/1.png", "__MACOSX/cat/1.png", "cat/__pycache__/2.png")))
    assert [row[0] for row in rows(table)] == ["cat/1.png", "dog/1.png"] and table.skipped == ()


def test_a_file_exchanged_after_listing_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "set", "a/1.png", "b/1.png")
    secret = fill(tmp_path, "secret.png") / "secret.png"
    table = open_source(str(tmp_path / "set"))
    (tmp_path / "set" / "a" / "1.png").unlink()
    (tmp_path / "set" / "a" / "1.png").symlink_to(secret)
    with pytest.raises(PermissionError):
        table.read("a/1.png")
    (tmp_path / "set" / "b").rename(tmp_path / "set" / "was-b")
    (tmp_path / "set" / "b").symlink_to(tmp_path)
    with pytest.raises(OSError):
        table.read("b/secret.png")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX users")
def test_unreadable_permissions(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", "b/2.png", "c/1.png")
    (tmp_path / "b" / "2.png").chmod(0)
    (tmp_path / "c").chmod(0)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:  # root may read everything, so somebody else tries
        os.seteuid(65534)
    try:
        table = open_source(str(tmp_path), classes=["a", "b"])
        assert [row[0] for row in rows(table)] == ["a/1.png", "b/1.png", "b/2.png"]
        assert "the folder cannot be listed: Permission denied" in {e.reason for e in table.skipped if e.path == "c"}
        with pytest.raises(PermissionError):
            table.read("b/2.png")
    finally:
        if is_root:
            os.seteuid(0)
        (tmp_path / "c").chmod(0o755)


def test_a_file_beyond_the_size_limit_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    with (tmp_path / "a" / "huge.png").open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse: takes no room
    with pytest.raises(OSError, match=r"larger than"):
        open_source(str(tmp_path)).read("a/huge.png")


def test_names_that_are_too_deep_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    here = os.open(tmp_path / "a", os.O_RDONLY)
    for _ in range(30):  # beyond PATH_MAX, which only relative steps can reach
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    table = open_source(str(tmp_path))
    assert len(table.frame) == 2
    assert "File name too long" in table.skipped[0].reason


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    order=st.randoms(use_true_random=False),
)
def test_order_does_not_depend_on_the_order_of_creation(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], order: random.Random
) -> None:
    paths = [f"{label}/{name}.png" for label in ("x", "y") for name in names if not name.startswith(".")]
    fixed = ("plain.png", "Zebra.png", "\u00e9tude.png", "10.png", "9.png", "b.heic", "a.heic")
    paths = list(dict.fromkeys([*paths, *(f"{label}/{name}" for label in ("x", "y") for name in fixed)]))
    tables = []
    for _ in range(2):
        order.shuffle(paths)
        folder = tmp_path_factory.mktemp("order") / "set"
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(b"")
        tables.append(open_source(str(folder)))
    assert rows(tables[0]) == rows(tables[1])
    assert list(tables[0].frame["path"]) == sorted(path for path in paths if not path.endswith(".heic"))
    assert [entry.path for entry in tables[0].skipped] == ["x/a.heic", "x/b.heic", "y/a.heic", "y/b.heic"]
    assert tables[0].skipped == tables[1].skipped


def test_tables_boats(shared_data: Path) -> None:
    table = open_source(str(shared_data / "tables-boats"))
    assert table.frame.groupby(["split", "label"]).size().to_dict() == {
        ("test", "boats"): 50,
        ("test", "tables"): 50,
        ("train", "boats"): 500,
        ("train", "tables"): 500,
    }
