"""Figures: equal bytes for equal inputs, only the page's colours, no id twice, hostile text escaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from builders import make_result

from auditor.report import plots

RESULT = make_result()
RECOVERY = RESULT.summary["recovery"]["rankings"]
HOSTILE = "</svg><script>window.hacked=1</script>\"' $x^2$ \x1b[31m"


def _figures(label: str = "label") -> list[str]:
    model = RESULT.summary["model"]
    return [
        plots.recovery_curve(RECOVERY, label),
        plots.loss_curves(model["clean"]["loss"], model["corrupted"]["loss"], label),
        plots.damping_choice(RESULT.summary["damping_choice"], 1.0, label),
    ]


def _parse(svg: str) -> ET.Element:
    return ET.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_equal_inputs_give_equal_bytes():
    assert _figures() == _figures()


def test_a_users_matplotlibrc_changes_nothing():
    import matplotlib as mpl

    before = plots.recovery_curve(RECOVERY, "x")
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "text.usetex": True}):
        assert plots.recovery_curve(RECOVERY, "x") == before


@pytest.mark.parametrize("number", range(3))
def test_figures_are_xml_in_page_colours_with_a_name(number):
    svg = _figures("share found")[number]
    root = _parse(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "share found"
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
    assert "var(--clean)" in svg
    assert "<style" not in svg and "<metadata" not in svg


def test_ids_of_different_figures_differ():
    ids = [i for svg in _figures("a") + _figures("b") for i in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("number", range(3))
def test_references_inside_a_figure_resolve(number):
    svg = _figures()[number]
    ids = set(re.findall(r' id="([^"]+)"', svg))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r' href="#([^"]+)"', svg)) <= ids


def test_hostile_names_are_escaped():
    for svg in _figures(HOSTILE):
        assert "<script" not in svg
        assert svg.count("</svg>") == 1


@pytest.mark.parametrize("number", range(2))
def test_no_two_lines_differ_in_colour_alone(number):
    svg = _figures()[number]
    looks: dict[str, set[tuple[str, ...]]] = {}
    for path in _parse(svg).iter("{http://www.w3.org/2000/svg}path"):
        style = dict(part.strip().split(": ", 1) for part in path.get("style", "").split(";") if ": " in part)
        if style.get("fill") == "none" and style.get("stroke") in ("var(--clean)", "var(--wrong)", "var(--muted)"):
            look = (style.get("stroke-dasharray", ""), style.get("stroke-width", "1"))
            looks.setdefault(style["stroke"], set()).add(look)
    assert len(looks) == (2 if number else 3)
    together = [look for group in looks.values() for look in group]
    assert len(set(together)) == len(together)


def test_recovery_curve_copes_without_suspicion():
    svg = plots.recovery_curve({**RECOVERY, "suspicion": None}, "x")
    assert "var(--wrong)" not in svg and "var(--clean)" in svg
