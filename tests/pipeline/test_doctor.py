"""`auditor doctor`: what there is and what is missing."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import names

from auditor import engines
from auditor.model import registry
from auditor.pipeline import doctor
from auditor.system import plugins, versions


def test_a_healthy_installation(run_cli: Callable[..., Any]) -> None:
    done = run_cli("doctor")
    assert done.exit_code == 0
    for word in (*versions.PACKAGES, "backbones", "not cached", "--download", "cores"):
        assert word in done.stdout


def test_a_missing_package_is_said_and_fails(monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any]) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "pandas":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    done = run_cli("doctor")
    assert done.exit_code == 2
    assert any(line.split() == ["pandas", "missing"] for line in done.stdout.splitlines())


def test_without_pydvl_all_is_well_and_the_way_to_add_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "pydvl":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    lines, healthy = doctor.examine()
    assert healthy
    at = next(i for i, line in enumerate(lines) if line.startswith("pydvl"))
    assert "not installed" in lines[at] and "--save-matrix" in lines[at]
    assert lines[at + 1].split(maxsplit=3)[3] == engines.adding_pydvl()


def test_the_cache_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "auditor" / "features").mkdir(parents=True)
    (tmp_path / "auditor" / "features" / "x.npz").write_bytes(bytes(3_000_000))
    lines, _ = doctor.examine()
    assert any(line.startswith("cache") and "(3 MB)" in line for line in lines)


def test_cached_weights_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"")
    lines, _ = doctor.examine()
    assert any(line.startswith("imagenet      resnet18 cached") for line in lines)


def test_every_backbone_is_listed_and_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from auditor.model.resnet import ResNet18

    class Mine(ResNet18):
        name, meaning = "mine", "a network \x1b[2J of another package"

    point = importlib.metadata.EntryPoint("gone", "no_such_package_here:Kind", registry.GROUP)
    monkeypatch.setattr(plugins, "_declared", lambda group, path: {"gone": point} if group == registry.GROUP else {})
    folder = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k" / "snapshots" / "0123"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with registry.register_backbone(Mine()):
        lines, _ = doctor.examine()
    text = "\n".join(lines)
    for name in ("mobilenet_v3_small", "swin_t", "vit_b_16", "FILE.py:FUNCTION", "runs your code"):
        assert name in text
    assert "mine, from another package: a network \\x1b[2J of another package" in text
    assert "gone, from another package, cannot be used: the backbone 'gone' cannot be loaded" in text
    assert "others in the cache: timm:resnet10t.c3_in1k" in text
    assert max(map(len, text.splitlines()[:30])) <= 200


def test_it_makes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    doctor.examine()
    assert names(tmp_path) == []
