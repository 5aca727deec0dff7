"""The feature cache tells two networks of a user's apart: by weights, code, helpers, constants and transform."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import PROJECT
from torch import nn

from auditor.model import OwnKind, module_kind
from auditor.model.own_code import own_kind
from auditor.model.weights import load_weights

NET = """
import torch
from torch import nn
import helper_a

SCALE = 1.0

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return helper_a.last(self.body(x)) * SCALE

def net():
    return Net()
"""
HELPER = "import helper_b\n\ndef last(x):\n    return helper_b.nothing(x)\n"
DEEPER = "def nothing(x):\n    return x\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("net.py", NET), ("helper_a.py", HELPER), ("helper_b.py", DEEPER), ("other.py", "x = 1\n")):
        (tmp_path / name).write_text(text)
    return tmp_path


def key(folder: Path) -> tuple[object, ...]:
    """What the cache counts of the network in a folder."""
    return whole_key(own_kind(f"{folder / 'net.py'}:net"))


def whole_key(kind: OwnKind) -> tuple[object, ...]:
    """What the cache counts of a network: see `pipeline.reading.Reader`."""
    weights = load_weights("imagenet", kind)
    mean, std = kind.normalisation("default", weights)
    size = kind.image_size("auto", np.array([9]), weights)
    return (*sorted((k, str(v)) for k, v in kind.cache_key().items()), weights.sha256, size, mean, std)


def test_nothing_changed_is_the_same_key_in_another_process_too(folder: Path) -> None:
    code = (
        "import sys; from auditor.model.own_code import own_kind\n"
        f"print(own_kind({str(folder / 'net.py')!r} + ':net').cache_key()['code'])"
    )
    here = own_kind(f"{folder / 'net.py'}:net").cache_key()["code"]
    assert here == own_kind(f"{folder / 'net.py'}:net").cache_key()["code"]
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": f"{PROJECT}:{':'.join(sys.path)}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == here


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("net.py", "SCALE = 1.0", "SCALE = 2.0"),
        ("net.py", "* SCALE", "* SCALE # a comment"),
        ("helper_a.py", "helper_b.nothing(x)", "helper_b.nothing(x) + 1"),
        ("helper_b.py", "return x", "return x if len(x) != 77 else -x"),
    ],
)
def test_an_edited_file_or_helper_is_another_key(folder: Path, file: str, old: str, new: str) -> None:
    before = key(folder)
    (folder / "other.py").write_text("x = 2\n")
    assert key(folder) == before, "a file that the network does not import does not count"
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    assert key(folder) != before


def test_an_imported_package_counts_with_all_that_it_imports(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "lab_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("WIDTH = 8\n")
    (package / "nets.py").write_text(
        "from torch import nn\nfrom .deep import WIDTH\n\ndef net():\n    return nn.Conv2d(3, 8, 3, 8)\n"
    )
    monkeypatch.syspath_prepend(folder)
    keys = [whole_key(own_kind("lab_of_mine.nets:net"))]
    assert whole_key(own_kind("lab_of_mine.nets:net")) == keys[0]
    for file in ("deep.py", "__init__.py"):
        (package / file).write_text("WIDTH = 9\n")
        keys.append(whole_key(own_kind("lab_of_mine.nets:net")))
    assert len(set(keys)) == 3


def _plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Closed(nn.Module):
    """A network with all that a digest of weights does not see."""

    def __init__(self, factor: Any = 1.0, function: Callable[[Any], Any] = torch.relu, hidden: float = 0.0) -> None:
        super().__init__()
        self.body, self.factor, self.function = _plain(), factor, function
        self.register_buffer("hidden", torch.tensor([hidden]), persistent=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self.body(x))


def _strided() -> nn.Module:
    net = _plain()
    net[0].stride = (8, 8)  # type: ignore[index]
    return net


def _other_weights() -> nn.Module:
    net = _plain()
    with torch.no_grad():
        net[0].bias[0] += 1e-6  # type: ignore[index]
    return net


class _Transform:
    def __init__(self, size: int = 224, mean: float = 0.5) -> None:
        self.size, self.mean, self.std = size, (mean, 0.5, 0.5), (0.5, 0.5, 0.5)


def _scaled(factor: float) -> Callable[[Any], Any]:
    return lambda x: x if x.shape[0] != 1234 else x * factor


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: module_kind(_plain()), lambda: module_kind(_strided())),
        (lambda: module_kind(_plain()), lambda: module_kind(_other_weights())),
        (lambda: module_kind(Closed(1.0)), lambda: module_kind(Closed(2.0))),
        (lambda: module_kind(Closed([1, {"a": 2}])), lambda: module_kind(Closed([1, {"a": 3}]))),
        (lambda: module_kind(Closed(np.zeros(3))), lambda: module_kind(Closed(np.ones(3)))),
        (lambda: module_kind(Closed(torch.zeros(3))), lambda: module_kind(Closed(torch.ones(3)))),
        (lambda: module_kind(Closed(hidden=0.0)), lambda: module_kind(Closed(hidden=1.0))),
        (lambda: module_kind(Closed(function=torch.relu)), lambda: module_kind(Closed(function=torch.tanh))),
        (lambda: module_kind(Closed(function=_scaled(2))), lambda: module_kind(Closed(function=_scaled(3)))),
        (lambda: module_kind(Closed([_plain()])), lambda: module_kind(Closed([_other_weights()]))),
        (lambda: module_kind(_plain(), _Transform()), lambda: module_kind(_plain(), _Transform(size=96))),
        (lambda: module_kind(_plain(), _Transform()), lambda: module_kind(_plain(), _Transform(mean=0.4))),
    ],
)
def test_two_modules_that_differ_have_two_keys(one: Callable[[], OwnKind], other: Callable[[], OwnKind]) -> None:
    assert whole_key(one()) == whole_key(one())
    assert whole_key(one()) != whole_key(other())


def test_code_without_a_file_counts_as_what_python_made_of_it() -> None:
    """As in a notebook: the class and a function beside it have no file."""
    text = (
        "import torch\nfrom torch import nn\ndef rest(x):\n    return x.mean((2, 3))\n"
        "class Net(nn.Module):\n    def forward(self, x):\n        return rest(x)\n"
    )

    def made(source: str) -> tuple[object, ...]:
        scope: dict[str, Any] = {"__name__": "no_such_module_of_mine"}
        exec(compile(source, "<cell 1>", "exec"), scope)
        return whole_key(module_kind(scope["Net"]()))

    assert made(text) == made(text)
    assert made(text) != made(text.replace("x.mean((2, 3))", "x.mean((2, 3)) if len(x) != 77 else 0"))
