"""Exports of labelling tools are manifests: found by themselves, with one label for an image that people agree on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import few_images

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source
from auditor.sources.manifest import Layout


def images(folder: Path) -> list[str]:
    few_images(folder)
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*.png"))]


def found(table: ImageTable) -> dict[str, str]:
    return dict(table.frame[["path", "label"]].itertuples(index=False, name=None))


def answer(label: str, person: int = 1, *, cancelled: bool = False) -> dict[str, Any]:
    result = [{"type": "choices", "from_name": "label", "to_name": "image", "value": {"choices": [label]}}]
    return {"completed_by": person, "was_cancelled": cancelled, "result": result}


def test_label_studio(tmp_path: Path) -> None:
    names = images(tmp_path)
    tasks: list[dict[str, Any]] = [
        {"id": n, "data": {"image": f"/data/local-files/?d={name}"}, "annotations": [answer(name[0])]}
        for n, name in enumerate(names)
    ]
    tasks[0]["annotations"] = [answer("8", 1), answer("3", 2), answer("8", 3), answer("3", 4, cancelled=True)]
    tasks[1]["annotations"] = [answer("8", 1), answer("3", 2)]
    tasks[2]["annotations"] = []
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    table = open_source(str(tmp_path / "export.json"))
    assert found(table) == {names[0]: "8", **{name: name[0] for name in names[3:]}}
    assert {entry.path for entry in table.skipped} == set(names[1:3])
    short = [{"image": f"/data/upload/{name}", "choice": name[0], "annotator": 1, "id": 1} for name in names]
    (tmp_path / "short.json").write_text(json.dumps(short))
    assert found(open_source(str(tmp_path / "short.json"))) == {name: name[0] for name in names}
    tasks[3]["annotations"][0]["result"][0]["value"]["choices"] = ["3", "8"]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    with pytest.raises(SourceError, match="the task 3 has several labels"):
        open_source(str(tmp_path / "export.json"))


def test_fiftyone(tmp_path: Path) -> None:
    names = images(tmp_path / "data")
    samples = [
        {"filepath": f"data/{name}", "tags": [], "ground_truth": {"_cls": "Classification", "label": name[0]}}
        for name in names
    ]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))
    assert found(open_source(str(tmp_path / "samples.json"))) == {f"data/{name}": name[0] for name in names}
    two = [{"filepath": s["filepath"], "a": s["ground_truth"], "b": s["ground_truth"]} for s in samples]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": two}))
    with pytest.raises(SourceError, match="'a', 'b'"):
        open_source(str(tmp_path / "samples.json"))


def test_cvat(tmp_path: Path) -> None:
    names = images(tmp_path / "images")
    tagged = "".join(
        f'<image id="{n}" name="{name}" subset="Train"><tag label="{name[0]}"/></image>'
        for n, name in enumerate(names[1:])
    )
    start = f'<?xml version="1.0"?><annotations><version>1.1</version><image id="99" name="{names[0]}"/>'
    (tmp_path / "annotations.xml").write_text(f"{start}{tagged}</annotations>")
    table = open_source(str(tmp_path / "annotations.xml"), layout=Layout(root=str(tmp_path / "images")))
    assert found(table) == {name: name[0] for name in names[1:]} and set(table.frame["split"]) == {"train"}
    assert [entry.path for entry in table.skipped] == [names[0]]
    for text, words in {
        "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>": "document type",
        "<annotations><image>": "not valid XML",
        "<svg/>": "no export of CVAT",
        "<annotations><image name='a'><tag label='1'/><tag label='2'/></image></annotations>": "several tags",
    }.items():
        (tmp_path / "annotations.xml").write_text(text)
        with pytest.raises(SourceError, match=words):
            open_source(str(tmp_path / "annotations.xml"))
