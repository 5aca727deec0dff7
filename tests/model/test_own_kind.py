"""A user's own network: found by file or module, refused in one sentence, and used with its own weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from helpers import FIXTURES, small_audit
from torch import nn

from auditor.config import read_settings
from auditor.errors import ConfigError, WeightsError
from auditor.model import backbone_kind
from auditor.model.own_kind import OwnKind, own_kind, preparation
from auditor.model.weights import load_weights

CODE = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )

def features():
    return nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def number():
    return 3

def needs():
    raise RuntimeError("no <b>weights</b> here")

class Dict(nn.Module):
    def forward(self, x):
        return {"logits": x}

class Nan(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) * float("nan")

class Picky(nn.Module):
    def forward(self, x):
        assert x.shape[-1] == 32, "wrong size"
        return x.mean((2, 3))
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def test_the_features_are_what_enters_the_last_linear_layer(code: Path) -> None:
    kind = own_kind(f"{code}:small")
    assert (kind.n_features, kind.n_layered) == (32, 16 + 32) or kind.n_layered >= 32
    network = kind.build(load_weights("imagenet", kind), 3, 64, seed=1)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        own = kind._own[:-1](images)
        found = kind.extractor(network)(images)
        assert network(images).shape == (2, 3)
    torch.testing.assert_close(found[:, -32:], own)


def test_a_network_without_a_linear_end_gives_its_output(code: Path) -> None:
    kind = own_kind(f"{code}:features")
    assert kind.n_features == 16
    network = kind.build(load_weights("imagenet", kind), 2, 64, seed=1)
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 2)


def test_a_module_of_a_package_serves_too(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(code.parent)
    assert backbone_kind("mine:small").n_features == 32


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "is a int, not a torch.nn.Module"),
        ("needs", "fails when it is called: no <b>weights</b> here"),
        ("Dict", "returns a dict where a tensor belongs"),
        ("Nan", "NaN or infinity"),
        ("Picky", "fails on images of 224 x 224 pixels"),
        ("nowhere", "has no function 'nowhere'"),
    ],
)
def test_what_is_no_network_is_refused(code: Path, function: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        own_kind(f"{code}:{function}")
    assert message in refused.value.message and refused.value.hint


def test_files_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    for spec, message in (
        (f"{tmp_path / 'nothing.py'}:f", "there is no file"),
        (f"{tmp_path / 'broken.py'}:f", "cannot be loaded"),
        ("no_such_module_here:f", "cannot be loaded"),
    ):
        with pytest.raises(ConfigError, match=message):
            own_kind(spec)


def test_a_transform_says_size_and_normalisation() -> None:
    class Part:
        def __init__(self, **values: object) -> None:
            self.__dict__.update(values)

    whole = Part(transforms=[Part(size=256), Part(size=[48, 48]), Part(mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 3.0])])
    found = preparation(whole, "x")
    assert (found.edge, found.mean, found.std) == (48, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    with pytest.raises(ConfigError, match="does not say its size"):
        preparation(Part(size=32), "x")
    kind = OwnKind("x", (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), whole))
    assert kind.image_size("auto", torch.tensor([9]).numpy(), load_weights("imagenet", kind)) == 48


def test_its_own_weights_leave_nothing_to_add(code: Path) -> None:
    kind = own_kind(f"{code}:small")
    one, other = load_weights("imagenet", kind), load_weights("imagenet", own_kind(f"{code}:small"))
    assert one.name == "its own" and one.pretrained and one.sha256 == other.sha256
    with pytest.raises(WeightsError, match="weights of its own"):
        load_weights("none", kind)


def test_a_file_of_settings_may_not_run_code(tmp_path: Path) -> None:
    settings = tmp_path / "auditor.toml"
    settings.write_text('[audit]\nbackbone = "mine.py:small"\n')
    with pytest.raises(ConfigError, match="would run code"):
        read_settings(settings)
    settings.write_text('[audit]\nbackbone = "timm:resnet10t"\n')
    assert read_settings(settings)["backbone"] == "timm:resnet10t"


def test_an_audit_with_a_network_of_ones_own(tmp_path: Path, code: Path, run_cli: Callable[..., Result]) -> None:
    words = [w for w in small_audit(FIXTURES / "digits", tmp_path / "out") if w not in ("--weights", "none")]
    done = run_cli(*words, "--backbone", f"{code}:small", "--image-size", "16")
    assert done.exit_code == 0, done.stderr
    model = json.loads((tmp_path / "out" / "audit.json").read_text())["model"]
    assert model["weights"] == "its own" and model["n_features"] == 32
