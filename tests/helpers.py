"""Small things that many tests need."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
FIXTURES = PROJECT / "fixtures"
LONGEST_FIRST = (
    "experiment/test_resume.py",
    "browser/test_readme_round.py",
    "test_demo.py",
    "detection/test_detect.py",
    "browser/test_review_page.py",
    "detection/test_posterior.py",
    "test_hostile_commands.py",
    "influence/test_cluster.py",
    "test_cli.py",
    "detection/test_findings.py",
    "browser/test_serve.py",
    "test_pytest_plugin.py",
    "pipeline/test_stages.py",
    "browser/test_accessibility.py",
    "detection/test_label_model.py",
    "browser/test_review_faults.py",
    "data/test_fresh.py",
    "pipeline/test_looking.py",
    "report/test_payload.py",
    "system/test_environment.py",
    "sources/test_hostile_audit.py",
    "gate/test_rules_configuration.py",
    "system/test_checkpoint.py",
    "test_result.py",
    "test_security.py",
    "gate/test_audit_and_gate.py",
)
"""The files that take longest, in their order. A file is one worker's: begun last, it would keep the others waiting."""
TINY_FEATURES = 64
TINY_LAYERED = 16 + 16 + TINY_FEATURES

NO_PYDVL = "pyDVL is not installed; `auditor doctor` says how to add it"
needs_pydvl = pytest.mark.skipif(importlib.util.find_spec("pydvl") is None, reason=NO_PYDVL)
"""For a test of an engine of pyDVL's, of a cluster, or of a matrix on disk."""


def other_device() -> str:
    """The GPU, where there is one to hold against the processor; else the test is skipped."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return "cuda"


def small_audit(source: str | Path, out: str | Path, *more: str) -> list[str]:
    """The words of a command that audits a small data set in a few seconds."""
    fixed = ["--weights", "none", "--train", "head", "--repeats", "1", "--epochs", "20"]
    shown = ["--examples", "1", "--thumbnails", "4", "--quiet"]
    return ["audit", str(source), "-o", str(out), *fixed, *shown, *more]


def few_images(folder: str | Path) -> Path:
    """A small data set in a folder: twelve images of each of two classes."""
    for label in ("3", "8"):
        (Path(folder) / label).mkdir(parents=True, exist_ok=True)
        for path in sorted((FIXTURES / "digits" / "train" / label).iterdir())[:12]:
            shutil.copy(path, Path(folder) / label)
    return Path(folder)


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


_SECONDS = {
    "audit.json": rb'(?<=\n "stages": ){[^{}]*}',
    "report.html": rb'(?<=<h4>Seconds per stage</h4>)<dl class="facts">.*?</dl>',
}
"""Where the files of an audit tell how long its stages took: all that may differ between two audits of equal bytes."""


def untimed(name: str, data: bytes) -> bytes:
    """The bytes of an audit's file without the seconds that its stages took, which must be there."""
    if name not in _SECONDS:
        return data
    rest, found = re.subn(_SECONDS[name], b"", data, flags=re.DOTALL)
    assert found == 1, f"{name} tells no seconds, or tells them {found} times"
    return rest


def tiny_network(n_classes: int, seed: int) -> Any:
    """A network with the parts of a ResNet18 that an audit touches, a thousandth of its work."""
    import torch
    from torch import nn

    def layer(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.ReLU())

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
            self.bn1, self.relu, self.maxpool, self.layer1 = nn.BatchNorm2d(16), nn.ReLU(), nn.Identity(), nn.Identity()
            self.layer2, self.layer3, self.layer4 = layer(16, 16), layer(16, 16), layer(16, TINY_FEATURES)
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(TINY_FEATURES, n_classes)

        def forward(self, x: torch.Tensor) -> Any:
            x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
            return self.fc(self.avgpool(self.layer4(self.layer3(self.layer2(x)))).flatten(1))

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny().eval()


def tiny_backbone(network: Callable[[int, int], Any] = tiny_network) -> Any:
    """`tiny_network` under the name of ResNet18. Weights of any shape are taken for it, and left aside."""
    from auditor.model.resnet import ResNet18

    class Tiny(ResNet18):
        n_features, n_layered = TINY_FEATURES, TINY_LAYERED

        def build(self, weights: Any, n_classes: int, image_size: int, seed: int) -> Any:
            return network(n_classes, seed)

    return Tiny()


def use_tiny_network(patch: pytest.MonkeyPatch, kind: Any = None) -> None:
    """Audits take `tiny_backbone`, or `kind`, for their default backbone. Everything else stays as it is."""
    from auditor.model import registry

    patch.setitem(registry.OWN, "resnet18", kind or tiny_backbone())


def use_light_machine(patch: pytest.MonkeyPatch) -> None:
    """What costs a machine time and no test looks at is done once, or not at all.

    Files are not pressed to the disk, for no test cuts the power. A package's version is looked up once. An audit does
    not look for circles in memory: in a worker that holds thousands of tests that took seconds, eleven times an audit.
    """
    from auditor.system import memory

    patch.setattr(os, "fsync", os.fstat)
    patch.setattr(importlib.metadata, "version", functools.cache(importlib.metadata.version))
    patch.setattr(memory, "MUCH", math.inf)


def use_sketched_figures(patch: pytest.MonkeyPatch) -> None:
    """Reports of audits have empty figures: matplotlib takes longer for them than a small audit for all else."""
    from markupsafe import Markup

    from auditor.report import plots

    def sketch(draw: Any, label: str, name: str, **size: Any) -> Markup:
        return Markup('<svg class="plot" role="img" aria-label="{}"></svg>').format(label)

    patch.setattr(plots, "_figure", sketch)


def use_figures_once(patch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Reports draw equal figures once; what is drawn is in the result. `plots` itself draws each time."""
    from types import SimpleNamespace

    from auditor.report import context, plots, quality

    drawn: dict[Any, Any] = {}

    def once(draw: Callable[..., Any]) -> Callable[..., Any]:
        def figure(*data: Any, **options: Any) -> Any:
            key = plots._figure, draw, repr(data), repr(options)
            if key not in drawn:
                drawn[key] = draw(*data, **options)
            return drawn[key]

        return figure

    kinds = ("recovery_curve", "loss_curves", "damping_choice")
    memory = SimpleNamespace(**{kind: once(getattr(plots, kind)) for kind in kinds})
    for module in (context, quality):
        patch.setattr(module, "plots", memory)
    return drawn


def use_hasty_detection(patch: pytest.MonkeyPatch) -> None:
    """Every step of detection once and hardly converged, in a third of the time: what matters here is that it ends."""
    from auditor.detection import DetectionSettings, grid, label_model, views
    from auditor.experiment import recovery

    hasty = {
        "plantings": 1,
        "kinds": ("uniform",),
        "dampings": (1.0, 10.0),
        "folds": 2,
        "influence_folds": 2,
        "splits": 1,
    }
    defaults = tuple(hasty.get(field.name, field.default) for field in dataclasses.fields(DetectionSettings))
    patch.setattr(DetectionSettings.__init__, "__defaults__", defaults)
    for owner, name, value in (
        (label_model, "ITERATIONS", 5),
        (views, "STACK_ITERATIONS", 5),
        (recovery, "RESAMPLES", 20),
    ):
        patch.setattr(owner, name, value)
    patch.setattr(grid, "SHARPNESS", (1.0, 1.6, 3.4))
    patch.setattr(grid, "SHARES", grid.SHARES[::4])
