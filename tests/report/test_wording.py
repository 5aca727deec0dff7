"""How values read."""

from __future__ import annotations

import shlex

import pytest

from auditor.report import wording
from auditor.report.wording import command_shown, place


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


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("data/photos", "data/photos"),
        ("../photos", "../photos"),
        ("/home/ada/photos/", ".../photos"),
        ("/home/ada/net.py:make", ".../net.py:make"),
        ("~/photos", ".../photos"),
        ("C:\\Users\\ada\\photos", ".../photos"),
        ("\\\\server\\share\\ada\\photos", ".../photos"),
        ("digits", "digits"),
        ("/", ".../"),
        ("", ""),
    ],
)
def test_of_an_absolute_path_the_last_name_is_told(written, told):
    assert place(written) == told
    assert command_shown(shlex.join(["auditor", "audit", written])) == shlex.join(["auditor", "audit", told])


def test_ends_of_an_interval_of_counts_are_rounded_outward():
    assert [wording.fews(pair) for pair in ((37.4, 68.3), (2.55, 9.91), (0.0, 0.04), (9.98, 1234.2))] == [
        "37 to 69",
        "2.5 to 10",
        "0 to 0.1",
        "9 to 1,235",
    ]
