"""Tasks for labelling tools, and their answers as decisions: the whole round, and answers that do not fit."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from builders import as_kind, make_result
from hostile import png
from review_files import other_class, saved, with_files

from auditor.errors import ConfigError, DecisionsError
from auditor.result import AuditResult
from auditor.review import Wanted, Wish, apply, draw, export, import_answers, load_decisions, read_sample
from auditor.review.decisions import load_review
from auditor.review.tools import TOOLS

FILES = {name: f"tasks{tool.ending}" for name, tool in TOOLS.items()}


@pytest.fixture
def audit(tmp_path: Path) -> AuditResult:
    return saved(tmp_path, make_result(n=60, share_wrong=0.2))


def tasks(tmp_path: Path, name: str = "label-studio", **wanted: Any) -> Any:
    """What the tool gets, read by the tool's own format."""
    file = tmp_path / FILES[name]
    export(tmp_path / "out", Wanted(name, **{"link": "/x/", **wanted}), file)
    text = file.read_text(encoding="utf-8")
    if name == "csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return [json.loads(line) for line in text.splitlines()] if name == "hf" else json.loads(text)


def annotation(person: int, *choices: str, name: str = "label", **changes: Any) -> dict[str, Any]:
    """An annotation as Label Studio 1.23 exports it; the keys that are read, and some of the others."""
    value = {"from_name": name, "to_name": "item", "type": "choices", "value": {"choices": list(choices)}}
    times = {"created_at": "2026-11-30T16:31:50.227171Z", "updated_at": "2026-11-30T16:31:50.227193Z"}
    whole = {"completed_by": person, "result": [value] if choices else [], "was_cancelled": False, "lead_time": 3.2}
    return {**whole, **times, "unique_id": "9889467c", **changes}


def answered(tmp_path: Path, document: Any, file: str = "answers.json") -> Path:
    path = tmp_path / file
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


# --- what goes out -----------------------------------------------------------------------------------------------


def test_suspects_go_out_in_order_with_suggestion_and_score(tmp_path: Path, audit: AuditResult) -> None:
    made = tasks(tmp_path, n=7)
    ranking = audit.ranking[audit.ranking["rank"].notna()].sort_values("rank").head(7)
    assert [task["data"]["path"] for task in made] == list(ranking["path"])
    for task, row in zip(made, ranking.to_dict("records"), strict=True):
        assert task["data"]["given_label"] == row["label"] and task["data"]["rank"] == row["rank"]
        assert task["data"]["image"].startswith("/x/")
        (prediction,) = task["predictions"]
        assert prediction["result"][0]["value"]["choices"] == [row["suggested_label"]]
        assert prediction["score"] == pytest.approx(row["p_mislabelled"], abs=1e-6)


def test_the_interface_offers_every_class_and_two_ways_out(tmp_path: Path, audit: AuditResult) -> None:
    tasks(tmp_path)
    root = ElementTree.fromstring((tmp_path / "tasks.xml").read_text(encoding="utf-8"))
    offered = [choice.get("value") for choice in root.iter("Choice")]
    assert offered == [*sorted(audit.classes), "cannot tell", "does not belong"]


def test_hostile_class_names_stay_text_in_the_interface(tmp_path: Path) -> None:
    names = ('<Choice value="x"/>', "a&b;'\"", "two\nlines")
    saved(tmp_path, make_result(n=60, classes=names))
    tasks(tmp_path)
    root = ElementTree.fromstring((tmp_path / "tasks.xml").read_text(encoding="utf-8"))
    assert {choice.get("value") for choice in root.iter("Choice")} >= set(names)


def test_a_class_that_xml_cannot_hold_is_said(tmp_path: Path) -> None:
    saved(tmp_path, make_result(n=60, classes=("cat", "dog\x1b[2J")))
    with pytest.raises(DecisionsError, match=r"'dog.*' holds a character"):
        tasks(tmp_path)
    assert not (tmp_path / "tasks.json").exists()


def test_images_are_embedded_whole(tmp_path: Path) -> None:
    result = with_files(tmp_path / "data", make_result(n=60))
    hashes = {}
    for number, path in enumerate(result.ranking["path"]):
        data = png(number)
        (tmp_path / "data" / path).write_bytes(data)
        hashes[path] = hashlib.sha256(data).hexdigest()
    summary = {**result.summary, "dataset": {**result.summary["dataset"], "hashes": hashes}}
    (tmp_path / "out").mkdir()
    dataclasses.replace(result, summary=summary).save(tmp_path / "out")
    for task in tasks(tmp_path, n=3, link=""):
        kind, _, data = task["data"]["image"].partition(";base64,")
        assert kind == "data:image/png" and base64.b64decode(data)[:4] == b"\x89PNG"


def test_an_image_that_cannot_be_shown_is_said(tmp_path: Path, audit: AuditResult) -> None:
    with pytest.raises(DecisionsError, match="cannot be shown"):
        tasks(tmp_path, link="")


