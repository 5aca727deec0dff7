"""A result in a notebook: a short repr, a view that stands alone, the suspects as a frame, the report in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
from builders import as_kind, make_result
from report_page import Page

from auditor.report.notebook import FIRST, shown
from auditor.report.page import write_report
from auditor.result import AuditResult


def test_the_repr_is_one_short_line_and_promises_nothing():
    result = make_result(hostile=True)
    assert repr(result) == str(result) and len(repr(result)) < 200 and repr(result).isprintable()
    assert "200 images, 8 classes; about" in repr(result)
    assert "nothing is known of how many labels are wrong" in repr(make_result(calibrated=False))
    assert "texts" in repr(as_kind(result, "text"))
    calibration = result.summary["calibration"]
    told = {**calibration, "cannot_tell": True, "count": {"value": 0.2, "interval": [0.0, 31.5]}}
    unknown = AuditResult({**result.summary, "calibration": told}, result.ranking, result.planted, result.evidence)
    assert "nobody can tell without looks how many labels are wrong: between 0 and 32" in repr(unknown)
    none = {**told, "cannot_tell": False}
    few = AuditResult({**result.summary, "calibration": none}, result.ranking, result.planted, result.evidence)
    assert "no clear error, and up to 32 labels may be wrong" in repr(few)


def test_suspects_are_the_ranked_rows():
    result = make_result(calibrated=False)
    assert list(result.suspects()["rank"]) == list(range(1, len(result.suspects()) + 1))
    assert len(result.suspects()) < len(result.ranking) and len(result.suspects(3)) == 3
    assert len(result.suspects(-1)) == 0 and len(result.suspects(10**9)) == len(result.suspects())
    first = result.suspects(1)
    first.loc[0, "label"] = "changed"
    assert result.ranking["label"][0] != "changed", "it is a copy"


@pytest.mark.parametrize("kind", ["image", "text", "table", "features"])
def test_the_view_stands_alone_and_is_escaped(kind):
    made = make_result(hostile=True)
    result = shown(made if kind == "image" else as_kind(made, kind, hostile=True))
    html = result._repr_html_()
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {
        "div",
        "p",
        "strong",
        "bdi",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "img",
    }
    assert all(set(attrs) <= {"style", "scope", "dir", "src", "alt"} for _, attrs in page.tags)
    assert all(attrs["src"].startswith("data:image/") for attrs in page.attributes("img"))
    assert bool(page.attributes("img")) == (kind == "image")
    assert sum(tag == "tr" for tag, _ in page.tags) == FIRST + 1
    assert "probably wrong" in page.text and "Share:" in page.text and result.audit_id in page.text
    assert not set(html) & {"\x1b", "\x07", "\u202e"}
    assert html == result._repr_html_() and "http" not in html.replace("http://x", "")


def test_without_an_estimate_the_view_says_so():
    page = Page(shown(make_result(calibrated=False))._repr_html_())
    assert "We did not estimate" in page.text and "Share:" not in page.text and "suspicion" in page.text


def test_show_opens_the_report_that_is_there_or_writes_one(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    result = make_result(n=60)
    page = shown(result).show()
    assert page.name == "report.html" and page.is_file() and opened == [page.as_uri()]
    kept = write_report(result, tmp_path)
    kept.write_text("as it was written")
    assert shown(result, tmp_path).show() == kept and kept.read_text() == "as it was written"
    assert Path(opened[-1].removeprefix("file://")) == kept.resolve()


def test_a_shown_result_is_the_result():
    result = make_result(n=60)
    same = shown(result)
    assert isinstance(same, AuditResult) and same.ranking is result.ranking and same.summary is result.summary
    assert repr(same) == repr(result)
