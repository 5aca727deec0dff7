"""The scripts' data: every image once, in order, and small; pictures once, the suspects' first."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from builders import make_result
from helpers import use_sketched_figures
from report_page import Page, data_of, page_of

from auditor.report.page import render


def test_data_holds_every_image_once_in_the_rankings_order():
    result = make_result()
    data = data_of(Page(render(result)))
    paths = [data["dirs"][d] + f for d, f in zip(data["dir"], data["file"], strict=True)]
    assert paths == list(result.ranking["path"])
    assert [data["classes"][i] for i in data["label"]] == list(result.ranking["label"])
    assert [data["classes"][i] for i in data["suggested"]] == list(result.ranking["suggested_label"])
    assert data["ranked"] == result.ranking["rank"].notna().sum()
    assert [p / 1e4 for p in data["p"]] == pytest.approx(list(result.ranking["p_mislabelled"]), abs=1e-4)


def test_data_holds_the_hashes():
    result = make_result()
    data = data_of(Page(render(result)))
    width, n = len(data["hashes"]) // len(data["file"]), len(data["file"])
    for row in (0, 17, n - 1):
        packed = data["hashes"][row * width : (row + 1) * width]
        assert (
            base64.b64decode(packed + "=").hex()
            == result.summary["dataset"]["hashes"][result.ranking["path"].iloc[row]]
        )


def test_without_calibration_data_holds_no_probabilities_and_ranks_training_images_alone():
    data = data_of(page_of(calibrated=False))
    assert data["p"] is None
    assert data["ranked"] == 160 and len(data["file"]) == 200


def test_pictures_stand_in_the_page_or_in_the_data_but_not_in_both():
    result = make_result()
    html = render(result)
    page, data = Page(html), data_of(Page(html))
    inlined = {int(a["data-picture"]): a["src"] for a in page.attributes("img")}
    rows = {path: str(i) for i, path in enumerate(result.ranking["path"])}
    for path in result.ranking["path"].head(60):
        found = data["pictures"][rows[path]]
        url = inlined[found] if isinstance(found, int) else found
        assert url == result.evidence["thumbnails"][path]
        assert isinstance(found, int) == (url in inlined.values())


def test_large_results_stay_small():
    html = render(make_result(n=20_000, classes=10, thumbnails=500))
    assert len(html.encode()) < 6_000_000


def test_fifty_thousand_images_with_heavy_pictures_stay_under_fifteen_megabytes():
    result = make_result(n=50_000, classes=10, thumbnails=500, examples=10)
    # Photographs of 160x160 pixels, then noise, which no compression makes smaller.
    for characters, with_pictures in ((7_000, 500), (27_000, 150)):
        thumbnails = dict.fromkeys(result.evidence["thumbnails"], "data:image/webp;base64," + "A" * characters)
        html = render(dataclasses.replace(result, evidence={**result.evidence, "thumbnails": thumbnails}))
        assert len(html.encode()) < 15_000_000
        pictures = data_of(Page(html))["pictures"]
        assert all(str(row) in pictures for row in range(with_pictures))  # suspects come before all others


def test_a_hundred_further_examples_do_not_take_the_suspects_pictures(monkeypatch):
    use_sketched_figures(monkeypatch)
    result = make_result(n=1000, classes=10, thumbnails=500, examples=50)
    heavy = dict.fromkeys(result.evidence["thumbnails"], "data:image/webp;base64," + "A" * 20_000)
    page = Page(render(dataclasses.replace(result, evidence={**result.evidence, "thumbnails": heavy})))
    pictures = data_of(page)["pictures"]
    assert all(str(row) in pictures for row in range(500))
    places = [int(a["data-row"]) for a in page.attributes("span") if "data-row" in a]
    shown = {a["title"] for a in page.attributes("span") if "data-row" in a}
    assert shown == {result.ranking["path"].iloc[row] for row in places} and len(places) > 500
