"""What the page says of looks: the claim of a certificate, what looks would prove, and never more than was proved."""

from __future__ import annotations

import copy
import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from builders import make_result
from certificates import certificate, proven
from hypothesis import given
from hypothesis import strategies as st
from report_page import Page, changed, data_of

from auditor.certificate.wording import at_most
from auditor.report import Looks, headline, looks_in
from auditor.report.page import render
from auditor.report.tiles import tiles
from auditor.result import AuditResult


def test_the_certificate_takes_the_place_of_the_estimate() -> None:
    result = make_result()
    found = certificate(result)
    text = Page(render(result, looks=Looks(certificate=found))).text
    claim = "At most 0.79% of these labels are wrong now, whatever kind of errors they are (340 looks, 95% confidence)"
    assert claim in text and f"photos: a{claim[1:]}" in text, "panel and headline"
    assert "probably wrong" not in text.split("Evidence")[0]
    assert headline(result, found).startswith(f"photos: a{claim[1:]}. In a test with")
    tile = tiles(result.summary, found)[0]
    assert (tile.title, tile.text) == ("Labels wrong now, at most (95%)", "0.79%")
    for words in (
        "Wrong before any correction",
        "3.0% to 5.2%",
        "300 drawn at random (3 wrong, 1 undecided), 40 from the top of the list",
        "9 of 10 labels made wrong were found",
        "210 more looks prove 0.5% or less, if none finds a wrong label; about 480, if wrong labels go on as so far",
        "more than can be named",
        "Reviewers name a wrong label when they see one.",
        "Four items are new.",
        "60 of 100",
    ):
        assert words in text, words


def test_no_forecast_of_the_model_contradicts_what_looks_proved() -> None:
    result = make_result()
    looks = Looks(None, certificate(result))
    *_, last = tiles(result.summary, looks.certificate)
    assert (last.title, last.text) == ("To prove that at most 0.5% are wrong", "210 more looks")
    assert last.note == "If none finds a wrong label. About 21 minutes." and last.interval is None
    html = render(result, looks=looks)
    assert "should contain about" in render(result) and "should contain about" not in Page(html).text
    assert data_of(Page(html))["proved"] == 2 and data_of(Page(render(result)))["proved"] is None


def test_corrections_that_are_not_applied_do_not_count_as_made() -> None:
    result = make_result()
    text = Page(render(result, looks=Looks(certificate=certificate(result, applied=False)))).text
    assert "At most 5% of these labels are wrong now" in text and "At most 0.79% of these" not in text
    assert "Corrections that were found are not applied in these data. Once they are, at most 0.79% are wrong." in text


def test_looks_that_prove_nothing_are_not_sold_as_a_bound() -> None:
    result = make_result()
    nothing = proven(0.5, 0.0, 1.0, 1.0)
    text = headline(result, certificate(result, remaining=nothing, today=nothing, share=nothing))
    assert "cannot exclude that all of these labels are wrong" in text and "At most" not in text


def test_before_any_look_the_page_says_what_looks_would_prove() -> None:
    result = make_result()
    evidence = {
        **result.evidence,
        "sample": [{"path": "x", "hash": "y", "label": "boats", "how": "drawn", "probability": 0.1}],
        "proves": [{"looks": 300, "at_most": 0.0099}],
    }
    text = Page(render(AuditResult(result.summary, result.ranking, result.planted, evidence))).text
    assert (
        "300 looks without a wrong label prove that at most 0.99% are wrong." in text and "so nothing is proved" in text
    )


@given(st.floats(1e-7, 1.0))
def test_an_upper_bound_is_never_rounded_down(share: float) -> None:
    text = at_most(share)
    assert text.endswith("%") and len(text) < 12
    said = Fraction(text[:-1]) / 100
    assert said >= Fraction(share) * (1 - Fraction(1, 10**6)) and said <= Fraction(share) * Fraction(12, 10)


