"""YOLO's annotations as a source: where its files may lie, what becomes an item, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from detections import NAMES, save, scene, yolo_set

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source
from auditor.sources.boxes.yolo import edited, parsed
from auditor.sources.manifest import Layout


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


def small(folder: Path, lines: str, names: str = "3\n8\n") -> Path:
    """Two pictures with the same lines each."""
    pictures, _ = scene(2, 1)
    save(folder / "images", pictures)
    for name in pictures:
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{name[:-4]}.txt").write_text(lines)
    (folder / "classes.txt").write_text(names)
    return folder


GOOD = "0 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.1 0.1\n"


@pytest.mark.parametrize("described", [True, False])
def test_each_line_is_an_item_with_the_split_of_its_picture(described: bool, tmp_path: Path) -> None:
    source, pasted = yolo_set(tmp_path / "set", 8, 3, described=described)
    table = open_source(f"{source}::margin=0")
    wanted = [
        (f"images/{part}/{one.picture}#{row % 3 + 1}", one.label, part)
        for row, one in enumerate(pasted)
        for part in ["val" if row // 3 % 4 == 3 else "train"]
    ]
    assert list(table.frame.itertuples(index=False, name=None)) == sorted(wanted) and table.skipped == ()
    for (name, _, _), one in zip(wanted, pasted, strict=True):
        assert table.read(name).startswith(f"P5\n{one.box[2]} {one.box[3]}\n".encode())
    if described:
        assert open_source(str(tmp_path / "set")).frame.equals(table.frame)  # its folder says the same
    (tmp_path / "set" / "images").rename(tmp_path / "images")
    with pytest.raises(SourceError):
        open_source(str(tmp_path / "set" / "data.yaml") if described else str(tmp_path / "set" / "classes.yaml"))
    if described:
        again = open_source(str(source), layout=Layout(root=str(tmp_path)))
        assert again.frame.equals(table.frame)


DESCRIPTIONS = {
    "a list": "train: images\nval: images\nnames: ['3', \"8\"]\nnc: 2\n",
    "words that YAML converts": "train: images\nnames: {0: no, 1: 1e3}\n",
    "Roboflow's way up": "train: ../images\nnames: ['3', '8']\n",
    "several places": "train: [images, images]\nnames: ['3', '8']\n",
    "a list of pictures": "train: train.txt\nnames: ['3', '8']\n",
    "a path that is not there": "path: ../datasets/mine\ntrain: images\nnames: ['3', '8']\n",
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_descriptions_as_tools_write_them(kind: str, tmp_path: Path) -> None:
    small(tmp_path, GOOD)
    (tmp_path / "train.txt").write_text("./images/000.png\nimages/001.png\n\nimages/gone.png\n")
    (tmp_path / "data.yaml").write_text(DESCRIPTIONS[kind])
    table = open_source(str(tmp_path / "data.yaml"))
    assert len(table.frame) == 4 and set(table.frame["split"]) == {"train"}
    assert set(table.frame["label"]) == ({"no", "1e3"} if "converts" in kind else set(NAMES))


def test_splits_that_hold_images_and_labels(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        small(tmp_path / part, GOOD)
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\ntest: x/y\nnames: ['3', '8']\n")
    table = open_source(str(tmp_path))
    assert table.frame["split"].value_counts().to_dict() == {"train": 4, "val": 4}
    assert reasons(table)["x/y"].startswith("the description names it")
    (tmp_path / "data.yaml").unlink()
    assert open_source(str(tmp_path)).frame["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}


def test_names_alone_and_darknets_folders(tmp_path: Path) -> None:
    """supervision writes names without splits; Darknet and CVAT put texts beside pictures."""
    folder = small(tmp_path / "a", GOOD)
    (folder / "classes.txt").unlink()
    (folder / "data.yaml").write_text("names:\n- cat\n- dog\nnc: 2\n")
    assert set(open_source(str(folder)).frame["label"]) == {"cat", "dog"}
    (tmp_path / "b").mkdir()
    for part in ("train", "valid"):
        small(tmp_path / part, GOOD)
        (tmp_path / part / "images").rename(tmp_path / "b" / f"obj_{part}_data")
        for text in (tmp_path / part / "labels").iterdir():
            text.rename(tmp_path / "b" / f"obj_{part}_data" / text.name)
    (tmp_path / "b" / "obj.names").write_text("cat\ndog\n")
    table = open_source(f"{tmp_path}/b")
    assert table.frame["split"].value_counts().to_dict() == {"train": 4, "val": 4}
    assert table.frame["path"].iloc[0] == "obj_train_data/000.png#1" and set(table.frame["label"]) == {"cat", "dog"}


def test_a_margin_for_what_has_no_boxes(tmp_path: Path) -> None:
    save(tmp_path / "cat", scene(1, 1)[0])
    with pytest.raises(SourceError, match="holds no boxes, and only boxes have a margin"):
        open_source(f"{tmp_path}::margin=0.2")


LINES = {
    "0 0.5 0.5 0.2": "4 numbers, not 5",
    "0 0.5 0.5 0.2 0.2 0.9": "6 numbers, not 5",
    "0 nan 0.5 0.2 0.2": "more than finite numbers",
    "0 inf 0.5 0.2 0.2": "more than finite numbers",
    "0 1e999 0.5 0.2 0.2": "not four finite numbers",
    "0 0.5 0.5 1_0 0.2": "more than finite numbers",
    "cat 0.5 0.5 0.2 0.2": "more than finite numbers",
    "0.5 0.5 0.5 0.2 0.2": "no whole number",
    "-1 0.5 0.5 0.2 0.2": "no whole number",
    "7 0.5 0.5 0.2 0.2": "not among the names",
    "0 0.5 0.5 0 0.2": "no area",
    "0 0.5 0.5 -0.1 0.2": "negative width or height",
    "0 1.5 0.5 0.2 0.2": "outside its picture",
    "0 60 50 20 20": "outside its picture",
    "0 -0.5 0.5 0.2 0.2": "outside its picture",
    "9" * 5000 + " 0.5 0.5 0.2 0.2": "no whole number|finite numbers",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_no_box_is_named(line: str, tmp_path: Path) -> None:
    table = open_source(str(small(tmp_path, f"{line}\n\n{GOOD}")))
    assert table.frame["path"].tolist() == [f"images/00{n}.png#{k}" for n in range(2) for k in (3, 4)]

    assert set(reasons(table)) == {"images/000.png#1", "images/001.png#1"}
    assert all(re.search(LINES[line], why) for why in reasons(table).values())


def test_an_outline_is_the_box_around_it() -> None:
    assert parsed("1 0.1 0.2 0.5 0.25 0.3 0.75") == ((0.1, 0.2, 0.5, 0.75), 1, "")


def test_texts_without_pictures_and_pictures_without_texts_are_told(tmp_path: Path) -> None:
    folder = small(tmp_path, GOOD)
    (folder / "labels" / "001.txt").rename(folder / "labels" / "lost.txt")
    (folder / "images" / "000.jpg").write_bytes(b"")
    save(folder / "images", {"9.png": scene(1, 1)[0]["000.png"]})
    (folder / "labels" / "9.txt").write_bytes(b"\xff\xfe0")
    table = open_source(str(folder))
    assert len(table.frame) == 2 and any("1 picture has no box" in note for note in table.notes)
    assert "no picture has its name" in reasons(table)["labels/lost.txt"]
    assert "more than numbers" in reasons(table)["labels/9.txt"]
    assert "has the same name" in reasons(table)["images/000.png"]


def test_classes_without_names_are_their_numbers_and_names_may_not_repeat(tmp_path: Path) -> None:
    folder = small(tmp_path, GOOD)
    (folder / "classes.txt").unlink()
    table = open_source(str(folder))
    assert set(table.frame["label"]) == {"0", "1"} and any("called by their numbers" in note for note in table.notes)
    (folder / "classes.txt").write_text("cat\n cat\n")
    with pytest.raises(SourceError, match="2 classes are called 'cat'"):
        open_source(str(folder))
    (folder / "classes.txt").write_text("cat\n\n")
    assert set(reasons(open_source(str(folder))).values()) == {"its class has no name"}


BROKEN = {
    "no YAML": ("names: [a\ntrain: {", "no valid YAML"),
    "nested": ("names: " + "[" * 5000, "nested too deep|no valid YAML"),
    "code": ("names: !!python/object/apply:os.system ['touch hacked']\ntrain: images\n", ""),
    "a bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c {<<: [*b]}\nnames: *b\ntrain: images\n", "neither a list of names"),
    "itself": ("names: &a [*a]\ntrain: images\n", "no valid YAML"),
    "a text": ("just words", "describes no data set"),
    "numbers of classes": ("names: {x: a}\ntrain: images\n", "neither a list of names nor names by number"),
    "places": ("names: [a, b]\ntrain: [[x]]\n", "names no folder"),
    "bytes": ("names: [\x00]", "no valid YAML"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_description_that_says_nothing_gets_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small(tmp_path, GOOD)
    text, words = BROKEN[kind]
    (tmp_path / "data.yaml").write_text(text)
    if not words:
        open_source("data.yaml")  # a list of one text, whose tag says nothing here
        assert not Path("hacked").exists()
        return
    with pytest.raises(SourceError, match=words) as failed:
        open_source("data.yaml")
    assert failed.value.hint and "\n" not in failed.value.message


def test_nothing_is_read_outside_the_folder(tmp_path: Path) -> None:
    small(tmp_path / "other", GOOD)
    inside = small(tmp_path / "set", GOOD)
    for text in (
        "path: ../other\ntrain: images\nnames: [a, b]\n",
        f"path: {tmp_path}/other\ntrain: images\nnames: [a, b]\n",
    ):
        (inside / "data.yaml").write_text(text)
        with pytest.raises(SourceError, match="outside its own folder"):
            open_source(str(inside))
        assert len(open_source(str(inside), allow_outside=True).frame) == 4
    (inside / "data.yaml").write_text("train: ../other/images\nval: images\nnames: [a, b]\n")
    table = open_source(str(inside))
    assert len(table.frame) == 4 and "no such folder or list below the root" in reasons(table)["../other/images"]
    (inside / "list.txt").write_text("../other/images/000.png\n/etc/x.png\nimages/000.png\n")
    (inside / "data.yaml").write_text("train: list.txt\nnames: [a, b]\n")
    assert open_source(str(inside)).frame["path"].tolist() == ["images/000.png#1", "images/000.png#2"]
    (inside / "labels" / "000.txt").unlink()
    (inside / "labels" / "000.txt").symlink_to(tmp_path / "other" / "labels" / "000.txt")
    with pytest.raises(SourceError, match="no box that can be audited"):
        open_source(str(inside))


def test_a_text_keeps_every_other_character() -> None:
    from auditor.sources.amended_text import DROPPED

    text = b"  0\t0.5 0.5 0.2 0.2 \r\n1 0.1 0.1 0.1 0.1\n\n0 0.2 0.2 0.2 0.2"
    assert edited(text, {1: 7, 2: DROPPED}) == b"  7\t0.5 0.5 0.2 0.2 \r\n\n0 0.2 0.2 0.2 0.2"
    assert edited(text, {}) == text
