"""The drawn sample in a real browser: answered without hints, counted as drawn, exported in order."""

from __future__ import annotations

import json

import pytest
from builders import make_result
from selenium.webdriver.support.ui import WebDriverWait

from auditor.report.looks import Looks, shuffled

WORDS = "return document.querySelector('#review-app').innerText"


def _items(result, n=30, **made):
    """The last images of the ranking as a sample; `made` gives the way some of them came into it, by place."""
    hashes, classes = result.summary["dataset"]["hashes"], result.classes
    found = []
    for number, row in enumerate(result.ranking.iloc[-n:].itertuples()):
        how = made.get(f"at_{number}", "drawn")
        label = next(name for name in classes if name != row.label) if how == "known-wrong" else row.label
        found.append({"path": row.path, "hash": hashes[row.path], "label": label, "how": how, "probability": 0.01})
    return found


def _sampled(page, result, items):
    report = page(result, looks=Looks(sample=items)).open()
    report.click("[data-queue=sample]")
    return report


def test_a_drawn_image_is_shown_without_anything_that_leads_until_it_has_an_answer(page):
    result = make_result(n=60, thumbnails=60)
    report = _sampled(page, result, _items(result))
    first = shuffled(_items(result))[0]
    row = result.ranking.set_index("path").loc[first["path"]]
    hints = ("Suggested", "likely", "suspicion", "influence", "neighbours", "Suspect", first["path"], "Relabel to")
    shown = report.run(WORDS)
    assert "Look 1 of 30" in shown and first["label"] in report.text(".rv-labels")
    assert not [hint for hint in hints if hint in report.text(".rv-card")]
    assert "→" not in report.text(".rv-list") and "%" not in report.text(".rv-list")
    assert "path" not in report.text(".rv-count") and not report.run(
        "return document.querySelector('.rv-filters-box').checkVisibility()"
    )
    report.keys("kp")
    assert first["path"] in report.text(".rv-card") and row["suggested_label"] in report.text(".rv-card")
    assert report.errors() == []


def test_decisions_of_the_sample_are_drawn_ones_and_all_others_come_by_rank(page):
    result = make_result(n=60, classes=("ant", "bee", "cat"))
    items = _items(result)
    report = page(result, looks=Looks(sample=items)).open()
    report.keys("k")
    report.click("[data-queue=sample]")
    report.keys("kd")
    report.click("[data-queue=rank]")
    report.keys("u")
    decisions = report.decisions()
    seen = shuffled(items)
    assert [d["how"] for d in decisions] == ["rank", "drawn", "drawn", "rank"]
    ranked = list(result.ranking["path"])
    assert [d["path"] for d in decisions] == [ranked[0], seen[0]["path"], seen[1]["path"], ranked[1]]
    assert [d["time"] for d in decisions] == sorted(d["time"] for d in decisions)


def test_a_wrong_label_of_the_sample_is_named_without_a_suggestion(page):
    result = make_result(n=60, classes=("ant", "bee", "cat"))
    items = _items(result)
    report = _sampled(page, result, items)
    first = shuffled(items)[0]
    other = next(name for name in result.classes if name != first["label"])
    report.keys("r" + other + "\ue007")
    (decision,) = report.decisions()
    assert (decision["path"], decision["new_label"], decision["how"]) == (first["path"], other, "drawn")


def test_how_an_image_was_first_looked_at_stays(page):
    result = make_result(n=40)
    items = _items(result, n=40)
    report = page(result, looks=Looks(sample=items)).open()
    report.keys("k")
    report.click("[data-queue=sample]")
    report.keys("k")
    first = report.decisions()
    assert [d["how"] for d in first] == ["rank", "drawn"]
    for queue in ("rank", "sample"):
        report.click(f"[data-queue={queue}]")
        report.keys("p" * 45 + "d" * 40)
    assert {d["path"]: d["how"] for d in report.decisions()}[first[0]["path"]] == "rank"
    assert {d["path"]: d["how"] for d in report.decisions()}[first[1]["path"]] == "drawn"


