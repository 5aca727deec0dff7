"""Looking at all items at once: the map and its line, the threshold, orders, classes, the address, and similar ones."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from builders import make_result
from selenium.webdriver.support.ui import WebDriverWait

RESULT = {"n": 300, "classes": ("ant", "bee", "c&t #1", "dog"), "share_wrong": 0.2}
LISTED = "return [...document.querySelectorAll('.rv-row .rv-words > span:first-child')].map(e=>e.textContent)"


@pytest.fixture(scope="module")
def result():
    return make_result(**RESULT)


def _threshold(report, value):
    report.run(
        "const s=document.querySelector('#rv-threshold');s.value=arguments[0];s.dispatchEvent(new Event('input'))",
        value,
    )


def _settled(report, part):
    WebDriverWait(report.driver, 10).until(lambda driver: part in driver.current_url)


def _count(report):
    return int(report.text(".rv-count").split()[0].replace(",", ""))


def test_the_map_lists_what_a_line_is_drawn_around_and_the_address_keeps_it(page, result):
    report = page(result).open()
    report.run("document.querySelector('.rv-explore').open=true")
    canvas = report.driver.find_element("css selector", ".rv-map")
    report.run("arguments[0].scrollIntoView({block:'center'})", canvas)
    size = report.run("return [arguments[0].clientWidth, arguments[0].clientHeight]", canvas)
    places = np.frombuffer(base64.b64decode(result.evidence["map"]["points"]), "<u2").reshape(-1, 2) / 65535
    left = places[:, 0] < (0.4 * size[0] - 10) / (size[0] - 20)
    corners = [[0.002, 0.003], [0.4, 0.003], [0.4, 0.997], [0.002, 0.997]]
    report.run(
        "const [map, corners] = arguments, box = map.getBoundingClientRect();"
        "const send = (kind, [x, y]) => map.dispatchEvent(new PointerEvent(kind, {clientX: box.left + 1 + x * "
        "map.clientWidth, clientY: box.top + 1 + y * map.clientHeight, pointerId: 1}));"
        "send('pointerdown', corners[0]); corners.forEach((c) => send('pointermove', c));"
        "send('pointerup', corners[3]);",
        canvas,
        corners,
    )
    assert _count(report) == pytest.approx(left.sum(), abs=3) and 0 < left.sum() < 300
    _settled(report, "lasso=")
    listed = report.text(".rv-count")
    report.driver.refresh()
    assert report.text(".rv-count") == listed
    # Without a pointer the neighbours of the open item are a button away.
    report.run("[...document.querySelectorAll('.rv-explore button')].find(b=>b.innerText.includes('nearest')).click()")
    assert _count(report) == 51
    report.run("[...document.querySelectorAll('.rv-explore button')].find(b=>b.innerText.includes('whole')).click()")
    assert report.text(".rv-count") == "300 suspects" and report.errors() == []


def test_threshold_order_class_and_open_item_live_in_the_address(page, result):
    report = page(result).open()
    ranking = result.ranking
    report.run("document.querySelector('.rv-explore').open=true")
    _threshold(report, 150)
    least = ranking["suspicion"].min() + 0.75 * np.ptp(ranking["suspicion"])
    above = ranking[ranking["suspicion"] >= float(f"{least:.4g}") - 1e-9]
    assert report.text(".rv-explore output").startswith(f"{len(above)} of 300 stand at")
    assert _count(report) == len(above)
    assert f"About {above['p_mislabelled'].sum():.0f} of them" in report.text(".rv-explore output")
    report.choose("Arrange", "by name")
    report.choose("Given label", "c&t #1")
    report.keys("n")
    mine = above[above["label"] == "c&t #1"].sort_values("path")["path"]
    assert mine.iloc[1] in report.text(".rv-card")
    _settled(report, "open=")
    address = report.driver.current_url
    report.open()
    assert report.text(".rv-count") == "300 suspects"
    report.driver.get(address)
    assert mine.iloc[1] in report.text(".rv-card") and _count(report) == len(mine)
    # The page of a class: what its labels probably are, and which others are probably it.
    shown = report.text(".rv-classpage")
    assert shown.startswith(f"c&t #1: {(ranking['label'] == 'c&t #1').sum()} labels, about")
    assert "Labelled c&t #1, perhaps:" in shown and "Labelled otherwise, perhaps c&t #1:" in shown
    report.click(".rv-classpage button")
    pair = ranking[ranking["label"] == "c&t #1"].groupby("suggested_label")["p_mislabelled"].sum().idxmax()
    count = ((ranking["label"] == "c&t #1") & (ranking["suggested_label"] == pair)).sum()
    assert _count(report) == count
    # Nothing that an address says is believed.
    report.driver.get(
        report.path.as_uri() + "#label=%3Cscript%3E&order=x&min=zz&lasso=1,2;3&near=../x&open=%00&state=y"
    )
    assert _count(report) in range(301) and report.errors() == []


def test_similar_ones_are_selected_asked_about_and_taken_back_after_a_reload(page, result):
    report = page(result).open()
    ranking = result.ranking
    first = ranking.iloc[0]
    report.choose("Given label", first["label"])
    report.keys("n")
    report.keys("d")  # decided ones are left alone
    report.keys("p" * 3)
    report.run(
        "const s=document.querySelector('.rv-similar select');s.value='0.2';s.dispatchEvent(new Event('change'))"
    )
    report.click(".rv-list .rv-open")
    like = ranking[(ranking["label"] == first["label"]) & (ranking["suggested_label"] == first["suggested_label"])]
    decided = {d["path"] for d in report.decisions()}
    wanted = {first["path"], *like[like["p_mislabelled"] >= 0.2]["path"]} - decided
    report.click(".rv-similar button")
    if len(wanted) > 20:
        assert report.run("return document.querySelector('dialog[aria-label=\"Select many\"]').open")
        assert report.text("dialog[open] b") == f"Select {len(wanted)} images?"
        report.click("dialog[open] .main-button")
    assert report.text(".rv-selection").startswith(f"{len(wanted)} selected.")
    report.keys("r")
    assert {d["path"] for d in report.decisions()} == wanted | decided
    report.open(fresh=False)
    report.keys("z")
    assert {d["path"] for d in report.decisions()} == decided
