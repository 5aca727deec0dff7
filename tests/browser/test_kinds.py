"""Texts, rows and plain ids in a real browser: read whole, judged by key, harmless, and one page for phone and desk."""

from __future__ import annotations

import functools
import re

import pytest
from builders import SENTENCES, as_kind, make_result
from conftest import violations
from selenium.webdriver.support.ui import WebDriverWait

from auditor.system.text import readable

WIDTHS = [(390, True), (1440, False)]


@functools.cache
def _result(kind):
    return as_kind(make_result(n=120, classes=("complaint", "praise", "question")), kind, hostile=True)


def _text_of(report):
    return report.run("return document.querySelector('main').innerText")


@pytest.mark.parametrize(("width", "dark"), WIDTHS)
@pytest.mark.parametrize("kind", ["text", "table"])
def test_items_are_read_and_judged_without_a_picture(page, node_tools, kind, width, dark):
    result = _result(kind)
    report = page(result).open(width, dark)
    assert report.count(".rv-card .excerpt") > 1 and report.count("img, .no-picture") == 0
    assert report.run("return document.documentElement.scrollWidth") <= width
    assert re.findall(r"\b(?:images?|pictures?)\b", _text_of(report).replace("image size", "")) == []
    seen = report.run(
        "const b=document.querySelector('.whole'),r=b.getBoundingClientRect(),e=b.firstChild;"
        "return [b.getAttribute('role'),b.tabIndex,b.getAttribute('aria-label'),r.width>200,e.tagName,e.innerText]"
    )
    path = result.ranking["path"][0]
    said = result.evidence["excerpts"][path]
    label = result.ranking["label"][0]
    assert seen[:4] == ["region", 0, f"Suspect 1, labelled {label}", True]
    assert seen[4] == ("DIV" if kind == "text" else "DL")
    for word in readable(said).replace(": ", "\n").split("\n"):
        assert word.strip() in seen[5]
    report.keys("krdu")
    assert [d["decision"] for d in report.decisions()] == ["keep", "relabel", "drop", "unsure"]
    report.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert violations(report, node_tools) == []
    assert report.run("return window.hacked") is None and report.errors() == []


def test_a_long_text_scrolls_in_its_box_and_keys_reach_it(page):
    result = _result("text")
    long = next(
        row for row, path in enumerate(result.ranking["path"]) if len(result.evidence["excerpts"].get(path, "")) > 1900
    )
    report = page(result).open()
    report.choose("Find", result.ranking["path"][long])
    box = report.run("const b=document.querySelector('.whole');b.focus();return [b.scrollHeight,b.clientHeight]")
    assert box[0] > box[1] > 200
    assert len(report.run("return document.querySelector('.whole').textContent")) == 2001
    report.keys("\ue00f")  # page down
    moved = "return document.querySelector('.whole').scrollTop"
    WebDriverWait(report.driver, 10).until(lambda _: report.run(moved) > 0)  # a browser scrolls by steps
    report.keys("k")
    assert len(report.decisions()) == 1


def test_the_list_is_searched_by_what_texts_say_and_shows_their_beginning(page):
    result = _result("text")
    report = page(result).open()
    lines = report.run("return [...document.querySelectorAll('.rv-line')].map((e) => [e.textContent, e.dir])")
    assert len(lines) > 5 and {direction for _, direction in lines} == {"auto"}
    report.choose("Find", SENTENCES[0][:30])
    with_it = [p for p in result.ranking["path"] if SENTENCES[0][:30] in result.evidence["excerpts"].get(p, "")]
    assert report.text(".rv-count").startswith(f"{len(with_it)} of 120 suspects")


def test_writing_from_right_to_left_begins_at_the_right_and_marks_are_visible(page):
    result = _result("text")
    arabic = next(p for p in result.ranking["path"] if "سلعة" in result.evidence["excerpts"].get(p, ""))
    report = page(result).open()
    report.choose("Find", arabic)
    box = "return getComputedStyle(document.querySelector('.whole > .excerpt')).direction"
    assert report.run(box) == "rtl"
    hostile = next(p for p in result.ranking["path"] if "gnp.exe" in result.evidence["excerpts"].get(p, ""))
    report.choose("Find", hostile)
    assert report.run(box) == "ltr"
    shown = report.run("return document.querySelector('.whole').textContent")
    assert "⟨U+202E⟩gnp.exe⟨U+202C⟩" in shown and "␛[31mred␇" in shown and "\u202e" not in shown
    assert report.run("return window.hacked") is None


def test_plain_ids_stand_with_their_names(page, node_tools):
    result = _result("features")
    report = page(result).open(390, True)
    assert report.text(".whole .item-name") == result.ranking["path"][0]
    assert report.run("return document.documentElement.scrollWidth") <= 390
    assert violations(report, node_tools) == [] and report.errors() == []
