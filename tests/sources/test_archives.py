"""Archives as data sets: the same table as the folder that was packed, and nothing hostile gets out of them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import pickle
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile import png
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import ImageTable, archive, archive_tar, archive_zip, open_source

CLASSES = (("cat", 1), ("dog", 130))
FILES = {
    f"{split}/{label}/{n}.png": png(10 * n + level)
    for split in ("train", "test")
    for label, level in CLASSES
    for n in range(3)
}


def zipped(path: Path, files: dict[str, bytes], above: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(above + name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], above: str = "", mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(above + name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def rows(table: ImageTable) -> list[tuple[str, str, str]]:
    return list(table.frame.itertuples(index=False, name=None))


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


MAKERS: dict[str, Callable[[Path], Path]] = {
    "zip": lambda at: zipped(at / "set.zip", FILES),
    "zip of a folder": lambda at: zipped(at / "set.zip", FILES, "a/photos/"),
    "tar": lambda at: tarred(at / "set.tar", FILES, "./"),
    "tar.gz of a folder": lambda at: tarred(at / "set.tar.gz", FILES, "photos/", "w:gz"),
    "tar.xz": lambda at: tarred(at / "set.txz", FILES, "", "w:xz"),
    "tar.bz2": lambda at: tarred(at / "set.tar.bz2", FILES, "", "w:bz2"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_an_archive_gives_the_table_of_the_folder_in_it(kind: str, tmp_path: Path) -> None:
    plain = open_source(str(folder(tmp_path / "set", FILES)))
    packed = open_source(str(MAKERS[kind](tmp_path)))
    assert rows(packed) == rows(plain) and packed.skipped == ()
    read = pickle.loads(pickle.dumps(packed.read))  # noqa: S301 - our own; so it is sent to another process
    for path in plain.frame["path"]:
        assert packed.read(path) == plain.read(path) == read(path)
    with pytest.raises(FileNotFoundError):
        packed.read("train/cat/99.png")
    if "of a folder" in kind:
        assert "of the archive. Paths begin there." in packed.notes[0]


def test_names_that_leave_the_archive_are_left_out_and_named(tmp_path: Path) -> None:
    bad = {"../out.png": b"x", "/etc/out.png": b"x", "cat/../../out.png": b"x", "C:/out.png": b"x"}
    for made in (zipped(tmp_path / "a.zip", FILES | bad), tarred(tmp_path / "a.tar", FILES | bad)):
        table = open_source(str(made))
        assert len(table.frame) == len(FILES)
        assert reasons(table) == dict.fromkeys(bad, "leads outside the root")


def test_more_files_or_deeper_folders_than_memory_should_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of 60 kB is 30,000 folders, and all their names together are a gigabyte."""
    deep = {f"{label}/{'a/' * 3_000}1.png": png(level) for label, level in CLASSES}
    assert len(open_source(str(zipped(tmp_path / "deep.zip", deep))).frame) == 2
    monkeypatch.setattr(archive, "MOST_FOLDER_BYTES", 1 << 22)
    for made in (zipped(tmp_path / "a.zip", deep), tarred(tmp_path / "a.tar", deep)):
        with pytest.raises(SourceError, match="too deep ones"):
            open_source(str(made))
    for kind, opener, pack in (("zip", archive_zip, zipped), ("tar", archive_tar, tarred)):
        monkeypatch.setattr(opener, "MOST_FILES", len(FILES) - 1)
        with pytest.raises(SourceError, match=r"holds more than [\d,]+ files"):
            open_source(str(pack(tmp_path / f"many.{kind}", FILES)))


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    litter = {"__MACOSX/train/cat/._0.png": b"x", "train/.DS_Store": b"x", "train/cat/Thumbs.db": b"x"}
    assert open_source(str(zipped(tmp_path / "a.zip", FILES | litter))).skipped == ()


