"""Classes of which all images are black: what the command leaves out, and what it says."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import FIXTURES, small_audit
from PIL import Image

if TYPE_CHECKING:
    from click.testing import Result

pytestmark = pytest.mark.usefixtures("tiny")

SHOWN = 16
"""Digits a class."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of digits, and two that are black but for one digit."""
    data = tmp_path / "photos"
    for digit in ("3", "8"):
        files = sorted((FIXTURES / "digits" / "train" / digit).glob("*.png"))
        for label, chosen in ((digit, files[:SHOWN]), (f"night {digit}", files[SHOWN : SHOWN + 1])):
            (data / label).mkdir(parents=True)
            for path in chosen:
                shutil.copy(path, data / label)
        for i in range(9):
            Image.new("RGB", (8, 8), (2, 2, i % 3)).save(data / f"night {digit}" / f"{i}.png")
    return data


@pytest.mark.parametrize("train", ["head", "full"])
def test_classes_that_nobody_can_tell_apart_are_left_out_counted_and_named(
    photos: Path, tmp_path: Path, run_cli: Callable[..., Result], train: str
) -> None:
    out = tmp_path / "out"
    words = small_audit(photos, out, "--train", train, "--epochs", "2", "--image-size", "8")
    done = run_cli(*(word for word in words if word != "--quiet"))
    assert done.exit_code == 0, done.stderr
    said = "18 of 52 images show nothing"
    named = "The classes 'night 3', 'night 8' were left out"
    assert said in done.stderr and named in done.stderr
    summary = json.loads((out / "audit.json").read_text())
    assert summary["dataset"]["classes"] == ["3", "8"] and summary["dataset"]["n_images"] == 2 * SHOWN
    reasons = [entry["reason"] for entry in summary["dataset"]["skipped"]]
    assert reasons.count("shows nothing: it has one colour, or nearly") == 18
    assert reasons.count("nearly all images of its class show nothing") == 2 and len(reasons) == 20
    assert any(note.startswith(said) for note in summary["notes"])
    with (out / "ranking.csv").open(newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"3", "8"}
    assert named in (out / "report.html").read_text().replace("&#39;", "'")
    fresh = run_cli("gate", out, "--strict-fresh")
    assert fresh.exit_code in (0, 1, 3) and "older than its data set" not in fresh.stderr, fresh.stderr


def test_where_all_is_black_the_audit_says_that_it_cannot_tell(
    photos: Path, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    for digit in ("3", "8"):
        shutil.rmtree(photos / digit)
    done = run_cli(*small_audit(photos, tmp_path / "out"))
    assert done.exit_code == 3, done.stderr
    assert "18 of 20 images of photos show nothing" in done.stderr and "check how the images were made" in done.stderr
    assert not (tmp_path / "out" / "audit.json").exists()
