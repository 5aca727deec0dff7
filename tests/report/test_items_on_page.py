"""Texts, rows and plain ids on the page and in every output: shown as pictures are, and called what they are."""

from __future__ import annotations

import re

import pytest
from builders import HOSTILE_TEXT, as_kind, make_result
from hypothesis import given
from hypothesis import strategies as st
from report_page import Page, data_of

from auditor.gate import GateRequest, outputs, prepare
from auditor.gate.init_config import init_file
from auditor.report import render
from auditor.report.pictures import GLANCE
from auditor.result import AuditResult
from auditor.result.nouns import noun_of
from auditor.review.compare import compare
from auditor.sources.base import KINDS
from auditor.system.text import printable, readable

OTHERS = [kind for kind in KINDS if kind != "image"]
_PICTURED = re.compile(r"\b(images?|pictures?|photos?)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def of_kind():
    """Results whose items are hostile, with duplicates and a wrong share that fails the gate, by kind."""
    made = make_result(n=120, classes=("ant", "bee", "cat"), share_wrong=0.3)
    pairs = zip(made.ranking["path"], ("train", "test"), strict=False)
    entries = [{"path": path, "label": "ant", "split": split} for path, split in pairs]
    groups = [{"hash": "0" * 64, "entries": entries}]
    copies = {"conflicting": groups, "leaking": groups, "n_conflicting": 1, "n_leaking": 1}
    dataset = {**made.summary["dataset"], "name": "the data", "source": "data.csv", "duplicates": copies}
    made = AuditResult(
        {**made.summary, "dataset": dataset, "command": "auditor audit data.csv"},
        made.ranking,
        made.planted,
        made.evidence,
    )
    return {kind: made if kind == "image" else as_kind(made, kind, hostile=True) for kind in KINDS}


def _said(text):
    """A text without the names of keys and formats that programs read."""
    return _PICTURED.findall(re.sub(r"n_images|image_size|labelledImage|no-picture|rv-picture|data-picture", "", text))


@pytest.mark.parametrize("kind", OTHERS)
def test_no_sentence_speaks_of_images_where_there_are_none(of_kind, kind):
    result = of_kind[kind]
    judged = prepare(GateRequest(outputs=())).judge(result)
    assert str(judged.verdict.verdict) == "FAIL"
    for name in outputs.OWN:
        assert _said(outputs.get(name).render(judged.verdict, result)) == [], name
    assert _said(judged.shown) == [] and _said(init_file(result)) == []
    page = Page(render(result, judged.verdict.to_document(), compare(result, result)))
    assert _said(page.text) == []
    labels = [
        value for tag, attrs in page.tags for name in ("aria-label", "alt", "title") if (value := attrs.get(name))
    ]
    assert _said(" ".join(labels)) == []
    noun = noun_of(kind)
    assert f"identical {noun.many}" in judged.shown and noun.count(120) in page.text


def test_an_audit_of_images_keeps_its_words(of_kind):
    noun = noun_of("image")
    assert noun.of("An image, its pictures and 'image'.") == "An image, its pictures and 'image'."
    judged = prepare(GateRequest(outputs=())).judge(of_kind["image"])
    assert "Groups of identical images" in judged.shown or "group of identical images" in judged.shown
    assert "| image | label | looks like | probability |" in outputs.get("markdown").render(
        judged.verdict, of_kind["image"]
    )


@pytest.mark.parametrize(
    ("said", "of_texts"),
    [
        ("An image's label: 3 images of class 'my image'.", "A text's label: 3 texts of class 'my image'."),
        (
            "Identical image files; see `image` and 'it's an image'.",
            "Identical texts; see `image` and 'it's an image'.",
        ),
        ("images/01.png and a picture.png are no image", "images/01.png and a picture.png are no text"),
        ("a smaller --image-size", "a smaller --image-size"),
    ],
)
def test_a_sentence_learns_the_word_and_names_stay(said, of_texts):
    assert noun_of("text").of(said) == of_texts
    assert noun_of("image").of(said) == said
    assert noun_of("a kind of a later version").many == "items"


@given(st.text())
def test_a_quoted_name_never_changes(name):
    name = name.replace("'", "").replace("`", "")
    for kind in OTHERS:
        noun = noun_of(kind)
        assert noun.of(f"an image of class '{name}' here") == f"{noun.a} of class '{name}' here"


def test_texts_stand_where_pictures_stood(of_kind):
    page, pictured = Page(render(of_kind["text"])), Page(render(of_kind["image"]))
    boxes = [attrs for tag, attrs in page.tags if attrs.get("class") == "excerpt"]
    assert len(boxes) == len(pictured.attributes("img")) + sum("data-row" in a for a in pictured.attributes("span"))
    assert {attrs["dir"] for attrs in boxes} == {"auto"} and not page.attributes("img")
    assert "no picture" not in page.text
    data = data_of(page)
    assert data["noun"] == {"kind": "text", "a": "a text", "one": "text", "many": "texts"}
    paths = [str(path) for path in of_kind["text"].ranking["path"]]
    said = of_kind["text"].evidence["excerpts"]
    assert {paths[int(row)]: text for row, text in data["excerpts"].items()} == {p: said[p] for p in paths if p in said}
    assert data["pictures"] == {}


@pytest.mark.parametrize("kind", ["text", "table"])
def test_hostile_texts_are_shown_and_never_run(of_kind, kind):
    html = render(of_kind[kind])
    page = Page(html)
    assert "onerror=window.hacked=1" in page.text, "it is readable"
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert [attrs.get("type") for attrs, _ in page.scripts] == ["application/json", None]
    markup = html[: html.index('<script type="application/json"')]
    assert not set(markup) & {"\x1b", "\x07", "\u202e", "\u2066"}
    assert "⟨U+202E⟩gnp.exe" in page.text or kind == "table"


def test_cells_are_pairs_and_long_texts_are_cut_in_the_markup_alone(of_kind):
    page = Page(render(of_kind["table"]))
    assert {"dl", "dt", "dd"} <= {tag for tag, _ in page.tags} and "mean radius" in page.text
    texts = [t for t in Page(render(of_kind["text"])).texts if t.endswith("…") and len(t) > 200]
    assert texts and max(map(len, texts)) <= GLANCE + 1
    assert max(map(len, data_of(Page(render(of_kind["text"])))["excerpts"].values())) == 2001


def test_plain_ids_have_their_names_and_a_picture_where_there_is_one(of_kind):
    result = of_kind["features"]
    page = Page(render(result))
    names = [attrs for tag, attrs in page.tags if attrs.get("class") == "item-name"]
    assert names and not page.attributes("img")
    shown = of_kind["image"].evidence["thumbnails"]
    pictured = AuditResult(result.summary, result.ranking, result.planted, {**result.evidence, "thumbnails": shown})
    assert Page(render(pictured)).attributes("img")


def test_equal_texts_give_equal_bytes_and_what_is_no_text_is_left_out(of_kind):
    result = of_kind["text"]
    assert render(result) == render(result)
    broken = dict(zip(result.evidence["excerpts"], (None, 7, ["x"], {}, "  "), strict=False))
    changed = AuditResult(result.summary, result.ranking, result.planted, {**result.evidence, "excerpts": broken})
    assert Page(render(changed)).attributes("p")


@given(st.text())
def test_readable_text_keeps_its_lines_and_hides_nothing(text):
    shown = readable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert shown.count("\n") == text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    assert readable(shown) == shown
    if printable(text) == text:
        assert shown == text


def test_readable_text_leaves_writing_alone():
    for text in (
        "\u200f\u0634\u0643\u0631\u0627 \u0600\u0661",
        "a\u200cb",
        "\U0001f469\u200d\U0001f467",
        "co\u00adop\tx\ny",
    ):
        assert readable(text) == text
    assert readable(HOSTILE_TEXT).count("⟨U+") == 4


@pytest.mark.parametrize("architecture", ["resnet18", "features", "features and probabilities"])
def test_a_reference_is_not_advised_where_it_would_be_refused(architecture):
    made = make_result(n=60, calibrated=False)
    model = {**made.summary["model"], "architecture": architecture}
    page = Page(render(AuditResult({**made.summary, "model": model}, made.ranking, made.planted, made.evidence)))
    assert ("-o OUT --reference DIR" in page.text) == (architecture == "resnet18")
