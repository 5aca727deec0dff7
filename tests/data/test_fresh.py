"""A change of nothing is answered from the finished audit; a change of anything is audited."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers import FIXTURES, small_audit, use_hasty_detection, use_sketched_figures, use_tiny_network
from PIL import Image

import auditor
from auditor.config import AuditSettings, settings_from
from auditor.data import features, fresh, images
from auditor.errors import ResultError
from auditor.result import AuditResult
from auditor.sources import open_source

SETTINGS = {"weights": "none", "train": "head", "repeats": 1, "epochs": 2, "examples": 1, "thumbnails": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, AuditSettings]:
    """A data set, the finished audit of it, and its settings."""
    base = tmp_path_factory.mktemp("unchanged")
    data, out = base / "data", base / "out"
    shutil.copytree(FIXTURES / "digits", data)
    broken = sorted(data.rglob("*.png"))[-1]
    broken.write_bytes(broken.read_bytes()[:40])
    (data / "train" / "3" / "strange.ending").write_text("skipped by its name")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        use_sketched_figures(patch)
        use_hasty_detection(patch)
        auditor.audit(str(data), out=out, **SETTINGS)
    return data, out, settings_from(SETTINGS)[0]


def test_the_same_audit_of_the_same_bytes_is_known(finished: tuple[Path, Path, AuditSettings]) -> None:
    data, out, settings = finished
    known = fresh.previous(out, str(data), settings)
    assert known is not None
    assert known.summary["dataset"]["source"] == str(data)
    assert known.summary["dataset"]["n_skipped"] == 2


def test_another_setting_is_another_audit(finished: tuple[Path, Path, AuditSettings]) -> None:
    data, out, _ = finished
    assert fresh.previous(out, str(data), settings_from({**SETTINGS, "seed": 1})[0]) is None


@pytest.mark.parametrize(
    "change", ["byte", "label", "gone", "new", "unreadable", "repaired", "broken otherwise", "skipped one gone", "odd"]
)
def test_any_change_of_the_data_is_seen(
    finished: tuple[Path, Path, AuditSettings], tmp_path: Path, change: str
) -> None:
    data, out, settings = finished
    first, *_ = sorted((data).rglob("*.png"))
    moved = first.with_name("moved.png")
    broken, strange = sorted(data.rglob("*.png"))[-1], data / "train" / "3" / "strange.ending"
    before = {path: path.read_bytes() for path in (first, broken, strange)}
    saved = before[first]
    try:
        if change == "byte":
            first.write_bytes(saved + b"x")
        elif change == "label":
            other = next(p for p in sorted(data.rglob("*.png")) if p.parent.name != first.parent.name)
            first.rename(other.with_name("was_other_label.png"))
            moved = other.with_name("was_other_label.png")
        elif change == "gone":
            first.unlink()
        elif change == "new":
            moved.write_bytes(saved)
        elif change == "unreadable":
            first.write_bytes(b"")
        elif change == "repaired":
            broken.write_bytes(saved)
        elif change == "broken otherwise":
            broken.write_bytes(b"")
        elif change == "skipped one gone":
            strange.unlink()
        else:
            moved = first.with_name("odd.ending")
            moved.write_bytes(saved)
        assert fresh.previous(out, str(data), settings) is None
    finally:
        moved.unlink(missing_ok=True)
        for path, content in before.items():
            path.write_bytes(content)
    assert fresh.previous(out, str(data), settings) is not None


def test_another_column_of_groups_is_a_change(finished: tuple[Path, Path, AuditSettings]) -> None:
    data, out, _ = finished
    result, table = AuditResult.load(out), open_source(str(data))
    fresh.require_fresh(result, lambda source: table)
    cameras = pd.DataFrame({"camera": pd.Categorical(["north"] * len(table.frame))})
    with pytest.raises(ResultError, match="groups or columns are others"):
        fresh.require_fresh(result, lambda source: dataclasses.replace(table, beside=cameras))


def test_a_folder_without_an_audit_knows_nothing(tmp_path: Path) -> None:
    assert fresh.previous(tmp_path, "digits", AuditSettings()) is None


def test_a_report_is_drawn_again_only_when_it_would_say_something_else(
    finished: tuple[Path, Path, AuditSettings],
    tmp_path: Path,
    run_cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, first, _ = finished
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    shutil.copytree(first, out)
    flags = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]

    def stamp(*more: str) -> int:
        done = run_cli("audit", data, "-o", out, *flags, *more)
        assert "its result stands" in done.stderr
        return (out / "report.html").stat().st_mtime_ns

    before = (out / "report.html").stat().st_mtime_ns
    assert stamp() == before
    judged = stamp("--gate")
    assert judged > before, "the verdict is new"
    assert stamp("--gate") == stamp() == judged
    (tmp_path / "auditor.toml").write_text("[rules.unreadable]\nfail = 0.0\n")
    failed = stamp("--gate")
    assert failed > judged, "the levels are new"
    os.utime(out / "report.html", ns=(before, before))
    assert stamp() > failed, "the report was older than the audit"


def test_a_gate_where_one_percent_of_the_images_changed_reads_only_those_again(
    tmp_path: Path, random_weights: Path, run_cli: Callable[..., Any], tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, decoded, forwarded = tmp_path / "data", [], []
    shutil.copytree(FIXTURES / "digits", data)
    weights = Path(shutil.copy(random_weights, tmp_path / "weights.pth"))
    resize, forward = images.resize_rgb, features.forward

    def resized(*words: Any) -> Any:
        decoded.append(1)
        return resize(*words)

    def forwards(backbone: Any, transform: Any, pixels: Any, device: str) -> Any:
        forwarded.append(len(pixels))
        return forward(backbone, transform, pixels, device)

    monkeypatch.setattr(images, "resize_rgb", resized)
    monkeypatch.setattr(features, "forward", forwards)
    words = small_audit(data, tmp_path / "out", "--weights", str(weights), "--cache", str(tmp_path / "c"))
    words = [*(word for word in words if word != "--quiet"), "--gate", "--exit-zero"]
    first = run_cli(*words)
    assert first.exit_code in (0, 3), first.stderr
    assert len(decoded) == sum(forwarded) == 160
    decoded.clear()
    forwarded.clear()
    for path in sorted(data.rglob("*.png"))[10:12]:
        image = Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image.save(path)
    again = run_cli(*words)
    assert again.exit_code in (0, 3), again.stderr
    assert len(decoded) == sum(forwarded) == 2
    assert "158 images were in the cache, 2 went through the network" in again.stderr
    other_bytes_under_the_name_of_the_weights(tmp_path, data, weights)


def other_bytes_under_the_name_of_the_weights(folder: Path, data: Path, weights: Path) -> None:
    """An audit is known by what its weights file holds, not by its name."""
    options = {**SETTINGS, "weights": str(weights)}
    first = auditor.audit(str(data), out=folder / "first", **options)
    fresh.require_fresh(first, out=folder / "first")
    state = torch.load(weights, weights_only=True)
    torch.save({name: value * 1.5 if value.is_floating_point() else value for name, value in state.items()}, weights)
    assert fresh.previous(folder / "first", str(data), settings_from(options)[0]) is None
    with pytest.raises(ResultError, match=r"older than its weights file .*weights\.pth"):
        fresh.require_fresh(first, out=folder / "first")
    second = auditor.audit(str(data), out=folder / "second", **options)
    assert second.audit_id != first.audit_id and second.settings == first.settings
    weights.unlink()
    fresh.require_fresh(second, out=folder / "second")  # a machine that only judges need not hold the weights


def test_images_that_a_reference_settled_are_no_change(tmp_path: Path, tiny: None) -> None:
    trusted = tmp_path / "trusted"
    for label in ("3", "8"):
        held = sorted((FIXTURES / "digits" / "train" / label).iterdir())[:4]
        (trusted / label).mkdir(parents=True)
        for path in held:
            shutil.copy(path, trusted / label)
    options = {**SETTINGS, "reference": str(trusted)}
    auditor.audit(str(FIXTURES / "digits"), out=tmp_path / "out", **options)
    settings = settings_from(options)[0]
    known = fresh.previous(tmp_path / "out", str(FIXTURES / "digits"), settings)
    assert known is not None and known.summary["reference"]["settled"]["n"] == 8
    fresh.require_fresh(known, out=tmp_path / "out")
    next((trusted / "3").iterdir()).unlink()
    assert fresh.previous(tmp_path / "out", str(FIXTURES / "digits"), settings) is None
    with pytest.raises(ResultError, match="older than its reference"):
        fresh.require_fresh(known, out=tmp_path / "out")


def test_an_audit_of_a_version_that_named_no_backbone_still_stands(
    finished: tuple[Path, Path, AuditSettings], tmp_path: Path
) -> None:
    data, out, settings = finished
    shutil.copytree(out, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    del summary["settings"]["backbone"]
    (tmp_path / "out" / "audit.json").write_text(json.dumps(summary), "utf-8")
    assert fresh.previous(tmp_path / "out", str(data), settings) is not None
    other = dataclasses.replace(settings, backbone="other")
    assert fresh.previous(tmp_path / "out", str(data), other) is None
