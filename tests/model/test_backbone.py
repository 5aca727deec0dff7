"""A backbone is one class and one registration: what is asked of it, how it is found, and an audit with one of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import FIXTURES
from torch import nn

import auditor
from auditor.config import AuditSettings
from auditor.errors import ConfigError, ExitCode, WeightsError
from auditor.model import (
    BackboneKind,
    Weights,
    backbone_kind,
    backbone_names,
    register_backbone,
    registry,
    remove_backbone,
)
from auditor.model.backbone import Backbone, Transform
from auditor.model.resnet import ResNet18
from auditor.model.weights import load_weights
from auditor.result import AuditResult

pytestmark = pytest.mark.usefixtures("hasty")

NONE = Weights("none", None, "")
SMALL = {"weights": "none", "epochs": 3, "repeats": 1, "examples": 1, "thumbnails": 5}


class Tiny(BackboneKind):
    """Two convolutions: all that another package would write."""

    name = "tiny"
    meaning = "two convolutions and a linear layer, for tests"
    n_features = 12
    n_layered = 8 + 12
    classifier = "last"

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        return _Network(n_classes)

    def extractor(self, network: nn.Module) -> nn.Module:
        return _Extractor(network)


class _Network(nn.Module):
    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.last = nn.Linear(12, n_classes)

    def pooled(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = self.first(images).relu()
        return first.mean((2, 3)), self.second(first).relu().mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.pooled(images)[1])


class _Extractor(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.network.pooled(images), dim=1)


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    kind = Tiny()
    register_backbone(kind)
    yield kind
    remove_backbone("tiny")


@pytest.mark.parametrize("train", ["head", "full"])
def test_an_audit_with_a_registered_backbone(tiny: Tiny, tmp_path: Path, train: str) -> None:
    options = {**SMALL, "train": train, "cache": str(tmp_path / "cache")}
    result = auditor.audit(FIXTURES / "digits", out=tmp_path / "out", backbone="tiny", **options)
    model = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))["model"]
    assert model["architecture"] == "tiny" and model["n_features"] == 12 and model["weights"] == "none"
    n_parameters = 2 * (12 + 1) if train == "head" else sum(p.numel() for p in _Network(2).parameters())
    assert model["n_parameters"] == n_parameters
    assert "--backbone tiny" in result.summary["command"] and result.summary["settings"]["backbone"] == "tiny"
    assert len(result.ranking) > 100 and result.ranking["average_influence"].notna().any()
    again = auditor.audit(FIXTURES / "digits", backbone="tiny", **options)
    assert again.ranking.equals(result.ranking)


def test_its_weights_file_is_read_without_the_classifying_layer(tiny: Tiny, tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = _Network(7).state_dict()
    torch.save(state, tmp_path / "w.pth")
    loaded = load_weights(str(tmp_path / "w.pth"), tiny)
    built = tiny.build(loaded, 2, 16, seed=0)
    assert loaded.state is not None and not any(name.startswith("last") for name in loaded.state)
    assert torch.equal(built.second.weight, state["second.weight"]) and built.last.out_features == 2
    options = {**SMALL, "weights": str(tmp_path / "w.pth"), "cache": str(tmp_path / "cache"), "image_size": "8"}
    first = auditor.audit(FIXTURES / "digits", backbone="tiny", **options)
    second = auditor.audit(FIXTURES / "digits", backbone="tiny", **options)
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 2, "features, and facts of the picture files"
    assert second.ranking.equals(first.ranking)
    with pytest.raises(WeightsError, match=r"w\.pth is not a resnet18: it lacks parameter"):
        ResNet18().build(load_weights(str(tmp_path / "w.pth"), ResNet18()), 2, 16, seed=0)


def test_imagenet_is_taken_only_where_the_kind_has_such_weights(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="the backbone tiny has no ImageNet weights") as caught:
        load_weights("imagenet", tiny)
    assert "--weights none" in caught.value.hint


def test_the_cache_keeps_kinds_apart_and_knows_the_default_by_its_old_key(tiny: Tiny) -> None:
    assert ResNet18().cache_key() == {"layers": "2,3,4"}
    assert tiny.cache_key() == {"backbone": "tiny", "version": 1}


def test_the_default_is_registered() -> None:
    kind = backbone_kind(AuditSettings().backbone)
    assert isinstance(kind, ResNet18) and (kind.n_features, kind.n_layered) == (512, 896)
    assert "resnet18" in backbone_names()


@pytest.mark.parametrize("name", sorted(registry.OWN))
def test_every_backbone_of_ours_keeps_the_contract(name: str) -> None:
    kind = backbone_kind(name)
    one, two, other = (kind.build(NONE, 3, 32, seed) for seed in (4, 4, 5))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert one(images).shape == (2, 3) and kind.extractor(one)(images).shape == (2, kind.n_layered)
    again = two.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in one.state_dict().items())
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert any(key.startswith(f"{kind.classifier}.") for key, _ in one.named_parameters())


def test_an_audit_with_the_default_has_the_id_that_it_had_before_backbones_had_names(finished: AuditResult) -> None:
    settings = dict(finished.summary["settings"])
    assert settings.pop("backbone") == "resnet18" and settings.pop("rank_by") == "suspicion"
    for later in ("root", "columns", "ledger", "kind", "label", "features", "probabilities"):
        assert settings.pop(later) == ""
    assert settings.pop("group_columns") == [] and settings.pop("mirror") is False
    identity = json.dumps([finished.summary["dataset"]["content_hash"], settings], sort_keys=True)
    assert finished.summary["audit_id"] == hashlib.sha256(identity.encode()).hexdigest()[:16]


def test_an_unknown_name_gets_the_near_one(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    done = run_cli("audit", FIXTURES / "digits", "-o", tmp_path / "out", "--backbone", "resnet81", "--weights", "none")
    assert done.exit_code == ExitCode.USAGE
    assert "unknown backbone 'resnet81'" in done.stderr and "did you mean 'resnet18'?" in done.stderr
    assert not (tmp_path / "out" / "audit.json").exists()


def test_a_name_can_be_given_up_and_taken_again_but_not_one_of_ours(tiny: Tiny) -> None:
    other = Tiny()
    with pytest.raises(ConfigError, match="'tiny' is there already"):
        register_backbone(other)
    remove_backbone("tiny")
    with register_backbone(other):
        assert backbone_kind("tiny") is other
    assert "tiny" not in backbone_names()
    with pytest.raises(ConfigError, match="unknown backbone 'tiny'"):
        backbone_kind("tiny")
    other.name = "resnet18"
    with pytest.raises(ConfigError, match="'resnet18' is there already"):
        register_backbone(other)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("name", "", "does not say its name"),
        ("meaning", "", "does not say its meaning"),
        ("n_features", 0, "does not say its n_features"),
        ("n_layered", 11, "n_features 12 and n_layered 11"),
    ],
)
def test_a_kind_that_is_incomplete_is_refused(name: str, value: object, words: str) -> None:
    kind = Tiny()
    setattr(kind, name, value)
    with pytest.raises(ConfigError, match=words):
        register_backbone(kind)
    with pytest.raises(ConfigError, match="is not a backbone"):
        register_backbone(Tiny)  # type: ignore[arg-type]


def test_an_extractor_with_other_columns_than_its_kind_says_is_refused(tiny: Tiny) -> None:
    transform = Transform(8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    network = tiny.build(NONE, 2, 8, seed=0)
    images = torch.zeros(4, 3, 8, 8)
    assert Backbone(tiny, NONE, network, transform, "cpu").extractor("float32")(images).shape == (4, 20)
    tiny.n_layered = 21
    with pytest.raises(ConfigError, match=r"shape \[4, 20\] for 4 images, but its n_layered is 21"):
        Backbone(tiny, NONE, network, transform, "cpu").extractor("float32")(images)


def test_a_backbone_of_another_package_is_found(declared: Callable[..., None]) -> None:
    declared(registry.GROUP, tiny=f"{__name__}:Tiny")
    assert {"resnet18", "tiny"} <= set(backbone_names())
    assert type(backbone_kind("tiny")).__name__ == "Tiny"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tiny", "no.such.package:Tiny", "cannot be loaded from no.such.package:Tiny: No module"),
        ("tiny", f"{__name__}:SMALL", "is not a backbone"),
        ("small", f"{__name__}:Tiny", "a backbone is called 'tiny', but its entry point calls it 'small'"),
    ],
)
def test_a_package_that_is_broken_is_named(declared: Callable[..., None], name: str, value: str, words: str) -> None:
    declared(registry.GROUP, **{name: value})
    with pytest.raises(ConfigError, match=words):
        backbone_kind(name)
