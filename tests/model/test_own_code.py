"""A network of the user's by the name of its file or module: found, run, and refused in one sentence."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers import FIXTURES, PROJECT, few_images, needs_pydvl, small_audit

from auditor.config import read_settings
from auditor.errors import ConfigError
from auditor.model import backbone_kind, vision
from auditor.model.own_code import own_kind

pytestmark = pytest.mark.usefixtures("hasty")

CODE = """
import torch
from torch import nn

def small():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )

ready = small()
number = 3

def three():
    return 3

def broken():
    raise RuntimeError("no <b>weights</b> here\\nand more")

def lost():
    return {}["weights"]

def leaves():
    raise SystemExit(1)

def needs(classes, width, depth=3):
    return small()

def optional(depth=3, *args, **more):
    return small()
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def test_a_function_of_a_file_gives_the_network(code: Path) -> None:
    assert own_kind(f"{code}:small").n_features == 32
    assert own_kind(f"{code}:optional").n_features == 32
    assert own_kind(f"{code}:ready").n_features == 32


def test_a_network_that_draws_its_weights_is_the_same_every_time(code: Path) -> None:
    one, other = (own_kind(f"{code}:small").own_state() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_module_of_a_package_serves_too(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(code.parent)
    assert backbone_kind("mine:small").n_features == 32


@pytest.mark.parametrize(
    ("function", "message", "hint"),
    [
        ("three", "is an int, not a torch.nn.Module", "return the module"),
        ("number", "has no function 'number'", "it has broken, leaves, lost, needs, optional, small, three"),
        ("nowhere", "has no function 'nowhere'", "it has broken"),
        ("broken", "fails when it is called: no <b>weights</b> here (mine.py, line 18)", "with Python alone"),
        ("lost", "fails when it is called: KeyError: 'weights' (mine.py, line 21)", "with Python alone"),
        ("leaves", "fails when it is called: SystemExit: 1 (mine.py, line 24)", "with Python alone"),
        ("needs", "needs the arguments classes, width", "give them default values"),
        ("", "has no function ''", "it has broken"),
    ],
)
def test_a_function_that_gives_no_network(code: Path, function: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        own_kind(f"{code}:{function}")
    assert message in refused.value.message and hint in refused.value.hint
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("def f(:\n", "invalid syntax", "with Python alone"),
        ("import no_such_package_here\n", "No module named 'no_such_package_here' (net.py, line 1)", "install"),
        ("\nraise KeyError('x')\n", "KeyError: 'x' (net.py, line 2)", "with Python alone"),
        ("raise SystemExit(3)\n", "SystemExit: 3", "with Python alone"),
        ("x = '\\ud800'\nraise ValueError('\\x1b[2J' + x)\n", "\\x1b[2J", "with Python alone"),
        ("a\0b", "null bytes", "with Python alone"),
    ],
)
def test_a_file_that_raises_when_it_is_run(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "net.py").write_text(text)
    with pytest.raises(ConfigError) as refused:
        own_kind(f"{tmp_path / 'net.py'}:f")
    assert "net.py cannot be loaded: " in refused.value.message
    assert message in refused.value.message and hint in refused.value.hint
    assert "\n" not in refused.value.message and "\x1b" not in refused.value.message


def test_files_and_modules_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        own_kind(f"{tmp_path / 'nothing.py'}:f")
    with pytest.raises(ConfigError, match="no_such_module_here") as refused:
        own_kind("no_such_module_here.nets:f")
    assert "PYTHONPATH" in refused.value.hint


def test_a_helper_beside_the_file_is_found_and_the_path_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "helper_of_mine.py").write_text("WIDTH = 12\n")
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom helper_of_mine import WIDTH\n\ndef f():\n    return nn.Conv2d(3, WIDTH, 3, 8)\n"
    )
    before = list(sys.path)
    assert own_kind(f"{tmp_path / 'net.py'}:f").n_features == 12
    assert sys.path == before
    (tmp_path / "helper_of_mine.py").write_text("WIDTH = 123\n")
    assert own_kind(f"{tmp_path / 'net.py'}:f").n_features == 123, "an edited helper is loaded anew"


@needs_pydvl
def test_a_file_is_not_sent_to_a_cluster(code: Path, tmp_path: Path, run_cli: Callable[..., Result]) -> None:
    words = [w for w in small_audit(FIXTURES / "digits", tmp_path / "out") if w not in ("--weights", "none")]
    done = run_cli(*words, "--backbone", f"{code}:small", "--dask", "local:1")
    assert done.exit_code == 2 and "package.module:FUNCTION" in done.stderr


