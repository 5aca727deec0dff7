"""COCO's annotations as a source: what becomes an item, what is left out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from detections import NAMES, coco, coco_set, exported_set, save, scene

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source
from auditor.sources.boxes import coco_file
from auditor.sources.manifest import Layout

BIG = "9" * 400


def write(folder: Path, document: Any, name: str = "instances.json") -> Path:
    """A document beside its pictures; a text is written as it is."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with three pictures, and a document of their six boxes."""
    pictures, pasted = scene(3, 2)
    return save(tmp_path_factory.mktemp("coco"), pictures), coco(pasted, pictures)


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


def test_each_box_is_an_item_named_after_its_picture_and_its_annotation(tmp_path: Path) -> None:
    file, pasted = coco_set(tmp_path, 4, 3)
    table = open_source(str(file))
    wanted = [(f"{one.picture}#{1000 + row}", one.label, "") for row, one in enumerate(pasted)]
    assert list(table.frame.itertuples(index=False, name=None)) == sorted(wanted)
    assert table.name == "instances.json" and table.root.endswith("images") and table.skipped == ()
    assert any("12 boxes of 4 pictures" in note for note in table.notes)
    assert any("missing, or lie beside what they mean, are not looked for" in note for note in table.notes)
    assert any("The pictures were found in" in note for note in table.notes)
    moved = tmp_path / "images"
    moved.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="names 4 pictures, and none can be used") as failed:
        open_source(str(file))
    assert "--root" in (failed.value.hint or "")
    again = open_source(str(file), layout=Layout(root=str(tmp_path / "elsewhere")))
    assert again.frame.equals(table.frame)


@pytest.mark.parametrize(
    ("pictures", "file"),
    [
        ("val2017", "annotations/instances_val2017.json"),
        ("images/default", "annotations/instances_default.json"),
        ("train", "train/_annotations.coco.json"),
        ("data", "labels.json"),
        ("images", "result.json"),
    ],
)
def test_pictures_are_found_where_tools_put_them(pictures: str, file: str, tmp_path: Path, made: Any) -> None:
    folder, document = made
    for path in folder.glob("*.png"):
        (tmp_path / pictures).mkdir(parents=True, exist_ok=True)
        (tmp_path / pictures / path.name).write_bytes(path.read_bytes())
    assert len(open_source(str(write(tmp_path, document, file))).frame) == 6


def test_an_export_of_several_splits_is_one_data_set(tmp_path: Path) -> None:
    folder, pasted = exported_set(tmp_path / "set", 8, 3)
    table = open_source(f"{folder}::margin=0")
    folders = dict(zip((f"00{n}.png" for n in range(8)), ("train", "train", "valid", "test") * 2, strict=True))
    split = {"train": "train", "valid": "val", "test": "test"}
    found = [(path.partition("#")[0], label, part) for path, label, part in table.frame.itertuples(index=False)]
    wanted = [(f"{folders[one.picture]}/{one.picture}", one.label, split[folders[one.picture]]) for one in pasted]
    assert sorted(found) == sorted(wanted) and table.skipped == () and table.name == "set"
    assert any("'test', 'train', 'valid' were read together" in note for note in table.notes)
    single = open_source(f"{folder}/valid/_annotations.coco.json::margin=0")
    for path in single.frame["path"]:
        assert table.read(f"valid/{path}") == single.read(path)
    for picture in sorted(folder.rglob("*.png")):
        (tmp_path / "moved" / picture.parent.name).mkdir(parents=True, exist_ok=True)
        picture.rename(tmp_path / "moved" / picture.parent.name / picture.name)
    assert open_source(str(folder), layout=Layout(root=str(tmp_path / "moved"))).frame.equals(table.frame)


def test_an_export_without_training_says_no_splits(tmp_path: Path) -> None:
    folder, _ = exported_set(tmp_path / "set", 8, 3)
    (folder / "train" / "_annotations.coco.json").unlink()
    assert set(open_source(str(folder)).frame["split"]) == {""}


