"""The first sentences: the estimate, the test with planted labels, and nothing that is not known."""

from __future__ import annotations

import copy
import dataclasses

from builders import make_result
from report_page import Page, changed, page_of

from auditor.report import wording
from auditor.report.headline import headline
from auditor.report.page import render


def test_headline_gives_the_estimate_with_its_interval_and_what_was_found_of_the_planted():
    result = make_result()
    count, recovery = result.summary["calibration"]["count"], result.summary["recovery"]
    text = Page(render(result)).text
    low, high = (round(x) for x in count["interval"])
    tenth = next(row for row in recovery["rankings"]["suspicion"]["found"] if row["inspected"] == 0.1)
    found = round(tenth["share"] * recovery["n_planted"])
    assert (
        f"About {round(count['value'])} of 200 labels in photos are probably wrong (between {low} and {high}). "
        f"In a test with {recovery['n_planted']} labels we flipped ourselves, checking the top 10% of the list found "
        f"{found}. That is {wording.percent(tenth['share'])} of the flipped labels" in text
    )
    assert wording.percents(tenth["interval"]) in text
    assert "at random would find 10%" in text and "better than chance" not in text


def test_a_list_no_better_than_chance_is_not_recommended():
    summary = copy.deepcopy(make_result().summary)
    rankings = summary["recovery"]["rankings"]
    rankings["suspicion"] = rankings["random"]
    text = Page(render(dataclasses.replace(make_result(), summary=summary))).text
    assert "does not show that the list is better than chance" in text and "Do not rely on its order" in text
    assert "Before you review, audit again" in text and "Review the suspects" not in text


def test_without_calibration_nothing_is_claimed_about_given_labels():
    text = page_of(calibrated=False).text
    assert "We did not estimate how many of the 200 labels in photos are wrong" in text
    assert "an order, but no probabilities" in text and "probably wrong" not in text
    assert "likely wrong" not in text


def test_undecided_calibration_says_why():
    result = make_result()
    calibration = {
        **result.summary["calibration"],
        "decided": False,
        "reason": "Too few images.",
        "count": None,
        "share": None,
    }
    text = Page(render(changed(result, calibration=calibration))).text
    assert "We could not decide how many" in text and "Too few images." in text
    assert "probably wrong" not in text.split("Evidence")[0] and "--reference DIR" in text


def test_an_estimate_of_zero_is_not_sold_as_a_find():
    result = make_result()
    calibration = {**result.summary["calibration"], "count": {"value": 0.2, "interval": [0.0, 3.0]}}
    text = Page(render(changed(result, calibration=calibration))).text
    assert "found no clear errors among the 200 labels in photos. Up to 3 may be wrong" in text
    assert "probably wrong" not in text.split("Labels probably wrong")[0]


def test_headline_is_plain_text():
    text = headline(make_result(hostile=True))
    assert text.startswith("About ") and "<" not in text and "&" not in text and "\x1b" not in text


def test_headline_says_how_many_could_be_found_where_the_top_of_the_list_has_not_room_for_all():
    result = make_result(n=1000, planted_rate=0.2)
    recovery = result.summary["recovery"]
    assert recovery["n"] == 800 and recovery["n_planted"] == 160
    assert " (at most 80 were possible)." in headline(result)
    free = changed(make_result(n=1000), recovery={**make_result(n=1000).summary["recovery"], "ceiling": None})
    assert "at most" not in headline(free)


def test_a_mean_over_plantings_is_no_exact_count():
    result = make_result(n=1000)
    recovery = copy.deepcopy(result.summary["recovery"])
    tenth = next(row for row in recovery["rankings"]["suspicion"]["found"] if row["inspected"] == 0.1)
    tenth["share"] = (60 + 1 / 3) / recovery["n_planted"]
    assert "of the list found about 60." in headline(changed(result, recovery=recovery))


def test_one_is_one():
    result = make_result()
    for value, words in (
        (1.2, "About 1 of 200 labels in photos is probably wrong"),
        (0.2, "Up to 1 may be wrong"),
    ):
        calibration = {**result.summary["calibration"], "count": {"value": value, "interval": [0.0, 0.4]}}
        assert words in headline(changed(result, calibration=calibration))
