"""The page as a whole: self-contained, safe with hostile text, the same bytes for the same result."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import subprocess
import sys

import pytest
from builders import HOSTILE_CLASSES, make_result
from helpers import PROJECT
from report_page import Page, changed, page_of

from auditor.errors import ResultError
from auditor.report.page import _SCRIPTS, render, write_report


def test_equal_results_give_equal_bytes(drawn_figures):
    once = render(make_result())
    drawn_figures.clear()
    assert render(make_result()) == once


def test_rendering_needs_no_model_library():
    code = (
        "import sys; from builders import make_result; from auditor import report;"
        "report.render(make_result()); print([m for m in ('torch', 'pydvl', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment_with_tests()
    )
    assert done.stdout.strip() == "[]"


def _environment_with_tests() -> dict[str, str]:
    import os
    from pathlib import Path

    here = Path(__file__).parents[1]
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}


def test_write_report_replaces_the_file_whole(tmp_path):
    (tmp_path / "report.html").write_text("old")
    path = write_report(make_result(), tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == render(make_result())
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("arguments", [{}, {"hostile": True}, {"calibrated": False}, {"classes": 20, "n": 400}])
def test_page_loads_nothing_and_runs_one_known_script(arguments):
    page = page_of(**arguments)
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert {name: rule for name, rule in rules.items() if name != "script-src"} == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    kinds = [attrs.get("type") for attrs, _ in page.scripts]
    assert kinds == ["application/json", None]
    digest = base64.b64encode(hashlib.sha256(page.scripts[1][1].encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert page.styles and not re.search(r"@import|url\(", "".join(page.styles))
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name, value)


def test_hostile_text_is_shown_not_run():
    page = page_of(hostile=True)
    tags = {tag for tag, _ in page.tags}
    assert "<script>window.hacked=1</script>" in page.text
    assert page.attributes("img") and all((a["src"] or "").startswith("data:image/") for a in page.attributes("img"))
    assert len(page.scripts) == 2
    assert "b" in tags  # ours; the labels' <b> stays text
    assert "{{ 7*7 }} %s ${1}" in page.text and "49 %s" not in page.text


def test_control_characters_become_visible():
    html = render(make_result(hostile=True))
    shown = html[: html.index('<script type="application/json"')]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)
    assert "\u241b[31mred\u2407" in shown and "\u27e8U+202E\u27e9gnp.exe" in shown


def test_script_data_cannot_leave_its_element():
    html = render(make_result(hostile=True))
    body = html.split('<script type="application/json" id="audit-data">', 1)[1].split("</script>", 1)[0]
    assert "<" not in body and ">" not in body
    assert json.loads(body)["classes"] == sorted(HOSTILE_CLASSES)


def test_pictures_that_are_no_pictures_are_left_out():
    result = make_result()
    first = result.ranking["path"].iloc[0]
    for url in (
        "javascript:alert(1)",
        "https://example.org/x.png",
        "data:text/html;base64,AAAA",
        'data:image/png;base64,"',
        7,
    ):
        evidence = {**result.evidence, "thumbnails": {first: url}}
        html = render(dataclasses.replace(result, evidence=evidence))
        assert str(url) not in html.replace("--step-7", "") or url == 7
        assert Page(html).attributes("img") == []


def test_lone_surrogates_in_file_names_can_be_written(tmp_path):
    result = make_result()
    ranking = result.ranking.astype({"path": object})
    ranking.loc[0, "path"] = "train/\udcff.png"
    path = write_report(dataclasses.replace(result, ranking=ranking), tmp_path)
    assert "\u27e8U+DCFF\u27e9" in path.read_text(encoding="utf-8")


def test_a_result_that_lacks_something_is_said_in_one_sentence():
    result = make_result()
    del result.summary["influence"]["damping"]
    with pytest.raises(ResultError, match="the audit's result is not complete") as caught:
        render(result)
    assert caught.value.hint and "report it" not in str(caught.value)


def test_no_absolute_path_is_in_the_page():
    result = make_result()
    summary = result.summary
    places = {name: f"/home/ada/{name}" for name in ("weights", "reference", "root", "ledger", "features", "backbone")}
    html = render(
        changed(
            result,
            command="auditor audit /home/ada/photos --weights '/home/ada/a b.pt' -o OUT",
            dataset={**summary["dataset"], "source": "/home/ada/photos", "root": "/home/ada/photos"},
            reference={**summary["reference"], "kind": "trusted", "source": "/home/ada/reference"},
            settings={**summary["settings"], **places},
        )
    )
    assert "/home" not in html and "auditor audit .../photos --weights &#39;.../a b.pt&#39; -o OUT" in html


def test_each_script_is_short_and_defines_the_part_that_it_is_named_after():
    """A reader guesses where a part of the page's tool lives, as in the package."""
    folder = PROJECT / "templates"
    assert sorted(_SCRIPTS) == sorted(path.name for path in folder.glob("*.js")) and _SCRIPTS[-1] == "review.js"
    for name in _SCRIPTS:
        text = (folder / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 350, name
        defined = re.findall(r"^(?:function|const) (\w+)", text, re.MULTILINE)
        assert [part.lower().removeprefix("plane") for part in defined] == [name.removesuffix(".js")][
            : name != "review.js"
        ]
