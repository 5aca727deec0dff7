"""Faults that reviewers met on the page, each with its relatives."""

from __future__ import annotations

import dataclasses

import pytest
from builders import make_result
from selenium.webdriver.common.keys import Keys

WORDS = "return document.querySelector('#review-app').innerText"


def _without_reasons(result):
    """A result in which nothing explains a suspect: so it is from the hundred-and-first on."""
    return dataclasses.replace(result, evidence={**result.evidence, "why": {}})


def test_a_card_without_reasons_has_no_word_for_them(page):
    report = page(_without_reasons(make_result(n=40))).open()
    assert "null" not in report.text(".rv-card") and "undefined" not in report.text(".rv-card")


@pytest.mark.parametrize("arguments", [{}, {"calibrated": False}, {"hostile": True}])
def test_no_part_of_the_tool_ever_shows_a_missing_value(page, arguments):
    result = _without_reasons(make_result(n=130, **arguments))
    ranking = result.ranking.assign(suggested_label=None, suspicion=None)
    report = page(dataclasses.replace(result, ranking=ranking)).open()
    for keys in ("k", "d", "u", "xnx", Keys.ESCAPE, "z", "n" * 105):
        report.keys(keys)
        shown = report.run(WORDS)
        assert not [word for word in ("null", "undefined", "NaN", "[object", "Invalid") if word in shown]
    for arrange in ("confused pairs together", "look-alikes together", "by rank"):
        report.choose("Arrange", arrange)
        assert "null" not in report.run(WORDS) and "NaN" not in report.run(WORDS)
    assert report.errors() == []


def test_select_all_leaves_decided_images_alone(page):
    report = page(make_result(n=60)).open()
    report.keys("kd")
    before = {d["path"]: d for d in report.decisions()}
    report.choose("Arrange", "confused pairs together")
    heads = report.count(".rv-head button")
    for number in range(heads):
        report.run("document.querySelectorAll('.rv-head button')[arguments[0]].click()", number)
    report.keys("r")
    after = {d["path"]: d for d in report.decisions()}
    assert len(after) > len(before) and {path: after[path] for path in before} == before


def test_a_selection_by_range_leaves_decided_images_alone(page):
    report = page(make_result(n=30)).open()
    report.keys("nkppp")  # the second one is kept, and the first is the current one
    box = "document.querySelectorAll('.rv-row input')[arguments[0]]"
    report.run(f"{box}.click()", 0)
    report.run(f"{box}.dispatchEvent(new MouseEvent('click',{{bubbles:true,cancelable:true,shiftKey:true}}))", 4)
    assert report.text(".rv-selection").startswith("4 selected.")
    report.keys("d")
    assert [d["decision"] for d in report.decisions()].count("keep") == 1


def test_a_filter_takes_what_it_hides_out_of_the_selection(page):
    result = make_result(n=60, classes=("ant", "bee", "cat"))
    report = page(result).open()
    report.choose("Arrange", "confused pairs together")
    report.click(".rv-head button")
    given = report.text(".rv-head").split(" →")[0]
    other = next(name for name in result.classes if name != given)
    report.choose("Given label", other)
    assert not report.run("return document.querySelector('.rv-selection').checkVisibility()")
    report.keys("k")
    assert [(d["label"], d["decision"]) for d in report.decisions()] == [(other, "keep")]


def test_selected_images_without_a_suggestion_are_not_given_one(page):
    result = make_result(n=30)
    suggested = result.ranking["suggested_label"].astype(object)
    suggested.iloc[1] = None
    report = page(dataclasses.replace(result, ranking=result.ranking.assign(suggested_label=suggested))).open()
    report.keys("xnxnx" + "r")
    found = {d["path"]: d["new_label"] for d in report.decisions()}
    paths = list(result.ranking["path"])
    assert found == {paths[row]: suggested.iloc[row] for row in (0, 2)}
    assert "Still selected, as they have no suggestion: 1." in report.text(".rv-said")
    assert report.text(".rv-selection").startswith("1 selected.")


