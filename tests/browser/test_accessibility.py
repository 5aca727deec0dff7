"""WCAG 2.2 AA as axe-core sees it, layouts from phone to wide screen, and linted scripts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from builders import make_result
from certificates import certificate
from conftest import violations

from auditor.report import Looks
from auditor.report import page as report_module

TEMPLATES = Path(__file__).parents[2] / "templates"
GATE = {
    "verdict": "FAIL",
    "rules": [
        {"rule": "mislabelled_share", "verdict": "FAIL", "message": "10% are wrong; at most 5% is allowed."},
        {"rule": "recovery", "verdict": "PASS", "message": "62% of planted labels are found."},
        {"rule": "f1_drop", "verdict": "UNDECIDED", "message": "Too few test images."},
    ],
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_no_serious_violation(page, node_tools, width, dark):
    result = make_result(n=120, classes=("ant", "bee", "cat"))
    report = page(result, gate=GATE, looks=Looks(None, certificate(result))).open(width, dark)
    report.keys("krdu")
    assert report.text(".rv-forecast").startswith("The certificate says that at most 2 of these labels are wrong now.")
    report.run("document.querySelectorAll('details:not(.more)').forEach((d) => { d.open = true; })")
    assert violations(report, node_tools) == []


def test_no_serious_violation_while_choosing_and_selecting(page, node_tools):
    report = page(make_result(n=60)).open()
    report.choose("Arrange", "confused pairs together")
    report.click(".rv-head button")
    assert violations(report, node_tools) == []
    report.keys("c")
    assert violations(report, node_tools) == []


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_where_axe_cannot_tell(scheme):
    """Axe judges no text on a gradient or in a figure: tables that scroll, the bars of the likeliest classes, plots."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8").split(":root {")[1 + scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.split("}")[0]))
    for text in ("ink", "muted", "clean", "wrong"):
        for behind in ("paper", "surface", "clean-soft") + (("line",) if text in ("ink", "muted") else ()):
            light, dark = sorted((_luminance(colours[text]), _luminance(colours[behind])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, behind)


@pytest.mark.parametrize("arguments", [{}, {"hostile": True}, {"classes": 14, "n": 400}, {"calibrated": False}])
def test_no_page_is_wider_than_its_screen(page, arguments):
    report = page(make_result(**arguments))
    for width in (320, 390, 768, 1440):
        report.open(width)
        report.run("document.querySelectorAll('details:not(.more)').forEach((d) => { d.open = true; })")
        assert report.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 768, 1080, 1440])
def test_figures_of_a_row_stand_on_one_line_however_their_titles_wrap(page, width):
    report = page(make_result()).open(width)
    tops = report.run(
        "return [...document.querySelectorAll('.tile')].map(t=>[t,...t.querySelectorAll('.big,.range,.interval')]"
        ".map(e=>Math.round(e.getBoundingClientRect().top)))"
    )
    for top in {row[0] for row in tops}:
        assert len({tuple(row) for row in tops if row[0] == top}) == 1


@pytest.mark.parametrize("width", [390, 768])
def test_no_cell_of_a_table_lies_over_its_neighbour(page, width):
    report = page(make_result(n=300, classes=("butcher_shop", "confectionery", "cat"))).open(width)
    report.run("document.querySelectorAll('details:not(.more)').forEach((d) => { d.open = true; })")
    over = report.run(
        "return [...document.querySelectorAll('td,th')].filter(c=>c.clientWidth&&c.scrollWidth>c.clientWidth+1)"
        ".map(c=>c.innerText)"
    )
    assert over == []


def test_a_low_window_shows_the_first_suspect_with_its_decisions(page):
    report = page(make_result()).open(1366)
    size = {"width": 1366, "height": 640, "deviceScaleFactor": 1, "mobile": False}
    report.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    report.driver.refresh()
    report.run("document.getElementById('review').scrollIntoView()")
    bottoms = report.run(
        "return ['.rv-picture > *','.act-unsure'].map(s=>document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert max(bottoms) <= 640


def test_a_phone_shows_the_first_suspect_with_its_decisions(page):
    report = page(make_result()).open(390)
    cdp = report.driver.execute_cdp_cmd
    cdp("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
    cdp("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        report.driver.refresh()
        report.run("document.getElementById('review').scrollIntoView()")
        bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
        bottoms = [report.run(bottom, f".rv-card {part}") for part in (".rv-picture", "dl", ".act-keep", ".act-drop")]
        assert bottoms == sorted(bottoms) and bottoms[0] > 0 and bottoms[-1] <= 844
        assert not report.run("return document.querySelector('.rv-filters-box').open")
        report.run("document.querySelector('.matrix button').click()")
        assert report.run("return document.querySelector('.rv-filters-box').open"), "a filter that is set is seen"
    finally:
        cdp("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_the_whole_review_is_reachable_by_tab(page):
    from selenium.webdriver.common.keys import Keys

    report = page(make_result(n=40)).open()
    reached = set()
    report.run("document.querySelector('#rv-export').focus()")
    for _ in range(40):
        report.keys(Keys.TAB)
        reached.add(report.run("const e=document.activeElement;return e.innerText?.split('\\n')[0]||e.type||e.tagName"))
    assert {"Clear", "Drop", "Unsure", "Next", "Another class", "search", "checkbox"} <= reached


def test_paper_shows_the_suspects_with_their_files_and_without_the_tool(page, node_tools):
    result = make_result(n=60)
    report = page(result).open(dark=True)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    report.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    try:
        assert violations(report, node_tools) == []  # on white paper, whatever the screen's colours
        shown = report.text(".static-suspects")
        assert all(path in shown for path in result.ranking["path"].head(24))
        assert report.run("return getComputedStyle(document.querySelector('#review-app')).display") == "none"
        assert report.run("return getComputedStyle(document.querySelector('.static-suspects')).display") == "block"
    finally:
        report.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_scripts_the_suspects_are_there_with_their_files(page, node_tools):
    result = make_result(n=60)
    report = page(result)
    report.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        report.driver.get(report.path.as_uri())
    finally:
        report.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert report.run("return document.querySelector('#review-app').hidden")
    shown = report.text(".static-suspects")
    assert all(path in shown for path in result.ranking["path"].head(24))
    assert violations(report, node_tools) == []


def _lint(node_tools, folder):
    done = subprocess.run(
        [
            "node",
            str(node_tools / "eslint" / "bin" / "eslint.js"),
            "--no-config-lookup",
            "--config",
            str(Path(__file__).with_name("eslint.config.mjs")),
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    return done.stdout + done.stderr


def test_scripts_and_styles_are_linted(node_tools, tmp_path):
    shutil.copytree(TEMPLATES, tmp_path / "templates", ignore=shutil.ignore_patterns("*.css", "__pycache__"))
    # The page holds them as one style. The second file uses the first one's variables.
    styles = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in report_module._STYLES)
    (tmp_path / "templates" / "style.css").write_text(styles, encoding="utf-8")
    assert _lint(node_tools, tmp_path / "templates") == ""
    (tmp_path / "bad.css").write_text("a { colour: red; } b {}", encoding="utf-8")
    (tmp_path / "bad.js").write_text("document.body.innerHTML = name;", encoding="utf-8")
    found = _lint(node_tools, tmp_path)
    assert all(rule in found for rule in ("no-invalid-properties", "no-empty-blocks", "no-undef", "no-restricted"))