CALLED = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("ran").touch()

def small():
    return nn.Conv2d(3, 8, 3, 2)
"""


@pytest.mark.parametrize("setting", ["backbone = 'net.py:small'", "backbone = 'net:small'", "dask = 'tcp://1.2.3.4:5'"])
@pytest.mark.parametrize("file", ["auditor.toml", "pyproject.toml", "given.toml"])
def test_no_file_of_settings_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Result], file: str, setting: str
) -> None:
    """Wherever the file lies, and also where `--config` names it: it may have come with the data set."""
    data = few_images(tmp_path / "data")
    (data / "net.py").write_text(CALLED)
    table = "[tool.auditor.audit]" if file == "pyproject.toml" else "[audit]"
    (data / file).write_text(f"{table}\n{setting}\n")
    monkeypatch.chdir(data)
    named = ["--config", file] if file == "given.toml" else []
    done = run_cli("audit", ".", "-o", tmp_path / "out", *named)
    assert done.exit_code == 2 and not (data / "ran").exists()
    assert "would run code, which a file of settings may not ask for" in done.stderr
    assert "on the command line" in done.stderr and f"say --{setting.partition(' ')[0]}" in done.stderr


def test_nothing_else_in_a_data_set_names_a_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Result]
) -> None:
    """A column, an environment variable or a file beside the images is no command line."""
    data = few_images(tmp_path / "data")
    (data / "net.py").write_text(CALLED)
    (data / "conftest.py").write_text(CALLED)
    rows = [f"{path.relative_to(data)},{path.parent.name},net.py:small" for path in sorted(data.glob("*/*.png"))]
    (data / "labels.csv").write_text("\n".join(["path,label,backbone", *rows]))
    monkeypatch.chdir(data)
    monkeypatch.setenv("AUDITOR_BACKBONE", "net.py:small")
    monkeypatch.setenv("AUDITOR_AUDIT_BACKBONE", "net.py:small")
    done = run_cli("audit", "labels.csv", "-o", tmp_path / "out")
    assert "ImageNet weights are not in the cache" in done.stderr, "the default backbone was asked for"
    assert not (data / "ran").exists()


def test_settings_that_run_no_code_may_stand_in_a_file(tmp_path: Path) -> None:
    settings = tmp_path / "auditor.toml"
    for name, value in (("backbone", "timm:resnet10t"), ("backbone", "swin_t"), ("dask", "local:2")):
        settings.write_text(f"[audit]\n{name} = {value!r}\n")
        assert read_settings(settings)[name] == value


def test_an_audit_with_a_network_of_ones_own(tmp_path: Path, code: Path, run_cli: Callable[..., Result]) -> None:
    words = [w for w in small_audit(few_images(tmp_path / "data"), tmp_path / "out") if w not in ("--weights", "none")]
    done = run_cli(*words, "--backbone", f"{code}:small", "--image-size", "16")
    assert done.exit_code == 0, done.stderr
    first = json.loads((tmp_path / "out" / "audit.json").read_text())
    model = first["model"]
    assert model["weights"] == "its own" and model["n_features"] == 32 and model["image_size"] == 16
    code.write_text(CODE.replace("nn.ReLU(),", "nn.LeakyReLU(0.3),"))
    done = run_cli(*words, "--backbone", f"{code}:small", "--image-size", "16")
    again = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert done.exit_code == 0, done.stderr
    assert again["model"]["weights_sha256"] == model["weights_sha256"], "only the code has changed"
    assert again["audit_id"] != first["audit_id"] and again["model"]["clean"] != model["clean"]


def test_the_page_s_example_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Result]
) -> None:
    """The file, the command and the lines of Python in docs/backbones.md."""
    text = (PROJECT / "docs" / "backbones.md").read_text(encoding="utf-8")
    file, lines = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    command = re.findall(r"```sh\nauditor (.*)\n```", text)[0]
    (tmp_path / "mynet.py").write_text(file)
    few_images(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    vision.models()  # the file imports torchvision
    torch.save(importlib.import_module("mynet").Net().state_dict(), "mynet.pth")
    done = run_cli(*command.split(), "--epochs", "5", "--repeats", "1", "--quiet")
    assert done.exit_code == 0, done.stderr
    scope: dict[str, Any] = {}
    exec(lines, scope)  # the page is ours
    assert scope["result"].summary["model"]["architecture"] == "module:Net"
    assert json.loads(Path("audit", "audit.json").read_text())["model"]["image_size"] == 32
