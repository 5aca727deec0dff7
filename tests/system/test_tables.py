"""CSV cells survive a round trip and start no formula."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.system.tables import csv_bytes, escape_cell, is_formula, read_csv, unescape_cell

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBERS = ("-1", "+1", "-0.5", "+1,5", "-1e-3", "-5%", "+", "-", "-.5", "+1.000,5")
SIGNED = re.compile("[+\\-\uff0b\uff0d][0-9.,]*([0-9][eE][+-]?[0-9]+)?%?", re.ASCII)
INNOCENT = ("'tis", "'s-Hertogenbosch", "'", "''", "a=b", "1-2", " -1", *NUMBERS)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
# Text that happens to begin like a formula is too rare to be met by chance.
CELL = st.builds("{}{}".format, st.sampled_from(["", "'", *FORMULA]), TEXT)


@given(CELL)
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape_cell(str(escape_cell(text))) == text


@given(CELL)
def test_an_escaped_cell_starts_no_formula(text: str) -> None:
    escaped = str(escape_cell(text))
    assert not escaped.startswith(FORMULA) or escaped in NUMBERS or SIGNED.fullmatch(escaped)
    assert not is_formula(escaped)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_no_spreadsheet_runs_stays_as_it_is(text: str) -> None:
    assert escape_cell(text) == text and unescape_cell(text) == text


FORMULAS = (
    *("=1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-cmd", "-1+1", "-A1", "-e5", "+1(2)", "\t=1", "\r-1", "\n=1", "-1 "),
    *("--1", "\uff1dHYPERLINK(1)", "-1|cmd", "+'x'!A1", "-1\n=2", "-\u0661"),
)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_could_run_is_escaped_and_comes_back(text: str) -> None:
    assert escape_cell(text) == "'" + text
    assert unescape_cell("'" + text) == text
    assert unescape_cell(str(escape_cell("'" + text))) == "'" + text


def test_numbers_that_older_results_escaped_are_read() -> None:
    assert [unescape_cell("'" + text) for text in NUMBERS] == list(NUMBERS)


def test_escape_leaves_what_is_not_text() -> None:
    assert escape_cell(-3.5) == -3.5
    assert escape_cell(None) is None


@given(st.lists(st.tuples(CELL, st.floats(-1e6, 1e6)), min_size=1, max_size=8))
def test_csv_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame({"name": [r[0] for r in rows], "value": [r[1] for r in rows]})
    path.write_bytes(csv_bytes(frame))
    again = read_csv(path, ["name"])
    assert again["name"].tolist() == frame["name"].tolist()
    assert again["value"].tolist() == pytest.approx(frame["value"].tolist(), rel=1e-9, abs=1e-12)


def test_csv_round_trip_of_line_ends_inside_cells(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a\rb", "a\nb", "a\r\nb", "end\r\n", "\r", "plain"], "value": range(6)})
    (tmp_path / "a.csv").write_bytes(csv_bytes(frame))
    assert read_csv(tmp_path / "a.csv", ["name"])["name"].tolist() == frame["name"].tolist()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 7
    assert (tmp_path / "a.csv").read_bytes().endswith(b"\nplain,5\n")


def test_csv_keeps_text_that_looks_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["NA", "null", "nan", "", "None", "007", "1e5"]})
    (tmp_path / "a.csv").write_bytes(csv_bytes(frame))
    assert read_csv(tmp_path / "a.csv", ["name"])["name"].tolist() == frame["name"].tolist()


def test_equal_frames_give_equal_bytes_with_unix_line_ends(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1 / 3, 2.0], "b": ["x", "=1"]})
    (tmp_path / "a.csv").write_bytes(csv_bytes(frame))
    (tmp_path / "b.csv").write_bytes(csv_bytes(frame))
    data = (tmp_path / "a.csv").read_bytes()
    assert data == (tmp_path / "b.csv").read_bytes()
    assert b"\r" not in data and data.endswith(b"\n")
