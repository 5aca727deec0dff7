"""Decisions about boxes go back into the annotations they came from, and nothing else of these changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import make_result
from detections import coco_set, exported_set, voc_set, yolo_set

from auditor.errors import DecisionsError, SourceError
from auditor.gate.outputs.places import data_set, locator
from auditor.result import AuditResult
from auditor.review import Wanted, apply, export
from auditor.sources import open_source
from auditor.sources.manifest import Layout

Maker = Callable[[Path], str]

WORDS = ("relabel", "drop", "keep", "relabel", "unsure", "drop")


def coco(folder: Path) -> str:
    return str(coco_set(folder, 8, 3)[0])


def yolo(folder: Path) -> str:
    return str(yolo_set(folder, 8, 3)[0])


def yolo_folder(folder: Path) -> str:
    return str(yolo_set(folder, 8, 3, described=False)[0])


def voc(folder: Path) -> str:
    folder.mkdir()
    return str(voc_set(folder, 8, 3)[0])


def darknet(folder: Path) -> str:
    """Texts beside pictures, as CVAT exports them."""
    yolo_set(folder, 8, 3, described=False)
    for part in ("train", "val"):
        (folder / "images" / part).rename(folder / f"obj_{part}_data")
        for text in (folder / "labels" / part).iterdir():
            text.rename(folder / f"obj_{part}_data" / text.name)
    (folder / "classes.txt").rename(folder / "obj.names")
    return str(folder)


def exported(folder: Path) -> str:
    return str(exported_set(folder, 8, 3)[0])


def exported_yolo(folder: Path) -> str:
    return str(exported_set(folder, 8, 3, "yolo")[0])


MAKERS: dict[str, Maker] = {
    "coco": coco,
    "yolo": yolo,
    "yolo's folder": yolo_folder,
    "darknet": darknet,
    "voc": voc,
    "exported": exported,
    "exported yolo": exported_yolo,
}


def audited(folder: Path, source: str) -> AuditResult:
    """A result about the boxes of a source, as an audit would have it. It lies in `out`."""
    table = open_source(source)
    names = table.frame["path"].tolist()
    result = make_result(n=len(names), classes=("3", "8"))
    label = dict(zip(names, table.frame["label"], strict=True))
    ranking = result.ranking.assign(path=names, label=list(label.values()))
    ranking["suggested_label"] = ["8" if one == "3" else "3" for one in ranking["label"]]
    hashes = {path: hashlib.sha256(table.read(path)).hexdigest() for path in names}
    dataset = {**result.summary["dataset"], "source": source, "root": table.root, "hashes": hashes}
    result = dataclasses.replace(result, ranking=ranking, summary={**result.summary, "dataset": dataset})
    (folder / "out").mkdir()
    result.save(folder / "out")
    return result


def decided(folder: Path, result: AuditResult) -> Path:
    hashes, entries = result.summary["dataset"]["hashes"], []
    for (path, label, other), word in zip(
        result.ranking[["path", "label", "suggested_label"]].itertuples(index=False), WORDS, strict=False
    ):
        new = other if word == "relabel" else None
        entry = {"path": path, "hash": hashes[path], "label": label, "decision": word, "new_label": new}
        entries.append({**entry, "time": "2026-01-01T00:00:00Z", "how": "rank"})
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id, "decisions": entries}
    file = folder / "decisions.json"
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize("kind", MAKERS)
def test_the_round_closes_in_the_format_it_began_in(kind: str, tmp_path: Path) -> None:
    source = MAKERS[kind](tmp_path / "set")
    result = audited(tmp_path, source)
    done = apply(tmp_path / "out", decided(tmp_path, result))
    assert (done.counts["relabelled"], done.counts["dropped"], done.counts["written"]) == (2, 2, 22)
    word = done.text.split("next: auditor audit ")[1].split(" -o OUT2")[0].split()
    assert word[1] == "--root" and Path(word[2]).is_dir()

    before, after = open_source(source), open_source(word[0], layout=Layout(root=word[2]))
    wanted = dict(zip(before.frame["path"], before.frame["label"], strict=True))
    for (path, other), said in zip(
        result.ranking[["path", "suggested_label"]].itertuples(index=False), WORDS, strict=False
    ):
        if said == "drop":
            del wanted[path]
        if said == "relabel":
            wanted[path] = other
    content = {path: before.read(path) for path in wanted}
    assert sorted(
        (after.read(path), label) for path, label in zip(after.frame["path"], after.frame["label"], strict=True)
    ) == sorted((content[path], label) for path, label in wanted.items())
    with pytest.raises(DecisionsError, match="in their own format"):
        apply(tmp_path / "out", tmp_path / "decisions.json", format="folder", output=tmp_path / "other")


@pytest.mark.parametrize("kind", MAKERS)
def test_findings_point_at_the_line_of_the_box(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = audited(tmp_path, MAKERS[kind](Path("set")))
    locate = locator(result)
    assert data_set(result).startswith("set")
    for path, label in zip(result.ranking["path"], result.ranking["label"], strict=True):
        place = locate(path)
        lines = Path(place.path).read_text().splitlines()[place.line - 1 :]
        assert place.inside and IS_THERE[kind](lines, path, label)


def _in_coco(lines: list[str], path: str, label: str) -> bool:
    return lines[0].strip() == "{" and lines[1].strip() == f'"id": {path.rpartition("#")[2]},'


def _in_yolo(lines: list[str], path: str, label: str) -> bool:
    return lines[0].startswith("0 " if label == "3" else "1 ")


IS_THERE: dict[str, Callable[[list[str], str, str], bool]] = {
    "coco": _in_coco,
    "yolo": _in_yolo,
    "yolo's folder": _in_yolo,
    "darknet": _in_yolo,
    "exported": lambda lines, path, label: len(lines) == 1,
    "exported yolo": _in_yolo,
    "voc": lambda lines, path, label: lines[0] == "\t<object>" and lines[1] == f"\t\t<name>{label}</name>",
}


def test_every_other_character_of_cocos_file_stays(tmp_path: Path) -> None:
    file = Path(coco(tmp_path / "set"))
    text = file.read_text().replace('"bbox": [', '"bbox"  :\t[').replace('"digits"', '"d\\u00efgits", "extra": [1,  2]')
    file.write_text(text)
    result = audited(tmp_path, str(file))
    cleaned = apply(tmp_path / "out", decided(tmp_path, result)).data.read_text()
    document, ids = json.loads(text), dict(zip(result.ranking["path"], WORDS, strict=False))
    said = {int(path.rpartition("#")[2]): word for path, word in ids.items()}
    kept = [one for one in document["annotations"] if said.get(one["id"]) != "drop"]
    for one in kept:
        if said.get(one["id"]) == "relabel":
            one["category_id"] = 21 - one["category_id"]
    assert json.loads(cleaned) == {**document, "annotations": kept}
    assert '"bbox"  :\t[' in cleaned and '"d\\u00efgits", "extra": [1,  2]' in cleaned
    assert set(cleaned.splitlines()) <= set(text.splitlines())


def test_decisions_go_into_the_file_of_the_split(tmp_path: Path) -> None:
    folder = Path(exported(tmp_path / "set"))
    result = audited(tmp_path, str(folder))
    done = apply(tmp_path / "out", decided(tmp_path, result))
    changed = dict(zip(result.ranking["path"], WORDS, strict=False))
    for part in ("train", "valid", "test"):
        file = f"{part}/_annotations.coco.json"
        before, after = (json.loads((place / file).read_text()) for place in (folder, done.data))
        wanted = []
        for one in before["annotations"]:
            picture = next(image["file_name"] for image in before["images"] if image["id"] == one["image_id"])
            word = changed.get(f"{part}/{picture}#{one['id']}")
            one["category_id"] = 21 - one["category_id"] if word == "relabel" else one["category_id"]
            wanted += [one] * (word != "drop")
        assert after == {**before, "annotations": wanted}


def test_a_class_that_the_file_of_a_split_lacks_is_told(tmp_path: Path) -> None:
    folder = Path(exported(tmp_path / "set"))
    for part in ("train", "valid", "test"):
        file = folder / part / "_annotations.coco.json"
        document = json.loads(file.read_text())
        document["categories"] = [one for one in document["categories"] if one["id"] != 0]
        if part == "test":
            document["annotations"] = [one for one in document["annotations"] if one["category_id"] == 10]
            document["categories"] = document["categories"][:1]
        file.write_text(json.dumps(document))
    result = audited(tmp_path, str(folder))
    assert result.ranking["path"].iloc[0].startswith("test/")
    with pytest.raises(SourceError, match=r"test/_annotations\.coco\.json has no category '8'"):
        apply(tmp_path / "out", decided(tmp_path, result))


def test_tools_that_open_files_get_no_boxes(tmp_path: Path) -> None:
    audited(tmp_path, coco(tmp_path / "set"))
    for tool, ending in (("fiftyone", "json"), ("coco", "json"), ("hf", "jsonl")):
        with pytest.raises(DecisionsError, match="no files of their own"):
            export(tmp_path / "out", Wanted(tool, n=3), tmp_path / f"tasks.{ending}")
    with pytest.raises(DecisionsError, match="no files of their own"):
        export(tmp_path / "out", Wanted("label-studio", n=3, link="/x/"), tmp_path / "tasks.json")
    export(tmp_path / "out", Wanted("csv", n=3), tmp_path / "tasks.csv")
    export(tmp_path / "out", Wanted("label-studio", n=3), tmp_path / "tasks.json")
    tasks: list[dict[str, Any]] = json.loads((tmp_path / "tasks.json").read_text())
    assert all(task["data"]["image"].startswith("data:image/png;base64,") for task in tasks)
