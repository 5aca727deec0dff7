"""The report: complete, self-contained, safe with hostile text, the same bytes for the same result."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from builders import HOSTILE_CLASSES, make_result

from auditor.report import context, wording
from auditor.report.headline import headline
from auditor.report.page import render, write_report
from auditor.result import AuditResult


class _Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif not self._open or self._open[-1] != "style":
            self.texts.append(data)
        else:
            self.styles.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def _page(**arguments) -> _Page:
    return _Page(render(make_result(**arguments)))


def _data(page: _Page) -> dict:
    return json.loads(next(text for attrs, text in page.scripts if attrs.get("type") == "application/json"))


def _without(result: AuditResult, **summary) -> AuditResult:
    return dataclasses.replace(result, summary={**result.summary, **summary})


def test_equal_results_give_equal_bytes():
    assert render(make_result()) == render(make_result())


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


# --- what it says ------------------------------------------------------------------------------------------------


def test_headline_gives_the_estimate_with_its_interval_and_what_was_found_of_the_planted():
    result = make_result()
    count, recovery = result.summary["calibration"]["count"], result.summary["recovery"]
    text = _Page(render(result)).text
    low, high = (round(x) for x in count["interval"])
    tenth = next(row for row in recovery["rankings"]["suspicion"]["found"] if row["inspected"] == 0.1)
    assert (
        f"About {round(count['value'])} of 200 labels in photos are probably wrong (between {low} and {high}); "
        f"of {recovery['n_planted']} labels flipped to test the audit, the first tenth of its list holds "
        f"{wording.percent(tenth['share'])}." in text
    )
    assert "a tenth drawn at random holds 10%" in text and "no better than chance" not in text


def test_a_list_no_better_than_chance_is_not_recommended():
    summary = copy.deepcopy(make_result().summary)
    rankings = summary["recovery"]["rankings"]
    rankings["suspicion"] = rankings["random"]
    text = _Page(render(dataclasses.replace(make_result(), summary=summary))).text
    assert "no better than chance as far as this test can tell" in text
    assert "Before reviewing, audit with a backbone" in text and "Review the suspects" not in text


def test_without_calibration_nothing_is_claimed_about_given_labels():
    text = _page(calibrated=False).text
    assert "How many of the 200 labels in photos are wrong was not estimated" in text
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
    text = _Page(render(_without(result, calibration=calibration))).text
    assert "could not be decided" in text and "Too few images." in text
    assert "probably wrong" not in text.split("Evidence")[0] and "--reference DIR" in text


def test_an_estimate_of_zero_is_not_sold_as_a_find():
    result = make_result()
    calibration = {**result.summary["calibration"], "count": {"value": 0.2, "interval": [0.0, 3.0]}}
    text = _Page(render(_without(result, calibration=calibration))).text
    assert "At most 3 of 200 labels in photos are probably wrong, perhaps none; of" in text


def test_every_section_the_study_asks_for_is_there():
    result = make_result()
    page = _Page(render(result))
    headings = "".join(page.texts)
    for part in (
        "How much of the planted noise is found",
        "The lowest-ranked images of the experiment",
        "Average influence by label",
        "Class by class",
        "What the model learnt a prediction from",
        "Most helpful and most harmful images of each class",
        "Quality on the test split",
        "Method and limits",
        "Run it again",
    ):
        assert part in headings, part
    assert result.summary["command"] in page.text
    for name, version in result.summary["versions"].items():
        assert name in page.text and version in page.text
    assert sum(attrs.get("class") == "plot" for attrs in page.attributes("svg")) == 4 + 3 + 4


def test_lowest_ranked_images_show_what_they_really_are():
    result = make_result()
    page = _Page(render(result))
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
    text = _Page(render(make_result(), gate)).text
    assert "Gate FAIL" in text and "max-mislabelled-share 10% is above <5%>" in text


def test_wrong_test_images_that_are_left_out_are_counted():
    result = make_result(examples=2)
    test = result.summary["model"]["clean"]["test"]
    n_wrong = round(test["n"] * (1 - test["accuracy"]))
    shown = sum(e["kind"] == "wrong" for e in result.evidence["examples"])
    summary = copy.deepcopy(result.summary)
    summary["model"]["clean"]["test"]["accuracy"] = 1 - 7 / test["n"]
    text = _Page(render(dataclasses.replace(result, summary=summary))).text
    assert n_wrong == shown == 2
    assert "All 2 wrongly classified test images are here" in _Page(render(result)).text
    assert "Of 7 wrongly classified test images 2 are here" in text and "5 are left out" in text


def test_an_influence_next_to_nothing_is_called_that():
    result = make_result()
    evidence = copy.deepcopy(result.evidence)
    example = evidence["examples"][0]
    for entry in (*example["most"], *example["least"]):
        entry["influence"] *= 1e-20
    example["histogram"]["edges"] = [edge * 1e-20 for edge in example["histogram"]["edges"]]
    text = _Page(render(dataclasses.replace(result, evidence=evidence))).text
    assert text.count("about 0") == len(example["most"]) + len(example["least"])
    assert text.count("no training image moves this prediction") == 1


def test_depths_of_which_nothing_is_known_say_so():
    result = make_result(n=200)
    calibration = copy.deepcopy(result.summary["calibration"])
    for row in calibration["review"]:
        row.update(expected_found=None, expected_found_interval=[None, None])
    assert "not known" in _Page(render(_without(result, calibration=calibration))).text


def test_many_classes_are_summarised():
    page = _page(n=1000, classes=40)
    assert page.text.count("With planted labels (") == context.MAX_PANELS
    assert "The 12 classes with most to find are shown." in page.text
    assert "Most frequent confusions on the test split" in page.text


# --- that it is safe and stands alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"hostile": True}, {"calibrated": False}, {"classes": 20, "n": 400}])
def test_page_loads_nothing_and_runs_one_known_script(arguments):
    page = _page(**arguments)
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
    page = _page(hostile=True)
    tags = {tag for tag, _ in page.tags}
    assert "<script>window.hacked=1</script>" in page.text
    assert page.attributes("img") and all((a["src"] or "").startswith("data:image/") for a in page.attributes("img"))
    assert len(page.scripts) == 2
    assert "b" in tags  # our own; the labels' <b> stays text
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
        assert _Page(html).attributes("img") == []


def test_lone_surrogates_in_file_names_can_be_written(tmp_path):
    result = make_result()
    ranking = result.ranking.astype({"path": object})
    ranking.loc[0, "path"] = "train/\udcff.png"
    path = write_report(dataclasses.replace(result, ranking=ranking), tmp_path)
    assert "\u27e8U+DCFF\u27e9" in path.read_text(encoding="utf-8")


# --- the scripts' data -------------------------------------------------------------------------------------------


def test_data_holds_every_image_once_in_the_rankings_order():
    result = make_result()
    data = _data(_Page(render(result)))
    paths = [data["dirs"][d] + f for d, f in zip(data["dir"], data["file"], strict=True)]
    assert paths == list(result.ranking["path"])
    assert [data["classes"][i] for i in data["label"]] == list(result.ranking["label"])
    assert [data["classes"][i] for i in data["suggested"]] == list(result.ranking["suggested_label"])
    assert data["ranked"] == result.ranking["rank"].notna().sum()
    assert [p / 1e4 for p in data["p"]] == pytest.approx(list(result.ranking["p_mislabelled"]), abs=1e-4)


def test_data_holds_the_hashes():
    result = make_result()
    data = _data(_Page(render(result)))
    width, n = len(data["hashes"]) // len(data["file"]), len(data["file"])
    for row in (0, 17, n - 1):
        packed = data["hashes"][row * width : (row + 1) * width]
        assert (
            base64.b64decode(packed + "=").hex()
            == result.summary["dataset"]["hashes"][result.ranking["path"].iloc[row]]
        )


def test_without_calibration_data_holds_no_probabilities_and_ranks_training_images_alone():
    data = _data(_page(calibrated=False))
    assert data["p"] is None
    assert data["ranked"] == 160 and len(data["file"]) == 200


def test_pictures_stand_in_the_page_or_in_the_data_but_not_in_both():
    result = make_result()
    html = render(result)
    page, data = _Page(html), _data(_Page(html))
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
    result = make_result(n=50_000, classes=10, thumbnails=500, examples=50)
    # photographs of 160x160 pixels, then noise, which no compression makes smaller
    for characters, with_pictures in ((7_000, 500), (27_000, 150)):
        thumbnails = dict.fromkeys(result.evidence["thumbnails"], "data:image/webp;base64," + "A" * characters)
        html = render(dataclasses.replace(result, evidence={**result.evidence, "thumbnails": thumbnails}))
        assert len(html.encode()) < 15_000_000
        pictures = _data(_Page(html))["pictures"]
        assert all(str(row) in pictures for row in range(with_pictures))  # suspects come before all others


def test_a_hundred_further_examples_do_not_take_the_suspects_pictures():
    result = make_result(n=1000, classes=10, thumbnails=500, examples=50)
    heavy = dict.fromkeys(result.evidence["thumbnails"], "data:image/webp;base64," + "A" * 20_000)
    page = _Page(render(dataclasses.replace(result, evidence={**result.evidence, "thumbnails": heavy})))
    pictures = _data(page)["pictures"]
    assert all(str(row) in pictures for row in range(500))
    places = [int(a["data-row"]) for a in page.attributes("span") if "data-row" in a]
    shown = {a["title"] for a in page.attributes("span") if "data-row" in a}
    assert shown == {result.ranking["path"].iloc[row] for row in places} and len(places) > 500


def test_numbers_read_well():
    assert [wording.percent(x) for x in (0, 0.0004, 0.0123, 0.5, 0.994, 0.9999, 1, None)] == [
        "0%",
        "under 0.1%",
        "1.2%",
        "50%",
        "99.4%",
        "over 99.9%",
        "100%",
        "not known",
    ]
    assert wording.number(-0.0000123) == "\N{MINUS SIGN}1.23e\N{MINUS SIGN}5"
    assert wording.number(9.999, 2) == "10" and wording.number(1234.5) == "1,234" and wording.number(None) == "–"


def test_wilson_interval_holds_known_values():
    assert context.wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-4)
    assert context.wilson(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-4)


def test_headline_is_plain_text():
    text = headline(make_result(hostile=True))
    assert text.startswith("About ") and "<" not in text and "&" not in text and "\x1b" not in text
