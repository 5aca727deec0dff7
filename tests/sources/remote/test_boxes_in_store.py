"""Boxes whose pictures lie in a store: the same crops as from a folder, and decisions that come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from detections import coco_set, voc_set, yolo_set
from helpers import small_audit, snapshot
from stores import BUCKET, put, s3_server

from auditor.errors import SourceError
from auditor.result import AuditResult
from auditor.sources import ImageTable, open_source
from auditor.sources.manifest import Layout
from auditor.sources.remote import Reach

if TYPE_CHECKING:
    from click.testing import Result

ADDRESS = f"s3://{BUCKET}"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as client:
        yield client


def opened(spec: str, root: str = "") -> ImageTable:
    return open_source(spec, layout=Layout(root=root, reach=Reach("unused", 0)))


def crops(table: ImageTable) -> dict[str, tuple[bytes, str, str]]:
    """The crop, the class and the split of each box, by name."""
    return {path: (table.read(path), label, split) for path, label, split in table.frame.itertuples(index=False)}


def moved(client: Any, folder: Path, above: str) -> None:
    """Put the pictures of a folder into the bucket, and take them away from here."""
    put(client, {name: data for name, data in snapshot(folder).items() if name.endswith(".png")}, above)
    for picture in folder.rglob("*.png"):
        picture.unlink()


FORMS: dict[str, Callable[[Path], Path]] = {
    "coco": lambda folder: coco_set(folder, 4, 3)[0],
    "yolo": lambda folder: yolo_set(folder, 8, 2)[0],
    "yolo's folder": lambda folder: yolo_set(folder, 8, 2, described=False)[0],
    "voc": lambda folder: voc_set(folder, 8, 2)[0],
}


@pytest.mark.parametrize("form", FORMS)
def test_annotations_here_with_their_pictures_in_a_store_give_the_crops_of_the_folder(
    form: str, s3: Any, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    source, above = str(FORMS[form](tmp_path / "set")), form.replace("'s ", "-")
    here = crops(open_source(source))
    moved(s3, tmp_path / "set", f"{above}/")
    root = f"{ADDRESS}/{above}/images" if form == "coco" else f"{ADDRESS}/{above}"
    table = opened(source, root)
    assert crops(table) == here and table.skipped == ()
    assert (table.root, table.address) == (root, root) and table.at_once > 1 and "fetched" in table.said()
    with pytest.raises(SourceError, match="only where a command names it"):
        open_source(source, layout=Layout(root=root))


def test_pictures_that_are_named_by_their_addresses(s3: Any, tmp_path: Path) -> None:
    file, _ = coco_set(tmp_path / "set", 4, 3)
    here = crops(open_source(str(file)))
    moved(s3, tmp_path / "set" / "images", "named/deep/")
    document = json.loads(file.read_text())
    for image in document["images"]:
        image["file_name"] = f"{ADDRESS}/named/deep/{image['file_name']}"
    document["images"][0]["file_name"] = "s3://another/000.png"
    file.write_text(json.dumps(document))
    table = opened(str(file), f"{ADDRESS}/named")
    wanted = {f"deep/{name}": crop for name, crop in here.items() if not name.startswith("000.png")}
    assert crops(table) == wanted
    assert [(entry.path, "not one below the root" in entry.reason) for entry in table.skipped] == [
        ("s3://another/000.png", True)
    ]
    with pytest.raises(SourceError, match="names 4 pictures, and none can be used") as caught:
        open_source(str(file))
    assert "--root s3://" in caught.value.hint


def test_a_form_of_many_files_in_a_store_is_fetched_by_hand(s3: Any, tmp_path: Path) -> None:
    for form, make in (("yolo", yolo_set), ("voc", voc_set)):
        (tmp_path / form).mkdir()
        make(tmp_path / form, 4, 2)
        put(s3, snapshot(tmp_path / form), f"whole/{form}/")
    put(s3, {"train/_annotations.coco.json": b"{}", "train/a.png": b"x"}, "whole/coco/")
    for form, words in (("yolo", "YOLO's"), ("voc", "Pascal VOC's"), ("coco", "COCO's"), ("yolo/data.yaml", "YOLO's")):
        with pytest.raises(SourceError, match=f"holds boxes in {words} form") as caught:
            opened(f"{ADDRESS}/whole/{form}")
        assert caught.value.hint.endswith(f"--root {ADDRESS}/whole/{form.partition('/')[0]}: the pictures stay there")
    put(s3, {"cat/1.png": b"x", "dog/1.png": b"x"}, "classes/")
    with pytest.raises(SourceError, match="only boxes have a margin"):
        opened(f"{ADDRESS}/classes::margin=0.2")


def test_pictures_on_the_web_are_found_by_the_names_that_coco_gives_alone(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    file, _ = yolo_set(tmp_path / "set", 4, 2)
    with pytest.raises(SourceError, match="cannot be listed"):
        opened(str(file), "https://host.example/set")


def test_an_audit_of_boxes_at_an_address_and_the_way_back(
    s3: Any, tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tiny: None
) -> None:
    file, _ = coco_set(tmp_path / "set", 12, 3)
    (tmp_path / "set" / "images").rename(tmp_path / "set" / "beside")
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "set" / "beside").iterdir()}
    put(s3, {**pictures, "instances.json": file.read_bytes()}, "boxed/")
    spec, out = f"{ADDRESS}/boxed/instances.json", tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    words = ("--cache", str(tmp_path / "cache"))
    for source, place, more in (
        (str(file), tmp_path / "plain", ("--root", str(tmp_path / "set" / "beside"))),
        (spec, out, ()),
    ):
        done = run_cli(*small_audit(source, place, *words, *more))
        assert done.exit_code == 0, done.stderr
    assert (out / "ranking.csv").read_bytes() == (tmp_path / "plain" / "ranking.csv").read_bytes()
    result = AuditResult.load(out)
    assert result.summary["dataset"]["root"] == f"{ADDRESS}/boxed"
    path, label, other = result.ranking.sort_values("rank")[["path", "label", "suggested_label"]].iloc[0]
    known = {"path": path, "hash": result.summary["dataset"]["hashes"][path], "label": label}
    document = {
        "schema_version": 1,
        "kind": "auditor-decisions",
        "audit_id": result.audit_id,
        "reviewer": "a",
        "decisions": [{**known, "decision": "relabel", "new_label": other}],
    }
    (tmp_path / "decisions.json").write_text(json.dumps(document))
    unnamed = run_cli("review", "apply", str(out), "decisions.json")
    assert unnamed.exit_code == 2 and f"--source {spec}" in unnamed.stderr
    done = run_cli("review", "apply", str(out), "decisions.json", "--source", spec)
    assert done.exit_code == 0, done.stderr
    assert f"--root {ADDRESS}/boxed" in done.stdout
    cleaned = opened(str(out / "reviewed" / "cleaned.json"), f"{ADDRESS}/boxed")
    assert dict(zip(cleaned.frame["path"], cleaned.frame["label"], strict=True))[path] == other
