"""Layouts that are not what they seem: splits under other names, wrappers, copies of the classes, litter of drives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import png

from auditor.config import AuditSettings
from auditor.errors import SourceError
from auditor.pipeline.reading import open_table
from auditor.sources import ImageTable, open_source
from auditor.sources.base import split_name
from auditor.sources.layout import understand


def fill(root: Path, *folders: str, n: int = 1) -> Path:
    """`n` images in each folder below the root."""
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (root / folder / f"{i}.png").write_bytes(png((10 * number + i) % 256))
    return root


def rows(table: ImageTable) -> set[tuple[str, str]]:
    """(label, split) of the images."""
    return set(zip(table.frame["label"], table.frame["split"], strict=True))


def product(*parts: str, inner: tuple[str, ...] = ("disc", "square")) -> list[str]:
    return [f"{part}/{name}" for part in parts for name in inner]


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("training_set", "train"),
        ("Test_Set", "test"),
        ("seg_train", "train"),
        ("seg_test", "test"),
        ("eval", "test"),
        ("Evaluation", "test"),
        ("val_set", "val"),
        ("train_images", "train"),
        ("TrainImages", "train"),
        ("images-test", "test"),
        ("trainset", "train"),
        ("testdata", "test"),
        ("validation set", "val"),
        ("development", "val"),
        ("train2017", "train"),
        ("1_train", "train"),
        ("TRAIN", "train"),
        ("\uff54\uff45\uff53\uff54", "test"),
        ("", ""),
        ("images", None),
        ("trains", None),
        ("trainer", None),
        ("test_car", None),
        ("contest", None),
    ],
)
def test_names_of_splits(word: str, split: str | None) -> None:
    assert split_name(word) == split


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("seg_train", "seg_test"), ("Train", "eval"), ("trainset", "evaluation_data")],
)
def test_splits_under_other_names_are_splits(tmp_path: Path, train: str, test: str) -> None:
    table = open_source(str(fill(tmp_path, *product(train, test))))
    assert rows(table) == {(label, split) for label in ("disc", "square") for split in ("train", "test")}
    assert table.notes == () and table.doubt is None


@pytest.mark.parametrize("parts", [("fold1", "fold2"), ("entrainement", "essai"), ("color", "grayscale", "segmented")])
def test_folders_that_repeat_the_same_sub_folders_are_refused(tmp_path: Path, parts: tuple[str, ...]) -> None:
    source = str(fill(tmp_path, *product(*parts)))
    with pytest.raises(SourceError, match=r"same sub-folders \('disc', 'square'\)") as caught:
        open_table(source, AuditSettings())
    assert "rename them train, val and test" in caught.value.hint and "--classes" in caught.value.hint
    table = open_table(source, AuditSettings(classes=parts))
    assert {label for label, _ in rows(table)} == set(parts)


def test_a_split_that_lacks_a_class_is_noticed_too(tmp_path: Path) -> None:
    fill(tmp_path, "one/a", "one/b", "one/c", "two/a", "two/b", "two/extra")
    with pytest.raises(SourceError, match="same sub-folders"):
        open_table(str(tmp_path), AuditSettings())


@pytest.mark.parametrize(
    "folders",
    [
        ("cat/images", "cat/masks", "dog/images", "dog/masks"),
        ("cat/persian", "cat/siamese", "dog/poodle", "dog/husky"),
        ("cat", "cat/day", "cat/night", "dog", "dog/day", "dog/night"),
        ("cat/day", "dog/day"),
        ("cat", "dog/day", "dog/night", "bird/day", "bird/night"),
    ],
)
def test_classes_with_folders_of_their_own_are_still_classes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    table = open_table(str(fill(tmp_path, *folders)), AuditSettings())
    assert {label for label, _ in rows(table)} == {folder.partition("/")[0] for folder in folders}
    assert len(table.frame) == len(folders) and table.doubt is None


@pytest.mark.parametrize(
    ("folders", "inside"),
    [
        (product("My Data (Augmented)/train", "My Data (Augmented)/valid"), "My Data (Augmented)"),
        (product("archive/photos"), "archive/photos"),
        (["wrap/cat", "wrap/dog"], "wrap"),
    ],
)
def test_a_wrapper_is_refused_with_the_folder_inside(tmp_path: Path, folders: list[str], inside: str) -> None:
    fill(tmp_path, *folders)
    (tmp_path / "README.txt").write_text("unpacked")
    with pytest.raises(SourceError, match="only one folder") as caught:
        open_table(str(tmp_path), AuditSettings())
    assert str(tmp_path / inside) in caught.value.hint
    assert open_table(str(tmp_path / inside), AuditSettings()).doubt is None


def test_wrapped_splits_are_opened_and_that_is_said(tmp_path: Path) -> None:
    """As Kaggle's archive of natural scenes: seg_train/seg_train/sea, and seg_pred/seg_pred with images alone."""
    fill(tmp_path, *product("seg_train/seg_train"), *product("seg_test/seg_test"), "seg_pred/seg_pred")
    table = open_source(str(tmp_path))
    assert rows(table) == {(label, split) for label in ("disc", "square") for split in ("train", "test")}
    assert "The class folders of 'seg_train' were found in 'seg_train/seg_train'." in table.notes
    assert [entry.path for entry in table.skipped] == ["seg_pred"]