def test_the_card_says_that_keys_apply_to_a_selection(page):
    report = page(make_result(n=30)).open()
    report.keys("xnxnn")
    assert "Keys apply to the 2 selected" in report.text(".rv-card")
    report.keys(Keys.ESCAPE)
    assert "Keys apply" not in report.text(".rv-card")


@pytest.mark.parametrize("large", [51, 120])
def test_undo_after_a_reload_takes_back_the_newest_step_first(page, large):
    result = make_result(n=130)
    report = page(result).open()
    report.keys("kk")
    report.run(
        "const data=JSON.parse(document.getElementById('audit-data').textContent);"
        "const s=Decisions.store(data,localStorage,()=>{});"
        "s.decide([...Array(arguments[0]).keys()].map(i=>[i+2,'drop',null]))",
        large,
    )
    report.open(fresh=False)
    assert report.text(".rv-tally").startswith(f"{large + 2} of 130")
    report.keys("z")
    assert [d["decision"] for d in report.decisions()] == ["keep", "keep"]
    report.keys("zz")
    assert report.decisions() == []


def test_undo_stops_at_a_step_too_large_to_be_kept(page):
    report = page(make_result(n=2300, thumbnails=5)).open()
    report.keys("k")
    report.run(
        "const data=JSON.parse(document.getElementById('audit-data').textContent);"
        "const s=Decisions.store(data,localStorage,()=>{});"
        "s.decide([...Array(2100).keys()].map(i=>[i+1,'drop',null]));s.decide([[2200,'keep',null]])"
    )
    report.open(fresh=False)
    report.keys("zzz")
    assert report.text(".rv-tally").startswith("2,101 of 2,300")
    assert "Nothing to undo" in report.text(".rv-said")


@pytest.mark.parametrize("kept", ["7", '{"kept":7,"undo":[[7]]}', '{"kept":[null,[]],"undo":[null]}', "nonsense"])
def test_what_the_browser_kept_may_be_damaged(page, kept):
    result = make_result(n=30)
    report = page(result).open()
    report.run("localStorage.setItem(arguments[0],arguments[1])", f"auditor.decisions.{result.audit_id}", kept)
    report.open(fresh=False)
    report.keys("k")
    assert report.text(".rv-tally").startswith("1 of 30")


def test_a_key_decides_while_a_filter_has_the_focus_and_leaves_the_filter_alone(page):
    result = make_result(n=40, classes=("kite", "rat", "dog", "cup", "urn"))
    report = page(result).open()
    state = "return [...document.querySelectorAll('.rv-filters select')].map(s=>s.value)"
    before = report.run(state)
    for number, key in enumerate("kdux"):
        report.run("document.querySelectorAll('.rv-filters select')[arguments[0]].focus()", number)
        report.keys(key)
        report.keys("b")  # no key of the review, and no entry of the filter
        assert report.run(state) == before
    assert [d["decision"] for d in report.decisions()] == ["keep", "drop", "unsure"]


def test_enter_ends_a_search(page):
    result = make_result(n=40)
    report = page(result).open()
    report.run("document.querySelector('.rv-filters input').focus()")
    report.keys(result.ranking["path"].iloc[3] + Keys.ENTER + "k")
    assert [d["path"] for d in report.decisions()] == [result.ranking["path"].iloc[3]]
    assert report.run("return document.querySelector('.rv-filters input').value") == result.ranking["path"].iloc[3]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1366, 768), (390, 844)])
def test_what_export_did_is_said_in_view(page, width, height):
    report = page(make_result(n=40)).open(width)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    report.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    report.run("document.getElementById('review').scrollIntoView()")
    report.keys("kr")
    report.export()
    box = report.run("const b=document.querySelector('.rv-said').getBoundingClientRect();return [b.top,b.bottom]")
    assert 50 <= box[0] < box[1] <= height and "Exported 2 decisions" in report.text(".rv-said")


def test_a_key_does_not_decide_while_the_picture_is_out_of_view(page):
    report = page(make_result(n=40)).open(390)
    report.run("const p=document.querySelector('.rv-picture').getBoundingClientRect();window.scrollBy(0,p.bottom-70)")
    report.keys("k")
    assert report.decisions() == []
    report.keys("k")
    assert len(report.decisions()) == 1
