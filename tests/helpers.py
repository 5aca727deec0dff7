"""Small things that many tests need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
FIXTURES = PROJECT / "fixtures"
TINY_FEATURES = 64


def small_audit(source: str | Path, out: str | Path, *more: str) -> list[str]:
    """The words of a command that audits a small data set in a few seconds."""
    fixed = ["--weights", "none", "--train", "head", "--repeats", "1", "--epochs", "20"]
    shown = ["--examples", "1", "--thumbnails", "20", "--quiet"]
    return ["audit", str(source), "-o", str(out), *fixed, *shown, *more]


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def tiny_network(n_classes: int, seed: int) -> Any:
    """A network of 64 features with the parts of a ResNet that an audit touches, a thousandth of its work."""
    import torch
    from torch import nn

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            self.avgpool = nn.AdaptiveAvgPool2d(2)
            self.fc = nn.Linear(TINY_FEATURES, n_classes)

        def forward(self, x: torch.Tensor) -> Any:
            return self.fc(self.avgpool(torch.relu(self.bn1(self.conv1(x)))).flatten(1))

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny().eval()


def use_tiny_network(patch: pytest.MonkeyPatch) -> None:
    """Audits inside take `tiny_network` for a backbone; everything else is as it is."""
    from auditor import features, model

    patch.setattr(model, "build_network", lambda weights, n_classes, size, seed: tiny_network(n_classes, seed))
    patch.setattr(features.FeatureCache.__init__, "__defaults__", (TINY_FEATURES,))