def test_too_many_images_to_embed_are_refused(
    tmp_path: Path, audit: AuditResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.review.exporting.shown.whole", lambda *_: png())
    monkeypatch.setattr("auditor.review.exporting.MOST_EMBEDDED", 300)
    with pytest.raises(DecisionsError, match="images already take") as said:
        tasks(tmp_path, link="")
    assert "--link" in said.value.hint


def test_a_text_goes_out_as_its_excerpt(tmp_path: Path) -> None:
    result = as_kind(make_result(n=60), "features")
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    assert all(task["data"]["text"] == task["data"]["path"] for task in tasks(tmp_path, n=5))
    assert "<Text" in (tmp_path / "tasks.xml").read_text()


def test_the_forms_of_the_other_tools(tmp_path: Path, audit: AuditResult) -> None:
    first = audit.ranking.sort_values("rank").iloc[0]
    stem = first["path"].rpartition(".")[0]
    label = tasks(tmp_path, "fiftyone")["labels"][stem]
    assert label["label"] == first["suggested_label"] and label["attributes"]["given_label"] == first["label"]
    coco = tasks(tmp_path, "coco")
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert coco["images"][0] == {"id": 1, "file_name": first["path"]}
    assert names[coco["annotations"][0]["category_id"]] == first["suggested_label"]
    line = tasks(tmp_path, "hf")[0]
    assert line["file_name"] == first["path"] and line["label"] == first["label"]


def test_equal_audits_give_equal_tasks(tmp_path: Path, audit: AuditResult) -> None:
    for name, file in FILES.items():
        tasks(tmp_path, name)
        before = (tmp_path / file).read_bytes()
        tasks(tmp_path, name)
        assert (tmp_path / file).read_bytes() == before


def test_a_file_of_another_kind_is_refused(tmp_path: Path, audit: AuditResult) -> None:
    with pytest.raises(ConfigError, match=re.escape("does not end in .json")):
        export(tmp_path / "out", Wanted("label-studio"), tmp_path / "tasks.csv")


# --- what comes back ---------------------------------------------------------------------------------------------


def test_two_people_of_label_studio_become_two_files_with_their_agreement(tmp_path: Path, audit: AuditResult) -> None:
    made = tasks(tmp_path, n=6)
    right = {task["data"]["path"]: task["data"]["given_label"] for task in made}
    first, second, third, unsure, gone, skipped = made
    other = {task["data"]["path"]: next(c for c in audit.classes if c != right[task["data"]["path"]]) for task in made}
    for task in (first, second):
        path = task["data"]["path"]
        task["annotations"] = [annotation(1, other[path]), annotation(2, other[path])]
    path = third["data"]["path"]
    third["annotations"] = [annotation(1, right[path]), annotation(2, other[path])]
    unsure["annotations"] = [annotation(1, "cannot tell", name="instead")]
    gone["annotations"] = [annotation({"email": "c@example.com"}, "does not belong", name="instead")]  # type: ignore[arg-type]
    skipped["annotations"] = [annotation(1, was_cancelled=True), annotation(2)]
    done = import_answers(tmp_path / "out", answered(tmp_path, made))
    reviews = {review.reviewer: review for review in (load_review(path, audit) for path in done.files)}
    assert sorted(reviews) == ["annotator 1", "annotator 2", "c@example.com"]
    said = {d.path: d.decision for d in reviews["annotator 1"].decisions}
    assert list(said.values()) == ["relabel", "relabel", "keep", "unsure"]
    assert [d.decision for d in reviews["c@example.com"].decisions] == ["drop"]
    assert reviews["annotator 2"].decisions[0].new_label == other[first["data"]["path"]]
    assert reviews["annotator 2"].decisions[0].time == "2026-11-30T16:31:50.227193Z"
    assert "1 task has no answer." in done.text
    assert "annotator 1 and annotator 2 agree about 2 of 3 items" in done.text
    assert all(path.parent == tmp_path / "out" / "decisions" for path in done.files)
    assert apply(tmp_path / "out", done.files).data.exists()


def test_a_filled_in_sheet_becomes_decisions(tmp_path: Path, audit: AuditResult) -> None:
    rows = tasks(tmp_path, "csv", n=4)
    for row, answer in zip(rows, ["", rows[1]["suggested_label"], rows[2]["given_label"], "cannot tell"], strict=True):
        row["answer"], row["reviewer"] = answer, "ann"
    out = io.StringIO(newline="")
    sheet = csv.DictWriter(out, list(rows[0]), delimiter=";")  # as a spreadsheet in Europe saves it
    sheet.writeheader()
    sheet.writerows(rows)
    file = tmp_path / "answers.csv"
    file.write_text("\ufeff" + out.getvalue(), encoding="utf-8")
    done = import_answers(tmp_path / "out", file)
    decisions = load_decisions(done.files[0], audit)
    assert [d.decision for d in decisions] == ["relabel", "keep", "unsure"]
    assert [d.path for d in decisions] == [row["path"] for row in rows[1:]]
    assert "3 tasks" not in done.text and "1 task has no answer." in done.text


def test_the_sample_goes_out_without_hints_and_comes_back_as_drawn_looks(tmp_path: Path, audit: AuditResult) -> None:
    with pytest.raises(DecisionsError, match="no sample"):
        tasks(tmp_path, sample=True)
    draw(tmp_path / "out", Wish(n=12, known_wrong=3))
    made = tasks(tmp_path, sample=True)
    sample = read_sample(tmp_path / "out")
    assert sample is not None
    assert sorted(task["data"]["path"] for task in made) == sorted(item["path"] for item in sample["items"])
    assert [task["data"]["path"] for task in made] != [item["path"] for item in sample["items"]]
    for task in made:
        assert "predictions" not in task and "suggested_label" not in task["data"]
        task["annotations"] = [annotation(1, task["data"]["given_label"])]
    done = import_answers(tmp_path / "out", answered(tmp_path, made))
    review = load_review(done.files[0], audit)
    assert {d.how for d in review.decisions} == {"drawn"} and len(review.made) == 3


def test_a_second_import_keeps_what_the_first_one_said(tmp_path: Path, audit: AuditResult) -> None:
    made = tasks(tmp_path, n=3)
    for task in made:
        task["annotations"] = [annotation(1, task["data"]["given_label"])]
    import_answers(tmp_path / "out", answered(tmp_path, made[:2]))
    changed = made[1]["data"]["path"]
    other = next(c for c in audit.classes if c != made[1]["data"]["given_label"])
    made[1]["annotations"] = [annotation(1, other)]
    done = import_answers(tmp_path / "out", answered(tmp_path, made[1:]))
    said = {d.path: d.decision for d in load_decisions(done.files[0], audit)}
    assert len(said) == 3 and said[changed] == "relabel"


def test_of_two_answers_of_one_person_the_later_counts(tmp_path: Path, audit: AuditResult) -> None:
    made = tasks(tmp_path, n=1)
    given, other = made[0]["data"]["given_label"], other_class(audit, 0)
    late = annotation(1, other, updated_at="2026-12-01T00:00:00Z")
    made[0]["annotations"] = [late, annotation(1, given)]
    (decision,) = load_decisions(import_answers(tmp_path / "out", answered(tmp_path, made)).files[0], audit)
    assert decision.new_label == other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda task: task["data"].update(auditor_id="another"), "belongs to audit another"),
        (lambda task: task["data"].pop("auditor_id"), "does not come from `auditor export`"),
        (lambda task: task["data"].pop("hash"), "lacks one of path, hash"),
        (lambda task: task["data"].update(path="../../etc/passwd"), "is not an image of this audit"),
        (lambda task: task["data"].update(given_label="other"), "was judged as 'other'"),
        (lambda task: task["data"].update(hash="0" * 64), "had another content"),
        (lambda task: task["data"].update(list="sample"), "is not in sample.json"),
        (lambda task: task.update(annotations=[annotation(1, "zebra")]), "'zebra' is no class of this audit"),
        (lambda task: task.update(annotations=[annotation(1, "a", "b")]), "2 choices at once"),
        (lambda task: task.update(annotations="x"), "no list of annotations"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_nothing_is_written(
    change: Any, said: str, tmp_path: Path, audit: AuditResult
) -> None:
    made = tasks(tmp_path, n=1)
    made[0]["annotations"] = [annotation(1, made[0]["data"]["given_label"])]
    change(made[0])
    with pytest.raises(DecisionsError, match=re.escape(said)) as error:
        import_answers(tmp_path / "out", answered(tmp_path, made))
    assert error.value.hint and not (tmp_path / "out" / "decisions").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"[1, 2]",
        b'["annotations"',
        b'["annotations"]',
        b"path,answer\n",
        b"path,answer\nx,y\n",
        b"\xff\xfe",
    ],
)
def test_a_file_of_no_tool_is_one_sentence(data: bytes, tmp_path: Path, audit: AuditResult) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DecisionsError) as error:
        import_answers(tmp_path / "out", tmp_path / "x")
    assert error.value.hint


def test_the_tasks_themselves_are_no_answers_and_folders_are_made(tmp_path: Path, audit: AuditResult) -> None:
    export(tmp_path / "out", Wanted("label-studio", link="/x/"), tmp_path / "new" / "folder" / "tasks.json")
    with pytest.raises(DecisionsError, match="nobody's answers") as error:
        import_answers(tmp_path / "out", tmp_path / "new" / "folder" / "tasks.json")
    assert "JSON-MIN" in error.value.hint


def test_formulas_in_a_sheet_are_escaped_and_come_back(tmp_path: Path) -> None:
    result = saved(tmp_path, make_result(n=60, hostile=True))
    rows = tasks(tmp_path, "csv", n=60)
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    for row in rows:
        row["answer"] = row["given_label"]
    out = io.StringIO(newline="")
    sheet = csv.DictWriter(out, list(rows[0]))
    sheet.writeheader()
    sheet.writerows(rows)
    (tmp_path / "a.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    done = import_answers(tmp_path / "out", tmp_path / "a.csv")
    assert {d.decision for d in load_decisions(done.files[0], result)} == {"keep"}
