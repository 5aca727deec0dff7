"""What the page shows: every part the study asks for, also where an audit lacks something."""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
from builders import make_result
from report_page import Page, changed, page_of

from auditor.report import panels
from auditor.report.page import render


def test_every_section_the_study_asks_for_is_there():
    result = make_result()
    page = Page(render(result))
    headings = "".join(page.texts)
    for part in (
        "How many planted labels are found",
        "The lowest-ranked images of the test",
        "Average influence by label",
        "Class by class",
        "Which training images shaped a prediction",
        "Most helpful and most harmful images of each class",
        "Quality on the test split",
        "Method and limits",
        "Run it again",
    ):
        assert part in headings, part
    assert result.summary["command"] in page.text
    for name, version in result.summary["versions"].items():
        assert name in page.text and version in page.text
    assert sum(attrs.get("class") == "plot" for attrs in page.attributes("svg")) == 3 + 4
    assert "No class has 30 planted labels." in page.text  # else each class has a figure: see many classes


def test_lowest_ranked_images_show_what_they_really_are():
    result = make_result()
    page = Page(render(result))
    planted = [row for row in result.evidence["lowest_planted_run"] if row["planted"]]
    alts = [attrs["alt"] for attrs in page.attributes("img")]
    assert page.text.count("planted trained as") >= len(planted) > 0
    for row in planted:
        assert f"Place {row['influence_rank']}, trained as {row['trained_label']}" in alts


@pytest.mark.parametrize(
    "missing", ["thumbnails", "examples", "histograms", "extremes", "lowest_planted_run", "why", "near_duplicates"]
)
def test_evidence_may_be_missing(missing):
    result = make_result()
    evidence = {k: v for k, v in result.evidence.items() if k != missing}
    assert "</html>" in render(dataclasses.replace(result, evidence=evidence))


def test_summary_values_may_be_null():
    result = make_result(calibrated=False)
    summary = copy.deepcopy(result.summary)
    summary["damping_choice"], summary["signals"], summary["notes"] = None, [], []
    summary["model"]["weights_sha256"] = None
    for key in ("precision_at_k", "recall_at_k", "average_precision", "auroc"):
        summary["recovery"]["rankings"]["influence"][key]["interval"] = None
    for found in summary["recovery"]["rankings"]["influence"]["found"]:
        found["interval"] = None
    summary["model"]["clean"]["test"] = {"n": 0, "accuracy": None, "f1_weighted": None, "confusion": None}
    assert "</html>" in render(dataclasses.replace(result, summary=summary))


def test_gate_is_shown_where_there_is_one():
    gate = {
        "verdict": "FAIL",
        "rules": [
            {
                "rule": "max-mislabelled-share",
                "measured": 0.1,
                "interval": [0.05, 0.2],
                "level": "fail",
                "verdict": "FAIL",
                "message": "10% is above <5%>",
            }
        ],
    }
    text = Page(render(make_result(), gate)).text
    assert "Gate FAIL" in text and "max-mislabelled-share 10% is above <5%>" in text


def test_wrong_test_images_that_are_left_out_are_counted():
    result = make_result(examples=2)
    test = result.summary["model"]["clean"]["test"]
    n_wrong = round(test["n"] * (1 - test["accuracy"]))
    shown = sum(e["kind"] == "wrong" for e in result.evidence["examples"])
    summary = copy.deepcopy(result.summary)
    summary["model"]["clean"]["test"]["accuracy"] = 1 - 7 / test["n"]
    text = Page(render(dataclasses.replace(result, summary=summary))).text
    assert n_wrong == shown == 2
    assert "All 2 wrongly classified test images are here" in Page(render(result)).text
    assert "2 of 7 wrongly classified test images are here" in text and "5 are left out" in text


def test_an_influence_next_to_nothing_is_called_that():
    result = make_result()
    evidence = copy.deepcopy(result.evidence)
    example = evidence["examples"][0]
    for entry in (*example["most"], *example["least"]):
        entry["influence"] *= 1e-20
    example["histogram"]["edges"] = [edge * 1e-20 for edge in example["histogram"]["edges"]]
    text = Page(render(dataclasses.replace(result, evidence=evidence))).text
    assert text.count("about 0") == len(example["most"]) + len(example["least"])
    assert text.count("no training image changes this prediction") == 1


def test_depths_of_which_nothing_is_known_say_so():
    result = make_result(n=200)
    calibration = copy.deepcopy(result.summary["calibration"])
    for row in calibration["review"]:
        row.update(expected_found=None, expected_found_interval=[None, None])
    assert "not known" in Page(render(changed(result, calibration=calibration))).text


def test_many_classes_are_summarised():
    page = page_of(n=3000, classes=20, planted_rate=0.4)
    assert len(re.findall(r"\d+ planted, \d+ others", page.text)) == panels.MAX_PANELS
    assert "The 12 classes with most to find are shown." in page.text
    assert "Most frequent confusions on the test split" in page.text
