"""Histograms: bars have their areas, ticks their digits, and no name of a class can leave its place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from auditor.report.histogram import Series, histogram

HOSTILE = "</svg><script>window.hacked=1</script>\"' $x^2$ & <b>"
GROUPS = [Series([1, 2], "clean"), Series([3, 0], "wrong"), Series([1, 1], "muted", outline=True)]


def _parse(svg: str) -> ET.Element:
    return ET.fromstring(str(svg))


def _styles(svg: str) -> list[dict[str, str]]:
    paths = _parse(svg).iter("path")
    return [dict(part.strip().split(": ", 1) for part in path.get("style", "").split(";")) for path in paths]


def test_it_is_xml_in_page_colours_with_a_name_and_equal_bytes():
    svg = histogram([0.0, 0.5, 1.0], GROUPS, HOSTILE, of=HOSTILE)
    assert svg == histogram([0.0, 0.5, 1.0], GROUPS, HOSTILE, of=HOSTILE)
    root = _parse(svg)
    assert root.get("role") == "img" and root.get("aria-label") == HOSTILE
    assert HOSTILE in [text.text for text in root.iter("text")]
    assert "<script" not in svg and svg.count("</svg>") == 1
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", svg)
    assert {"var(--clean)", "var(--wrong)", "var(--muted)"} <= {style.get("stroke") for style in _styles(svg)}


def test_no_two_lines_differ_in_colour_alone():
    lines = [style for style in _styles(histogram([0.0, 0.5, 1.0], GROUPS, "x")) if style["fill"] == "none"]
    looks = [(line.get("stroke-dasharray", ""), line.get("stroke-width", "1")) for line in lines]
    assert len(set(looks)) == len(looks) == 4  # three groups and the axis


def test_bars_have_the_areas_of_their_counts():
    svg = histogram([0.0, 1.0, 2.0], [Series([1, 3], "clean")], "x")
    outline = next(p for p in _parse(svg).iter("path") if "stroke: var(--clean)" in p.get("style", ""))
    points = np.array(re.findall(r"[-\d.]+", outline.get("d", "")), dtype=float).reshape(-1, 2)
    base, levels = points[0, 1], sorted(set(points[:, 1]))
    assert (base - levels[0]) / (base - levels[1]) == pytest.approx(3, rel=0.01)
    assert len(set(points[:, 0])) == 3 and np.ptp(np.diff(sorted(set(points[:, 0])))) < 0.02


def test_ticks_keep_their_digits_and_zero_has_a_line():
    svg = histogram([-0.005, 0.0, 0.005], [Series([1, 3], "clean")], "x")
    texts = [t.text for t in _parse(svg).iter("text")]
    assert len(set(texts)) == len(texts)
    assert "\N{MINUS SIGN}0.005" in texts or "\N{MINUS SIGN}0.004" in texts
    assert sum(style.get("stroke") == "var(--muted)" for style in _styles(svg)) == 1


@pytest.mark.parametrize("edges", [[0.0, 1.0], [1.0, 1.0], [-1e-300, 1e-300]])
def test_empty_and_narrow_histograms_are_drawn(edges):
    assert _parse(histogram(edges, [Series([0], "clean")], "x")) is not None
    assert "nan" not in histogram(edges, [Series([2], "clean")], "x")
