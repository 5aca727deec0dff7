"""Networks of timm. What needs it is skipped where it is absent; it is an extra."""

from __future__ import annotations

import importlib
import importlib.util
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers import few_images

from auditor.errors import ConfigError, WeightsError
from auditor.model import Weights, backbone_kind, vision
from auditor.model.weights import load_weights

NONE = Weights("none", None, "")

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="timm is not installed") as refused:
        backbone_kind("timm:resnet10t")
    assert "auditor[timm]" in refused.value.hint


@needs_timm
@pytest.mark.parametrize(
    ("name", "edge", "columns"),
    [("resnet10t", 176, 128 + 256 + 512), ("vit_tiny_patch16_224", 224, 192), ("convnext_atto", 224, 80 + 160 + 320)],
)
def test_features_of_a_network(name: str, edge: int, columns: int) -> None:
    kind = backbone_kind(f"timm:{name}")
    assert (kind.image_size("auto", torch.tensor([9]).numpy(), NONE), kind.n_layered) == (edge, columns)
    network = kind.build(NONE, 3, edge, seed=0)
    images = torch.rand(2, 3, edge, edge)
    with torch.no_grad():
        assert kind.extractor(network)(images).shape == (2, columns) and network(images).shape == (2, 3)
        pooled = network.forward_head(network.forward_features(images), pre_logits=True)  # type: ignore[operator]
        torch.testing.assert_close(kind.extractor(network)(images)[:, -kind.n_features :], pooled)


@needs_timm
def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="timm has no network 'resnet10tt'") as refused:
        backbone_kind("timm:resnet10tt")
    assert "resnet10t" in refused.value.hint


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and no way to the network."""
    vision.models()
    constants: Any = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("an audit without --download opens no socket")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "hub"


def _keep(hub: Path, repository: str, file: str) -> Path:
    """Where a file of a repository lies in the cache."""
    base = hub / f"models--{repository.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text(commit)
    (base / "snapshots" / commit).mkdir(parents=True)
    return base / "snapshots" / commit / file


@needs_timm
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_the_cache_are_read_without_the_network(hub: Path, file: str) -> None:
    kind: Any = backbone_kind("timm:resnet10t.c3_in1k")
    with pytest.raises(WeightsError, match="not in the Hugging Face cache") as refused:
        load_weights("imagenet", kind)
    assert "--download to fetch timm/resnet10t.c3_in1k" in refused.value.hint
    network = kind.network(1000, 0, pretrained=False)
    path = _keep(hub, "timm/resnet10t.c3_in1k", file)
    if file.endswith(".bin"):
        torch.save(network.state_dict(), path)
    else:
        importlib.import_module("safetensors.torch").save_file(network.state_dict(), path)
    weights = load_weights("imagenet", kind)
    built = kind.build(weights, 2, 176, seed=0)
    torch.testing.assert_close(built.get_parameter("layer1.0.conv1.weight"), network.layer1[0].conv1.weight)
    path.write_bytes(path.read_bytes()[:999])
    with pytest.raises(WeightsError):
        load_weights("imagenet", kind)


@needs_timm
def test_weights_that_are_a_pickle_of_code_are_refused(hub: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    kind = backbone_kind("timm:resnet10t.c3_in1k")
    torch.save({"x": Evil()}, _keep(hub, "timm/resnet10t.c3_in1k", "pytorch_model.bin"))
    with pytest.raises(WeightsError, match="cannot be loaded as weights"):
        load_weights("imagenet", kind)
    assert not (tmp_path / "ran").exists()


@needs_timm
def test_a_whole_audit_with_a_network(tmp_path: Path, run_cli: Callable[..., Result]) -> None:
    words: list[Any] = ["audit", few_images(tmp_path / "data"), "-o", tmp_path / "out", "--backbone", "timm:resnet10t"]
    fixed = ["--weights", "none", "--repeats", "1", "--epochs", "2", "--examples", "1", "--image-size", "64", "--quiet"]
    done = run_cli(*words, *fixed)
    assert done.exit_code == 0, done.stderr
    model = json.loads((tmp_path / "out" / "audit.json").read_text())["model"]
    assert (model["architecture"], model["n_features"]) == ("timm:resnet10t", 512)
    assert (tmp_path / "out" / "report.html").is_file()