def test_annotations_of_an_export_that_lie_outside_are_not_read(tmp_path: Path) -> None:
    folder, _ = exported_set(tmp_path / "set", 8, 3)
    (folder / "test" / "_annotations.coco.json").rename(tmp_path / "elsewhere.json")
    (folder / "test" / "_annotations.coco.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(SourceError, match="leads outside the root"):
        open_source(str(folder))
    assert len(open_source(str(folder), allow_outside=True).frame) == 24
    document = json.loads((folder / "train" / "_annotations.coco.json").read_text())
    document["images"][0]["file_name"] = "../../elsewhere.png"
    (tmp_path / "elsewhere.png").write_bytes((folder / "train" / "001.png").read_bytes())
    write(folder / "train", document, "_annotations.coco.json")
    table = open_source(str(folder / "train" / "_annotations.coco.json"))
    assert len(table.frame) == 9 and "outside the root" in table.skipped[0].reason


def changed(box: Any = None, **more: Any) -> dict[str, Any]:
    return {**({} if box is None else {"bbox": box}), **more}


LEFT_OUT = {
    "crowd": (changed(iscrowd=1), "marks a crowd"),
    "RLE": (changed(iscrowd=1, segmentation={"counts": "abc", "size": [72, 96]}), "marks a crowd"),
    "no area": (changed([5, 5, 0, 9]), "no area"),
    "negative": (changed([5, 5, -4, 9]), "negative width or height"),
    "right of it": (changed([96, 5, 4, 9]), "outside its picture"),
    "above it": (changed([5, -20, 4, 9]), "outside its picture"),
    "NaN": (changed([5, float("nan"), 4, 9]), "not four finite numbers"),
    "infinite": (changed([5, 5, float("inf"), 9]), "not four finite numbers"),
    "three numbers": (changed([5, 5, 9]), "not four finite numbers"),
    "texts": (changed(["5", "5", "9", "9"]), "not four finite numbers"),
    "true": (changed([True, 5, 9, 9]), "not four finite numbers"),
    "none": (changed(bbox=None), "has no box"),
    "an object": (changed({"x": 1}), "has no box"),
    "unknown category": (changed(category_id=99), "category id is not among"),
    "no category": (changed(category_id=None), "category id is not among"),
    "a list as category": (changed(category_id=[1]), "category id is not among"),
    "unknown image": (changed(image_id=5), "image id is not among"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_box_that_nobody_can_judge_is_named(kind: str, made: Any) -> None:
    folder, document = made
    change, words = LEFT_OUT[kind]
    first, *others = document["annotations"]
    table = open_source(str(write(folder, {**document, "annotations": [{**first, **change}, *others]}, "case.json")))
    assert len(table.frame) == 5 and len(table.skipped) == 1 and words in table.skipped[0].reason
    assert table.skipped[0].path.endswith("#1000")


def test_boxes_over_the_edge_stay_and_pictures_without_boxes_are_counted(made: Any) -> None:
    folder, document = made
    first, *others = document["annotations"]
    entries = [{**first, "bbox": [90, 60, 50, 50.5]}, *others[:3]]
    table = open_source(str(write(folder, {**document, "annotations": entries}, "edge.json")))
    assert len(table.frame) == 4 and table.read("000.png#1000").startswith(b"P5\n11 17\n")  # 5 pixels of margin
    assert any("1 picture has no box" in note for note in table.notes)


def test_ids_that_cannot_name_boxes_give_way_to_their_place(made: Any) -> None:
    folder, document = made
    for ids in ([7] * 6, [None] * 6, ["a/b", *range(5)], [1.5, *range(5)], [[], *range(5)]):
        entries = [{**entry, "id": key} for entry, key in zip(document["annotations"], ids, strict=True)]
        table = open_source(str(write(folder, {**document, "annotations": entries}, "ids.json")))
        assert table.frame["path"].tolist() == [f"00{n // 2}.png#{n + 1}" for n in range(6)]
        assert any("called by their place" in note for note in table.notes)


def test_pictures_that_lead_out_are_left_out_unless_allowed(tmp_path: Path, made: Any) -> None:
    folder, document = made
    outside = tmp_path / "secret.png"
    outside.write_bytes((folder / "000.png").read_bytes())
    inside = tmp_path / "set"
    save(inside, scene(3, 2)[0])
    (inside / "link.png").symlink_to(outside)
    first, *others = document["images"]
    for name in (
        "../secret.png",
        str(outside),
        "a/../../secret.png",
        "link.png",
        "C:\\secret.png",
        "\\\\host\\x",
        "a\0b",
        "",
    ):
        file = write(inside, {**document, "images": [{**first, "file_name": name}, *others]})
        table = open_source(str(file), layout=Layout(root=str(inside)))
        assert len(table.frame) == 4 and len(table.skipped) == 1, name
        assert "its boxes are left out, for the picture cannot be used" in table.skipped[0].reason
    file = write(inside, {**document, "images": [{**first, "file_name": "../secret.png"}, *others]})
    assert len(open_source(str(file), allow_outside=True).frame) == 6
    file = write(inside, {**document, "images": [{**first, "file_name": "./x/.././000.png"}, *others]})
    assert open_source(str(file)).frame["path"].iloc[0] == "000.png#1000"


def test_ids_that_stand_for_two_things(made: Any) -> None:
    folder, document = made
    twice = {**document["images"][0], "file_name": "002.png"}
    table = open_source(str(write(folder, {**document, "images": [*document["images"], twice]}, "twice.json")))
    assert len(table.frame) == 4 and set(reasons(table).values()) == {"its image id stands for several pictures"}
    for categories, words in (
        ([{"id": 10, "name": "3"}, {"id": 10, "name": "8"}], "stands for '3' and for '8'"),
        ([{"id": 10, "name": "3"}, {"id": 11, "name": " 3"}], "2 categories are called '3'"),
    ):
        with pytest.raises(SourceError, match=words):
            open_source(str(write(folder, {**document, "categories": categories}, "twice.json")))
    nameless = open_source(
        str(write(folder, {**document, "categories": [{"id": 10, "name": " "}, {"id": 11, "name": "8"}]}))
    )
    assert set(reasons(nameless).values()) == {"its category has no name"}


DAMAGED = {
    "cut short": ('{"images": [], "annotations": [], "categories": [', "no valid JSON"),
    "nested": ('{"images": [], "categories": [], "annotations": [' + "[" * 100_000, "nested too deep|no valid JSON"),
    "a number without end": (
        '{"images": [], "categories": [], "annotations": [{"id": ' + "9" * 5000 + "}]}",
        "no valid JSON",
    ),
    "inside": ('[{"images": [], "annotations": [], "categories": []}]', "has no list 'images'"),
    "empty": ('{"images": [], "annotations": [], "categories": []}', "no box that can be audited"),
    "odd entries": (
        '{"images": [1, null, {"id": [], "file_name": "a"}], "annotations": [1, null, []], "categories": [[], 3]}',
        "no box that can be audited.*it is no JSON object",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_gets_one_sentence(kind: str, tmp_path: Path) -> None:
    text, words = DAMAGED[kind]
    with pytest.raises(SourceError, match=words) as failed:
        open_source(str(write(tmp_path, text)))
    assert failed.value.hint and "\n" not in failed.value.message


def test_a_huge_file_is_refused_before_it_is_read(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, document = made
    file = write(folder, document, "huge.json")
    monkeypatch.setattr(coco_file, "MAX_BYTES", 100)
    with pytest.raises(SourceError, match="more than the limit"):
        open_source(str(file))


def test_what_is_said_of_manifests_does_not_fit_boxes(made: Any) -> None:
    folder, document = made
    file = str(write(folder, document))
    for layout in (Layout(columns="label=x"), Layout(label="x"), Layout(kind="text"), Layout(by_name=True)):
        with pytest.raises(SourceError, match="holds boxes"):
            open_source(file, layout=layout)
    (folder / "labels.csv").write_text("path,label\n000.png,3\n")
    with pytest.raises(SourceError, match="only boxes have a margin"):
        open_source(str(folder / "labels.csv") + "::margin=0.1")


def test_other_json_stays_what_it_was(tmp_path: Path, made: Any) -> None:
    folder, _ = made
    file = write(folder, [{"path": "000.png", "label": "3"}, {"path": "001.png", "label": "8"}], "plain.json")
    assert open_source(str(file)).frame["label"].tolist() == list(NAMES)
