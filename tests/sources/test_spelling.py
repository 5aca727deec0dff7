"""One name under several spellings: what is merged, what is said, and what stays as it is."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hostile import png
from hypothesis import given
from hypothesis import strategies as st

from auditor.sources import open_source
from auditor.sources.spelling import merged, resolve, same

NFC, NFD = (unicodedata.normalize(form, "fa\u00e7ade") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("labels", "renamed"),
    [
        (["disc", "disc ", " disc"], {"disc ": "disc", " disc": "disc"}),
        (["disc\u00a0", "disc"], {"disc\u00a0": "disc"}),
        ([NFC, NFD, NFD], {NFD: NFC}),
        ([" b", "b ", "b "], {" b": "b "}),
        (["1", "1.0", "0"], {"1.0": "1"}),
        (["1.0", "1.0", "1", "-0"], {"1.0": "1"}),
        (["true", "True", "True", "False"], {"true": "True"}),
        (["1", "1.0", "1.1"], {}),
        (["1.0", "0.0"], {}),
        (["true", "True", "maybe"], {}),
        (["Cat", "cat"], {}),
        (["-1", "+1", "1"], {}),
    ],
)
def test_only_what_is_surely_one_name_is_merged(labels: list[str], renamed: dict[str, str]) -> None:
    found, notes = merged(labels)
    assert found == renamed
    assert any("read as one class" in note for note in notes) == bool(renamed)


@pytest.mark.parametrize(
    "labels",
    [
        ("Cat", "cat"),
        ("hot dog", "hot_dog", "Hot-Dog", "hotdog"),
        ("\uff43\uff41\uff54", "cat"),
        ("cat.", "cat"),
        ("cat", "c\u200bat"),
        ("\ufeffcat", "cat"),
        ("stra\u00dfe", "STRASSE"),
        ("class_1", "class 1", "Class-1"),
        ("a  b", "a b"),
        ("true", "True", "maybe"),
        ("s\u0441or", "scor"),
        ("\u0421at", "cat"),
        ("\u039a\u039f\u03a4", "KOT"),
        ("'cat'", "cat"),
        ("\u201ccat\u201d", "cat"),
        ('"cat', "cat"),
        ("fa\u00c3\u00a7ade", NFC),
        ("R&amp;D", "R&D"),
    ],
)
def test_names_that_look_alike_are_named_and_kept_apart(labels: tuple[str, ...]) -> None:
    renamed, notes = merged(labels)
    assert renamed == {}
    assert len(notes) == 1 and "differ only in case, blanks, signs or Unicode form" in notes[0]
    assert "different classes" in notes[0]


@pytest.mark.parametrize(
    "labels",
    [
        *(("C", "C++", "C#"), ("-1", "+1", "1"), ("1.5", "15"), ("1", "10"), ("+", "-"), ("cat", "cats")),
        *(("5'", '5"'), ("cats'", "cats"), ("\u043a\u043e\u0442", "cat"), ("\u03b1", "\u03b2"), ("'", '"')),
        ("\u0434\u043e\u043c", "\u0434\u044b\u043c"),
    ],
)
def test_different_names_are_not_mentioned(labels: tuple[str, ...]) -> None:
    assert merged(labels) == ({}, ())


def test_a_letter_that_only_looks_latin_is_named() -> None:
    _, (note,) = merged(["s\u0441or", "scor"])
    assert "CYRILLIC SMALL LETTER ES" in note


@pytest.mark.parametrize("word", ["nan", "None", "<NA>", "NULL"])
def test_a_class_with_the_name_of_a_missing_value_stays_and_is_named(word: str) -> None:
    renamed, (note,) = merged(["cat", word, word])
    assert renamed == {} and f"'{word}' (2)" in note and "counts as a class" in note


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=12))
def test_merging_joins_equal_forms_and_nothing_else(labels: list[str]) -> None:
    renamed, _ = merged(labels)
    assert all(old in labels and new in labels and old != new for old, new in renamed.items())
    assert not set(renamed) & set(renamed.values())
    if not any(label.strip()[:1] in "+-0123456789tTfF" for label in labels):
        assert all(same(old) == same(new) for old, new in renamed.items())
        assert len({renamed.get(label, label) for label in labels}) == len({same(label) for label in labels})
    assert merged(labels[::-1]) == merged(labels)


def test_a_wanted_class_is_found_in_another_form() -> None:
    assert resolve(NFC, ["b", NFD]) == NFD
    assert resolve("b ", ["b", NFD]) == "b"
    assert resolve("B", ["b"]) == "B"


def test_split_folders_that_spell_a_class_in_two_ways(tmp_path: Path) -> None:
    for number, folder in enumerate(("train/Cat", "train/dog", f"train/{NFD}", "test/cat", "test/dog", f"test/{NFC}")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.png").write_bytes(png(number))
    table = open_source(str(tmp_path))
    assert set(table.frame["label"]) == {"Cat", "cat", "dog", NFC}
    assert len(table.notes) == 2
    assert "'Cat' (1) and 'cat' (1)" in table.notes[1]
    assert table.read(f"train/{NFD}/1.png") == png(2)
