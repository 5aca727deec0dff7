"""CleanVision's figures, joined to an audit by a package of its own. CleanVision itself is asked where it is there."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import PROJECT
from PIL import Image

import auditor
from auditor.oddities import register_kind

SCRIPT = PROJECT / "integrations" / "cleanvision" / "auditor_cleanvision.py"


def test_what_cleanvision_flags_stands_in_the_files_of_an_audit(tmp_path: Path) -> None:
    pytest.importorskip("cleanvision")
    rng = np.random.default_rng(0)
    for name, mean in (("day", 170), ("night", 90)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.normal(mean, 45, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.png")
    Image.fromarray(rng.integers(0, 25, (32, 32, 3)).astype(np.uint8)).save(tmp_path / "photos" / "day" / "00.png")
    settings = {"weights": "none", "epochs": 2, "repeats": 1, "examples": 0, "thumbnails": 2, "image_size": 16}
    with register_kind(runpy.run_path(str(SCRIPT))["KIND"]):
        result = auditor.audit(tmp_path / "photos", cache=str(tmp_path / "cache"), quiet=True, **settings)
        result.save(tmp_path / "out")
    told = next(one for one in result.summary["oddities"] if one["name"] == "cleanvision")
    assert told["outcome"] == "told" and "CleanVision flags" in told["summary"]
    ranking = pd.read_csv(tmp_path / "out" / "ranking.csv", keep_default_na=False)
    said = ranking.set_index("path")["cleanvision"]
    assert "dark 0." in said["day/00.png"] and list(ranking.columns)[-1] == "cleanvision"
    assert told["items"][0]["path"] == "day/00.png"


def test_its_names_are_those_of_cleanvision_and_its_entry_point_is_its_kind() -> None:
    """What needs no CleanVision: the kind is usable, and the package names it."""
    module = runpy.run_path(str(SCRIPT))
    with register_kind(module["KIND"]):
        assert module["KIND"] in auditor.oddities.all_kinds()
    package = (SCRIPT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert 'cleanvision = "auditor_cleanvision:KIND"' in package