def test_known_wrong_labels_and_second_looks_stand_apart_from_the_image(page, tmp_path):
    result = make_result(n=60, classes=("ant", "bee", "cat"))
    items = _items(result, at_3="known-wrong", at_5="again")
    report = _sampled(page, result, items)
    shown = shuffled(items)
    place = next(i for i, item in enumerate(shown) if item["how"] == "known-wrong")
    report.keys("n" * place)
    assert shown[place]["label"] in report.text(".rv-labels") and shown[place]["path"] not in report.text(".rv-card")
    report.keys("p" * place + "k" * 30)
    decisions = report.decisions()
    assert {(d["path"], d["label"], d["how"]) for d in decisions} == {
        (item["path"], item["label"], item["how"]) for item in items
    }
    report.keys("p" * 29 + "n" * place)
    assert f"Look {place + 1} of 30" in report.text(".rv-card")
    assert "We showed a wrong label on purpose" in report.text(".rv-card")
    report.keys("d")
    assert report.decisions() == decisions and "first answer about this label stands" in report.text(".rv-said")
    exported = report.export()
    document = json.loads(exported.read_text(encoding="utf-8"))
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(document))
    report.open()
    report.driver.find_element("id", "rv-file").send_keys(str(saved))
    WebDriverWait(report.driver, 10).until(lambda _: "30 imported" in report.text(".rv-said"))
    assert report.decisions() == document["decisions"]
    report.open(fresh=False)
    assert report.decisions() == document["decisions"] and report.errors() == []


def test_the_name_of_the_reviewer_is_kept_and_exported(page):
    result = make_result(n=40)
    report = page(result).open()
    report.run("document.querySelector('.rv-name input').focus()")
    report.keys("Ada K\ue007kk")  # the first key brings the card into view
    report.open(fresh=False)
    assert report.run("return document.querySelector('.rv-name input').value") == "Ada K"
    document = json.loads(report.export().read_text(encoding="utf-8"))
    assert document["reviewer"] == "Ada K" and len(document["decisions"]) == 1


def test_another_reviewers_file_is_not_mixed_with_ones_own(page, tmp_path):
    report = page(make_result(n=40)).open()
    report.run("document.querySelector('.rv-name input').focus()")
    report.keys("Ada\ue007kk")
    document = json.loads(report.export().read_text(encoding="utf-8"))
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**document, "reviewer": "Bo"}))
    before = report.decisions()
    report.driver.find_element("id", "rv-file").send_keys(str(other))
    WebDriverWait(report.driver, 10).until(lambda _: "decisions of Bo" in report.text(".rv-said"))
    assert report.decisions() == before


def test_files_of_the_earlier_form_are_imported(page, tmp_path):
    report = page(make_result(n=40)).open()
    report.keys("krd")
    document = json.loads(report.export().read_text(encoding="utf-8"))
    del document["reviewer"]
    for decision in document["decisions"]:
        del decision["how"]
    saved = tmp_path / "earlier.json"
    saved.write_text(json.dumps(document))
    report.open()
    report.driver.find_element("id", "rv-file").send_keys(str(saved))
    WebDriverWait(report.driver, 10).until(lambda _: "3 imported" in report.text(".rv-said"))
    assert [d["how"] for d in report.decisions()] == ["rank"] * 3


def test_what_an_earlier_page_kept_is_read(page):
    result = make_result(n=40)
    report = page(result).open()
    path = result.ranking["path"].iloc[0]
    kept = {"kept": [[path, "keep", None, "2026-01-01T00:00:00.000Z"]], "undo": [[[path, None]]]}
    report.run(
        "localStorage.setItem(arguments[0],arguments[1])", f"auditor.decisions.{result.audit_id}", json.dumps(kept)
    )
    report.open(fresh=False)
    assert [(d["path"], d["how"]) for d in report.decisions()] == [(path, "rank")]
    report.keys("z")
    assert report.decisions() == []


def test_one_undo_at_a_time_across_both_lists(page):
    result = make_result(n=60)
    report = page(result, looks=Looks(sample=_items(result, at_3="again"))).open()
    report.keys("k")
    report.click("[data-queue=sample]")
    report.keys("k" * 30 + "z" * 30)
    assert [d["how"] for d in report.decisions()] == ["rank"]
    report.keys("z")
    assert report.decisions() == [] and report.errors() == []


@pytest.mark.parametrize("width", [390, 1440])
def test_the_sample_fits_its_screen(page, width):
    result = make_result(n=60, hostile=True)
    report = page(result, looks=Looks(sample=_items(result))).open(width)
    report.click("[data-queue=sample]")
    report.keys("kd")
    assert report.run("return document.documentElement.scrollWidth") <= width
    assert report.run("return window.hacked") is None and report.errors() == []