def test_links_and_special_files_in_a_tar_are_left_out_and_hard_links_are_followed(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", FILES)
    with tarfile.open(path, "a") as made:
        for name, kind, target in (
            ("train/cat/soft.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("train/cat/hard.png", tarfile.LNKTYPE, "train/dog/1.png"),
            ("train/cat/lost.png", tarfile.LNKTYPE, "../../etc/passwd"),
            ("train/cat/pipe.png", tarfile.FIFOTYPE, ""),
            ("train/cat/disk.png", tarfile.BLKTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            made.addfile(info)
    table = open_source(str(path))
    assert table.read("train/cat/hard.png") == FILES["train/dog/1.png"]
    special = "a link or a special file inside the archive, which is not followed"
    assert reasons(table) == {
        "train/cat/soft.png": special,
        "train/cat/lost.png": "a link inside the archive to no earlier file of it",
        "train/cat/pipe.png": special,
        "train/cat/disk.png": special,
    }


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path, "a") as made:
        info = zipfile.ZipInfo("train/cat/soft.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(info, "/etc/passwd")
    assert "special file" in reasons(open_source(str(path)))["train/cat/soft.png"]


def test_of_two_files_with_one_name_the_last_counts(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", FILES)
    again = png(200)
    with tarfile.open(path, "a") as made:
        info = tarfile.TarInfo("train/cat/0.png")
        info.size = len(again)
        made.addfile(info, io.BytesIO(again))
    table = open_source(str(path))
    assert table.read("train/cat/0.png") == again
    assert "several files of this name" in reasons(table)["train/cat/0.png"]


def _encrypted(data: bytes) -> bytes:
    """The bytes of a zip whose members all say that they are encrypted."""
    changed = bytearray(data)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            changed[start + at] |= 1
            start += 4
    return bytes(changed)


def test_an_encrypted_zip_is_said(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    path.write_bytes(_encrypted(path.read_bytes()))
    with pytest.raises(SourceError, match="is encrypted") as said:
        open_source(str(path))
    assert "password" in said.value.hint


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("data", [b"", b"no archive at all" * 99])
def test_what_is_no_archive_is_said(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=r"not a readable|holds no labelled"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_cut_archive_is_an_error_or_a_file_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            table = open_source(str(path))
        except SourceError as error:
            assert error.hint
            continue
        for name in table.frame["path"]:
            try:
                assert table.read(name) == FILES[name]
            except OSError as error:
                assert "damaged" in str(error)


def test_a_broken_member_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    data = bytearray(path.read_bytes())
    at = data.find(b"train/cat/1.png") + len("train/cat/1.png")
    data[at : at + 20] = bytes(20)
    path.write_bytes(bytes(data))
    table = open_source(str(path))
    with pytest.raises(OSError, match="damaged"):
        table.read("train/cat/1.png")
    assert table.read("train/cat/2.png") == FILES["train/cat/2.png"]


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archive, archive_zip, archive_tar):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    big = {"train/cat/bomb.png": bytes(5000)}
    table = open_source(str(zipped(tmp_path / "a.zip", FILES | big)))
    with pytest.raises(OSError, match="unpacks to more than"):
        table.read("train/cat/bomb.png")
    table = open_source(str(tarred(tmp_path / "a.tgz", FILES | big, mode="w:gz")))
    assert reasons(table) == {"train/cat/bomb.png": "larger than 1000 bytes"}


def test_a_zip_that_understates_a_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"cat/0.png": bytes(1 << 20), "dog/0.png": png()})
    data = path.read_bytes()
    path.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    with pytest.raises(OSError, match="damaged"):
        open_source(str(path)).read("cat/0.png")


def test_a_compressed_tar_larger_than_memory_should_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_tar, "MAX_HELD_BYTES", 200)
    with pytest.raises(SourceError, match="unpacks to more than") as said:
        open_source(str(tarred(tmp_path / "a.tgz", FILES, mode="w:gz")))
    assert "plain .tar" in said.value.hint
    assert len(open_source(str(tarred(tmp_path / "a.tar", FILES))).frame) == len(FILES)


def test_a_header_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    with gzip.open(tmp_path / "a.tgz", "wb") as made:
        made.write(info.tobuf())
        made.write(bytes(1 << 16))
    tracemalloc.start()
    with pytest.raises(SourceError, match="not a readable tar"):
        open_source(str(tmp_path / "a.tgz"))
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()


def test_an_archive_inside_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", FILES).read_bytes()
    table = open_source(str(zipped(tmp_path / "a.zip", FILES | {"train/cat/inner.zip": inner})))
    assert reasons(table) == {"train/cat/inner.zip": "not an image's file name ending: '.zip'"}


def test_utf_8_names_without_the_mark_of_utf_8_are_read_as_such(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"kätzchen/0.png": png(1), "hündchen/0.png": png(2)})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + at] &= ~0x08 & 0xFF
            start += 4
    path.write_bytes(bytes(data))
    table = open_source(str(path))
    assert sorted(table.frame["label"]) == ["hündchen", "kätzchen"]
    assert table.read("kätzchen/0.png") == png(1)


def test_a_manifest_inside_an_archive_gives_the_labels(tmp_path: Path) -> None:
    images = {f"images/{n}.png": png(n) for n in range(4)}
    lines = "path,label\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(images))
    table = open_source(str(zipped(tmp_path / "a.zip", {**images, "labels.csv": lines.encode()}, "set/")))
    assert rows(table) == [(name, "ab"[n % 2], "") for n, name in enumerate(images)]
    missing = {**images, "labels.csv": (lines + "images/9.png,a\n../x.png,a\n").encode()}
    with pytest.raises(SourceError, match="upwards"):
        open_source(str(zipped(tmp_path / "b.zip", missing, "set/")))
    missing["labels.csv"] = (lines + "images/9.png,a\n").encode()
    with pytest.raises(SourceError, match=r"row 6 \(images/9.png\): not in the archive"):
        open_source(str(zipped(tmp_path / "b.zip", missing, "set/")))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_metadata_beside_the_images_gives_the_labels_as_for_imagefolder(
    packed: bool, ending: str, tmp_path: Path
) -> None:
    files = {}
    for split, count in (("train", 3), ("test", 2)):
        entries = [{"file_name": f"{n}.png", "label": "ab"[n % 2], "caption": "x"} for n in range(count)]
        lines = [json.dumps(entry) for entry in entries]
        if ending == "csv":
            lines = ["file_name,label,caption", *(",".join(map(str, entry.values())) for entry in entries)]
        files |= {f"{split}/{n}.png": png(n) for n in range(count)}
        files[f"{split}/metadata.{ending}"] = "\n".join(lines).encode()
    made = zipped(tmp_path / "a.zip", files) if packed else folder(tmp_path / "a", files)
    table = open_source(str(made))
    assert rows(table) == [
        ("test/0.png", "a", "test"),
        ("test/1.png", "b", "test"),
        ("train/0.png", "a", "train"),
        ("train/1.png", "b", "train"),
        ("train/2.png", "a", "train"),
    ]
    assert f"The labels were read from test/metadata.{ending}" in table.notes[0]


def test_metadata_without_labels_leaves_the_class_folders(tmp_path: Path) -> None:
    caption = {"train/metadata.csv": b"file_name,caption\ncat/0.png,hello\n"}
    table = open_source(str(folder(tmp_path / "a", FILES | caption)))
    assert len(table.frame) == len(FILES) and set(table.frame["label"]) == {"cat", "dog"}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Names and bytes of whole archives of every kind, and of an npz file."""
    folders = {kind: tmp_path_factory.mktemp("whole") for kind in MAKERS}
    found = [MAKERS[kind](folder) for kind, folder in folders.items()]
    arrays = tmp_path_factory.mktemp("whole") / "a.npz"
    np.savez_compressed(arrays, images=np.zeros((4, 3, 3), np.uint8), labels=np.arange(4))
    return [(path.name, path.read_bytes()) for path in (*found, arrays)]


@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=20)), min_size=1, max_size=6),
)
def test_any_damage_gives_a_table_or_one_clear_error(
    wholes: list[tuple[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    damage: list[tuple[float, int, bytes]],
) -> None:
    name, data = wholes[which % len(wholes)]
    for place, gone, new in damage:
        at = int(place * len(data))
        data = data[:at] + new + data[at + gone :]
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data)
    try:
        table = open_source(str(path))
    except SourceError as error:
        assert error.hint
        return
    for image in table.frame["path"]:
        with contextlib.suppress(OSError):
            table.read(image)
