"""Text is safe for its reader, and a wrong name gets the right hint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.system.text import did_you_mean, display, plain, printable, short, terminal_text

ANY = st.text(st.characters(codec=None), max_size=60)


@pytest.mark.parametrize(
    ("text", "terminal", "line", "page", "path"),
    [
        ("a\nb", "a\nb", "a\\x0ab", "a\u240ab", "a\nb"),
        ("\x1b[31m", "\\x1b[31m", "\\x1b[31m", "\u241b[31m", "\x1b[31m"),
        ("\u202ex", "\\u202ex", "\\u202ex", "\u27e8U+202E\u27e9x", "\u202ex"),
        ("a\udcffb", "a\\udcffb", "a\\udcffb", "a\u27e8U+DCFF\u27e9b", "a\\xffb"),
        ("\ud83d", "\\ud83d", "\\ud83d", "\u27e8U+D83D\u27e9", "\\ud83d"),
        ("k\u00e4se", "k\u00e4se", "k\u00e4se", "k\u00e4se", "k\u00e4se"),
    ],
)
def test_each_reader_gets_its_own_form(text: str, terminal: str, line: str, page: str, path: str) -> None:
    assert (terminal_text(text), plain(text), printable(text), display(text)) == (terminal, line, page, path)


@given(ANY)
def test_nothing_steers_a_terminal_or_breaks_a_line(text: str) -> None:
    assert "\x1b" not in terminal_text(text) + plain(text) + printable(text)
    assert len(plain(text).splitlines()) <= 1 and len(printable(text).splitlines()) <= 1


@given(ANY)
def test_utf8_carries_what_is_shown(text: str) -> None:
    for shown in (terminal_text(text), plain(text), printable(text), display(text)):
        shown.encode("utf-8")


def test_long_text_is_cut_on_a_line() -> None:
    assert plain("x" * 121) == "x" * 117 + "..." and plain("x" * 120) == "x" * 120 and plain("abcdef", 5) == "ab..."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("wieghts", "did you mean 'weights'?"),
        ("f1", "did you mean 'model_f1' or 'f1_drop'?"),
        ("zzz", "known are: weights, model_f1, f1_drop"),
        ("z", "known are: weights, model_f1, f1_drop"),
    ],
)
def test_an_unknown_name_gets_the_near_ones_or_all(name: str, hint: str) -> None:
    assert did_you_mean(name, ("weights", "model_f1", "f1_drop")) == hint


def test_a_name_in_a_sentence_is_cut_and_can_be_written() -> None:
    assert short("cat") == "cat" and short("\udcff" + "a" * 99) == "\\xff" + "a" * 56