def test_upper_bounds_read_well() -> None:
    shares = (0, 0.0079, 0.00791, 0.01, 0.0501, 0.3, 0.301, 0.999, 1.0, 0.00012)
    assert [at_most(share) for share in shares] == [
        "0%",
        "0.79%",
        "0.8%",
        "1%",
        "5.1%",
        "30%",
        "31%",
        "100%",
        "100%",
        "0.012%",
    ]


def _unknown(result: AuditResult, low: float, high: float) -> AuditResult:
    calibration = copy.deepcopy(result.summary["calibration"])
    n = result.summary["dataset"]["n_images"]
    calibration.update(
        cannot_tell=True,
        count={"value": (low + high) / 2, "interval": [low, high]},
        share={"value": (low + high) / 2 / n, "interval": [low / n, high / n]},
    )
    return changed(result, calibration=calibration)


def test_what_the_model_cannot_tell_is_not_told() -> None:
    result = _unknown(make_result(), 0.3, 33.2)
    text = Page(render(result)).text
    assert (
        "The model cannot tell without looks how many of the 200 labels in photos are wrong: between 0 and 34" in text
    )
    assert tiles(result.summary)[0].text == "cannot tell"
    assert "probably wrong" not in text.split("Evidence")[0] and "no clear error" not in text.split("Evidence")[0]


@pytest.mark.parametrize("value", [0.0, 0.2, 0.4])
def test_no_first_sentence_promises_that_there_is_no_error(value: float) -> None:
    result = make_result()
    calibration = copy.deepcopy(result.summary["calibration"])
    calibration["count"] = {"value": value, "interval": [0.0, 2.1]}
    calibration["share"] = {"value": value / 200, "interval": [0.0, 2.1 / 200]}
    for row in calibration["review"]:
        row.update(expected_found=0.1, expected_found_interval=[0.0, 0.4])
    changed_result = changed(result, calibration=calibration)
    first = Page(render(changed_result)).text.split("Evidence")[1].split("What to do next")[0]
    whole = Page(render(changed_result)).text
    for words in ("perhaps none", "no wrong label,", "little to find", "nothing is left", "next to no"):
        assert words not in whole, words
    assert "Up to 3 may be wrong" in whole and first is not None
    assert tiles(changed_result.summary)[0].text.startswith("up to 1.1%") or value >= 0.1


def test_the_ceiling_of_recovery_is_said_where_wrong_labels_take_places() -> None:
    result = make_result(n=1000)
    recovery = copy.deepcopy(result.summary["recovery"])
    k = recovery["n_planted"]
    flat = {"value": 0.0, "interval": [0.0, 0.0]}
    possible = math.floor(0.9 * k)
    recovery["ceiling"] = {
        "share": {"value": possible / k, "interval": [possible / k] * 2},
        "still_wrong": {"value": float(possible), "interval": [float(possible)] * 2},
        "other_wrong": flat,
    }
    suspicion = recovery["rankings"]["suspicion"]
    next(row for row in suspicion["found"] if row["inspected"] == 0.1)["share"] = 0.8
    suspicion["precision_at_k"]["value"] = 0.8
    shown = changed(result, recovery=recovery)
    assert f"found {round(0.8 * k)} (at most about {possible} were possible)" in headline(shown)
    assert tiles(shown.summary)[1].note == f"{round(0.8 * k)} of at most about {possible} possible"
    assert "of at most about" in Page(render(shown)).text


def test_files_beside_an_audit_are_used_or_it_is_said_why_not(tmp_path: Path) -> None:
    result = make_result()
    assert looks_in(tmp_path, result) == Looks()
    (tmp_path / "certificate.json").write_text(json.dumps(certificate(result)))
    assert looks_in(tmp_path, result).certificate == certificate(result)
    (tmp_path / "certificate.json").write_text(json.dumps(certificate(result, content_hash="0" * 64)))
    (tmp_path / "sample.json").write_text("<<<<<<< mine\n{}\n")
    looks = looks_in(tmp_path, result)
    assert looks.certificate is None and looks.sample is None and len(looks.notes) == 2
    text = Page(render(result, looks=looks)).text
    assert "speaks of another data set" in text and "The sample cannot be used" in text
