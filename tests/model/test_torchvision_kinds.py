"""Every network of torchvision: its features, its size, its weights, and an audit with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers import few_images
from torchvision_names import NAMES

from auditor.errors import ConfigError, WeightsError
from auditor.model import Weights, backbone_kind, backbone_names
from auditor.model.resnet import ResNet18
from auditor.model.torchvision_kinds import TorchvisionKind
from auditor.model.weights import load_weights

pytestmark = pytest.mark.usefixtures("hasty")

NONE = Weights("none", None, "")


def test_every_name_is_offered_and_resnet18_stays_ours() -> None:
    assert set(NAMES) <= set(backbone_names())
    assert isinstance(backbone_kind("resnet18"), ResNet18)


def test_the_features_found_in_a_resnet18_are_those_that_were_chosen_by_hand() -> None:
    kind = TorchvisionKind("resnet18")
    assert (kind.classifier, kind.taps.stages, kind.n_features) == ("fc", (("layer2", 128), ("layer3", 256)), 512)
    ours = ResNet18()
    network = ours.build(NONE, 2, 64, seed=0)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found, expected = kind.extractor(network)(images), ours.extractor(network)(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "taps"), NAMES.items())
def test_features_of_a_network(name: str, taps: tuple[str, tuple[tuple[str, int], ...], int]) -> None:
    kind = TorchvisionKind(name)
    assert (kind.classifier, kind.taps.stages, kind.n_features) == taps
    assert kind.published is not None and len(kind.published.sha256) >= 8
    network = kind.build(NONE, 3, kind.edge, seed=0)
    with torch.no_grad():
        features = kind.extractor(network)(torch.rand(2, 3, kind.edge, kind.edge))
        logits = network(torch.rand(2, 3, kind.edge, kind.edge))
    assert features.shape == (2, kind.n_layered) and logits.shape == (2, 3)


def test_a_size_that_a_network_cannot_read_is_refused() -> None:
    kind = TorchvisionKind("vit_b_16")
    assert kind.image_size("auto", torch.tensor([32]).numpy(), NONE) == 224
    with pytest.raises(ConfigError, match="cannot read images of 100 x 100 pixels"):
        kind.image_size("100", torch.tensor([32]).numpy(), NONE)
    assert TorchvisionKind("mobilenet_v3_small").image_size("96", torch.tensor([32]).numpy(), NONE) == 96


def test_a_weights_file_of_a_network_is_read_and_another_network_s_is_not(tmp_path: Path) -> None:
    kind = backbone_kind("mobilenet_v3_small")
    network = kind.build(NONE, 5, 64, seed=3)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    weights = load_weights(str(tmp_path / "own.pth"), kind)
    again = kind.build(weights, 2, 64, seed=0)
    torch.testing.assert_close(again.get_parameter("features.0.0.weight"), network.get_parameter("features.0.0.weight"))
    torch.save(ResNet18().build(NONE, 2, 64, 0).state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not a mobilenet_v3_small"):
        kind.build(load_weights(str(tmp_path / "other.pth"), kind), 2, 64, seed=0)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="resnet50"):
        backbone_kind("resnet5O")


SIZES = {"mobilenet_v3_small": 64, "resnet50": 64, "convnext_tiny": 64, "swin_t": 64, "vit_b_16": 32}


@pytest.mark.parametrize(
    "name", [name if name == "mobilenet_v3_small" else pytest.param(name, marks=pytest.mark.slow) for name in SIZES]
)
def test_a_whole_audit_with_a_network(tmp_path: Path, name: str, run_cli: Callable[..., Result]) -> None:
    words: list[Any] = ["audit", few_images(tmp_path / "data"), "-o", tmp_path / "out", "--backbone", name]
    fixed = ["--weights", "none", "--repeats", "1", "--epochs", "2", "--examples", "1", "--quiet"]
    done = run_cli(*words, *fixed, "--image-size", SIZES[name])
    assert done.exit_code == 0, done.stderr
    model = json.loads((tmp_path / "out" / "audit.json").read_text())["model"]
    assert (model["architecture"], model["image_size"]) == (name, SIZES[name])
    assert model["n_features"] == NAMES[name][2] if name in NAMES else model["n_features"] == 768
    assert name in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