def test_splits_inside_the_classes_are_read(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, *product("disc", "square", inner=("train", "test_set")))))
    assert rows(table) == {(label, split) for label in ("disc", "square") for split in ("train", "test")}
    assert "read as splits" in table.notes[0]


def test_several_data_sets_side_by_side_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, *product("raw1/train", "raw1/test", "raw2/train", "raw2/test"))
    with pytest.raises(SourceError, match="same sub-folders"):
        open_table(str(tmp_path), AuditSettings())


def test_splits_without_classes_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="hold no class folders"):
        open_table(str(fill(tmp_path, "train", "test1")), AuditSettings())
    assert len(open_table(str(tmp_path), AuditSettings(classes=("train", "test1"))).frame) == 2


@pytest.mark.parametrize("above", ["", "train/"])
def test_a_folder_that_holds_the_classes_once_more_is_no_class(tmp_path: Path, above: str) -> None:
    fill(tmp_path, *(above + name for name in ("yes", "no", "all/yes", "all/no")), n=2)
    table = open_source(str(tmp_path))
    assert {label for label, _ in rows(table)} == {"yes", "no"} and len(table.frame) == 4
    assert [(entry.path, "4 images are left out" in entry.reason) for entry in table.skipped] == [(f"{above}all", True)]
    assert table.notes and "'no', 'yes'" in table.notes[0]
    assert table.empty == ()


def test_a_class_inside_another_is_said(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, "cat", "dog", "cat/dog")))
    assert len(table.frame) == 3
    assert table.notes == ("The folder 'cat/dog' has the name of another class. Its 1 image has the label 'cat'.",)


def test_a_folder_beside_the_splits_that_repeats_their_classes_is_said(tmp_path: Path) -> None:
    table = open_source(str(fill(tmp_path, *product("train", "test", "site_b"), n=3)))
    assert len(table.frame) == 12
    assert "repeats their classes ('disc', 'square'). Its 6 images were left out" in table.notes[0]
    assert "6 images" in table.skipped[0].reason


LITTER = """
@eaDir .thumbnails __MACOSX .ipynb_checkpoints lost+found $RECYCLE.BIN .AppleDouble #recycle @Recycle #snapshot
.Trash-1000 System|Volume|Information
"""


@pytest.mark.parametrize("name", LITTER.split())
def test_what_drives_and_systems_leave_is_no_class(tmp_path: Path, name: str) -> None:
    name = name.replace("|", " ")
    fill(tmp_path, "cat", "dog", name, f"cat/{name}/0.png.d", f"{name}/cat")
    for file in ("Thumbs.db", "._0.png", "0.png@SynoEAStream", "0.png:Zone.Identifier", "ehthumbs.db"):
        (tmp_path / "cat" / file).write_bytes(b"x")
    table = open_source(str(tmp_path))
    assert list(table.frame["path"]) == ["cat/0.png", "dog/0.png"]
    assert table.skipped == () and table.notes == ()


@pytest.mark.parametrize("name", ["thumbs", "Thumbnails", "_thumb"])
def test_smaller_copies_beside_their_images_are_left_out_and_that_is_said(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "cat", "dog", f"cat/{name}", f"cat/inside/{name}", n=2)
    (tmp_path / "cat" / name / "another.png").write_bytes(png(200))
    table = open_source(str(tmp_path))
    own = ["cat/0.png", "cat/1.png"]
    alone = [f"cat/inside/{name}/0.png", f"cat/inside/{name}/1.png", f"cat/{name}/another.png"]
    assert sorted(table.frame["path"]) == sorted([*own, *alone, "dog/0.png", "dog/1.png"])
    assert "2 images in folders such as" in table.notes[0] and "smaller copies" in table.notes[0]
    assert [entry.path for entry in table.skipped] == [f"cat/{name}"]


@pytest.mark.parametrize("name", ["thumbnails", "Thumbs"])
def test_a_class_with_the_name_of_smaller_copies_stays_and_is_named(tmp_path: Path, name: str) -> None:
    table = open_source(str(fill(tmp_path, "cat", "dog", name)))
    assert set(table.frame["label"]) == {"cat", "dog", name}
    assert len(table.notes) == 1 and f"'{name}' has the name of a folder of smaller copies" in table.notes[0]


def test_ten_thousand_class_folders_are_looked_at_once_each() -> None:
    """Each was compared with all others; that took minutes, and no longer than the rest takes now."""
    classes = {f"{n:05d}": (f"{n:05d}", "") for n in range(10_000)}
    found = [(folder, f"{folder}/{n}.png") for folder in classes for n in range(2)]
    copies = [("00000", f"00000/{n:05d}/a.png") for n in range(1, 4)]
    known = understand("set", classes, [*copies, *found[2:]])
    assert known.doubt is None and len(known.found) == len(found) - 2
    assert [entry.path for entry in known.skipped] == ["00000"] and "no class" in known.skipped[0].reason
