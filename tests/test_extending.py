"""One of each kind from outside: a package with six entry points, one audit and one gate with all of them.

`CONTRIBUTING.md` has a short list for each kind. This package follows them, and no file of auditor changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import FIXTURES

PACKAGE = '''
import numpy as np
from torch import nn

from auditor.detection import Signal
from auditor.engines import EngineKind
from auditor.gate import Levels, Measurement, Rule
from auditor.model import BackboneKind
from auditor.sources.folder import FolderSource


class Parcel:
    """A source: a text file that names the folder where the images lie."""

    name, looks_for = "parcel", "a .parcel file that names a folder"

    def accepts(self, spec):
        return spec.endswith(".parcel")

    def open(self, spec, *, allow_outside=False):
        with open(spec) as file:
            return FolderSource().open(file.read().strip(), allow_outside=allow_outside)


class Tiny(BackboneKind):
    """A backbone: one convolution."""

    name, meaning, n_features, n_layered, classifier = "tiny", "one convolution", 8, 8, "last"

    def network(self, n_classes, image_size, *, pretrained):
        return Net(n_classes)

    def extractor(self, network):
        return Extractor(network)


class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, n_classes)

    def pooled(self, images):
        return self.first(images).relu().mean((2, 3))

    def forward(self, images):
        return self.last(self.pooled(images))


class Extractor(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network.pooled(images)


def open_engine(problem, damping, options):
    """An engine: the closed form under another name, with twice the damping."""
    from auditor.influence import engine

    return engine(problem, "auto", 2 * damping, device=options.device, seed=options.seed)


ENGINE = EngineKind("twice", "the closed form with twice the damping", open_engine)


def surprise(told):
    p = np.exp(told.log_probabilities)
    return p.max(axis=1, keepdims=True) - p


SIGNAL = Signal("surprise", "How far the label lies below the most probable one.", surprise)


def smallest(facts, levels):
    count = min(facts.summary["dataset"]["counts"].values())
    return Measurement(float(count), None, f"the smallest class has {count} images")


RULE = Rule(
    name="smallest_class", title="Smallest class", about="Images in the smallest class.", unit="count", at_most=False,
    levels=Levels(fail=1000.0, warn=2000.0), measure=smallest, advice="Collect images of this class.",
)

name = "telegram"


def render(verdict, result):
    return f"{verdict.verdict} {' '.join(outcome.rule for outcome in verdict.noted)} STOP\\n"
'''

ENTRY_POINTS = """
[auditor.sources]
parcel = parcel_service:Parcel
[auditor.outputs]
telegram = parcel_service
[auditor.rules]
smallest_class = parcel_service:RULE
[auditor.engines]
twice = parcel_service:ENGINE
[auditor.signals]
surprise = parcel_service:SIGNAL
[auditor.backbones]
tiny = parcel_service:Tiny
"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of an audit and a gate with all six, and what the command said."""
    work = tmp_path_factory.mktemp("extending")
    site = work / "site"
    info = site / "parcel_service-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "parcel_service.py").write_text(PACKAGE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parcel-service\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    (work / "digits.parcel").write_text(str(FIXTURES / "digits"), encoding="utf-8")
    words = ["audit", "digits.parcel", "-o", "out", "--weights", "none", "--backbone", "tiny", "--engine", "twice"]
    few = ["--epochs", "2", "--repeats", "1", "--examples", "1", "--thumbnails", "4"]
    gate = ["--gate", "--output", "telegram=telegram.txt", "--output", "json=verdict.json"]
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    done = subprocess.run(
        [sys.executable, "-m", "auditor", *words, *few, *gate],
        cwd=work,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return work, done


def test_an_audit_uses_the_source_the_backbone_the_engine_and_the_signal(
    judged: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    work, done = judged
    summary = json.loads((work / "out" / "audit.json").read_text("utf-8"))
    assert summary["dataset"]["n_images"] == 160 and summary["dataset"]["source"] == "digits.parcel", done.stderr
    assert "digits.parcel" not in summary["dataset"]["root"], "the plug-in opened it"
    assert (summary["model"]["architecture"], summary["model"]["n_features"]) == ("tiny", 8)
    assert summary["settings"]["engine"] == "twice"
    dampings = {row["damping"]: row["score"] for row in summary["damping_choice"]}
    assert summary["influence"]["damping"] / 2 in dampings
    told = {row["name"]: row["meaning"] for row in summary["signals"]}
    assert told["surprise"] == "How far the label lies below the most probable one."


def test_a_gate_uses_the_rule_and_the_output(judged: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    work, done = judged
    assert done.returncode == 1, done.stderr
    verdict = json.loads((work / "verdict.json").read_text("utf-8"))
    rules = {row["rule"]: row for row in verdict["rules"]}
    assert rules["smallest_class"]["verdict"] == "FAIL" and rules["smallest_class"]["measured"] == 80
    told = (work / "telegram.txt").read_text("utf-8")
    assert told.startswith("FAIL ") and "smallest_class" in told and told.endswith("STOP\n")
    page = (work / "out" / "report.html").read_text("utf-8")
    assert "smallest_class" in page and "smallest class has 80 images" in page
