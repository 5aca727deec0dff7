"""Hostile folders through the whole command: each entry is audited or skipped with its reason."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import small_audit
from hostile import HostileFolder, encode, hostile_folder, picture, readable_images, unreadable_images

from auditor.data import features
from auditor.pipeline import thumbnails
from auditor.sources.base import Skipped, left_out

if TYPE_CHECKING:
    from click.testing import Result

pytestmark = pytest.mark.usefixtures("tiny")

UNREADABLE = unreadable_images()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> HostileFolder:
    """The hostile folder with ordinary images, and every unusual and every broken file among them."""
    # The data set's own name is the page's title and first sentence.
    made = hostile_folder(tmp_path_factory.mktemp("hostile") / "<img src=x onerror=alert(1)> set")
    for index, label in enumerate("ab"):
        for number in range(20):
            path = f"{label}/plain{number:02d}.png"
            (made.root / path).write_bytes(encode(picture((20 + number, 16 + 12 * index)), "PNG"))
            made.listed.add(path)
    for number, (name, data) in enumerate({**readable_images(), **UNREADABLE}.items()):
        path = f"{'ab'[number % 2]}/file-{name}"
        (made.root / path).write_bytes(data)
        if name in UNREADABLE:
            made.skipped[path] = ""
        elif name in ("1x1.png", "nan.tif"):
            made.skipped[path] = "shows nothing"
        else:
            made.listed.add(path)
    return made


def test_every_entry_is_audited_or_skipped_with_its_reason(
    hostile: HostileFolder, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    before = {path: path.lstat().st_mtime_ns for path in hostile.root.rglob("*")}
    done = run_cli(*small_audit(hostile.root, tmp_path / "out", "--max-unreadable", "0.3"))
    assert done.exit_code == 0, done.stderr
    assert {path: path.lstat().st_mtime_ns for path in hostile.root.rglob("*")} == before
    with (tmp_path / "out" / "ranking.csv").open(encoding="utf-8", newline="") as file:
        audited = {row["path"].removeprefix("'") for row in csv.DictReader(file)}
    assert audited == hostile.listed
    dataset = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))["dataset"]
    pictures = json.loads((tmp_path / "out" / "evidence.json").read_text(encoding="utf-8"))["thumbnails"]
    assert dataset["hashes"].keys() == hostile.listed and pictures.keys() <= hostile.listed
    skipped = {entry["path"]: entry["reason"] for entry in dataset["skipped"]}
    assert skipped.keys() == hostile.skipped.keys()
    assert {path for path, words in hostile.skipped.items() if words not in skipped[path]} == set()
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<img src=x onerror" not in report and "onerror" in report


def test_too_many_unreadable_images_are_an_error_that_writes_nothing(
    hostile: HostileFolder, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    done = run_cli(*small_audit(hostile.root, tmp_path / "out", "--max-unreadable", "0.01"))
    assert done.exit_code == 2
    first = min(path for path, words in hostile.skipped.items() if not words)
    assert f"{len(UNREADABLE)} of " in done.stderr and f"the first, {first}: " in done.stderr
    assert "--max-unreadable" in done.stderr
    assert not (tmp_path / "out" / "audit.json").exists()


def test_a_class_that_is_linked_from_outside_is_missed_on_the_terminal_too(
    fixtures: Path, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    root = tmp_path / "set"
    shutil.copytree(fixtures / "digits" / "train", root)
    (root / "9").symlink_to(fixtures / "digits" / "test" / "3")
    (root / "3" / "a\nb\x1b[2J.png").write_bytes(b"no image")
    words = small_audit(root, tmp_path / "out")
    words.remove("--quiet")
    first, again, quiet = run_cli(*words), run_cli(*words), run_cli(*words, "--quiet")
    assert first.exit_code == again.exit_code == quiet.exit_code == 0, first.stderr
    for done in (first, again):
        assert "2 entries are left out" in done.stderr
        assert "a symbolic link that leads outside the root: '9'" in done.stderr
        assert "--allow-outside" in done.stderr
        assert "\x1b" not in done.stderr and "\nb" not in done.stderr
    assert "nothing has changed" in again.stderr and quiet.stderr == ""


def test_the_limit_on_pixels_is_said_with_the_option_that_raises_it(
    fixtures: Path, tmp_path: Path, run_cli: Callable[..., Result], tiny: None
) -> None:
    root = tmp_path / "set"
    shutil.copytree(fixtures / "digits" / "train", root)
    (root / "3" / "large.png").write_bytes(encode(picture((60, 50)), "PNG"))
    words = small_audit(root, tmp_path / "out", "--max-pixels", "2999")
    words.remove("--quiet")
    refused = run_cli(*words)
    assert refused.exit_code == 0, refused.stderr
    assert "60x50 pixels, more than the limit of 2999: '3/large.png'" in refused.stderr
    assert "--max-pixels" in refused.stderr
    raised = run_cli(*small_audit(root, tmp_path / "out", "--max-pixels", "3000"))
    assert raised.exit_code == 0 and raised.stderr == ""
    assert "3/large.png" in (tmp_path / "out" / "ranking.csv").read_text(encoding="utf-8")


def test_images_that_go_away_or_become_pipes_during_the_audit_do_not_stop_it(
    fixtures: Path, tmp_path: Path, run_cli: Callable[..., Result], tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "set"
    shutil.copytree(fixtures / "digits", root)
    first, *others = sorted((root / "train" / "3").iterdir())
    reading, showing = features.extract, thumbnails.Pictures.small

    def gone_when_read(*arguments: Any, **options: Any) -> Any:
        first.unlink()
        return reading(*arguments, **options)

    def pipes_when_shown(*arguments: Any, **options: Any) -> Any:
        for path in others:
            path.unlink()
            os.mkfifo(path)
        return showing(*arguments, **options)

    monkeypatch.setattr(features, "extract", gone_when_read)
    monkeypatch.setattr(thumbnails.Pictures, "small", pipes_when_shown)
    done = run_cli(*small_audit(root, tmp_path / "out"))
    assert done.exit_code == 0 and done.stderr == "", done.stderr
    skipped = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))["dataset"]["skipped"]
    assert skipped == [{"path": f"train/3/{first.name}", "reason": "cannot be read: No such file or directory"}]
    shown = json.loads((tmp_path / "out" / "evidence.json").read_text(encoding="utf-8"))["thumbnails"]
    assert shown and not any(path.startswith("train/3/") for path in shown)
    assert (tmp_path / "out" / "report.html").is_file()


def test_what_is_left_out_is_told_by_reason_and_no_longer_than_a_screen() -> None:
    assert left_out([]) == ""
    one = left_out([Skipped("a/1.png", "the file is empty")])
    assert "1 entry is left out" in one and "the file is empty: 'a/1.png'" in one and "--allow-outside" not in one
    many = left_out(Skipped(f"{i}.png", f"reason {i % 100}") for i in range(1000))
    assert "1000 entries" in many and len(many.splitlines()) < 10


def test_paths_that_leave_the_folder(fixtures: Path, tmp_path: Path, run_cli: Callable[..., Result]) -> None:
    lines = (fixtures / "digits" / "labels.csv").read_text(encoding="utf-8").splitlines()
    rows = [line if number == 0 else f"{fixtures / 'digits'}/{line}" for number, line in enumerate(lines)]
    manifest = tmp_path / "labels.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    refused = run_cli(*small_audit(manifest, tmp_path / "out"))
    assert refused.exit_code == 2
    assert "--allow-outside" in refused.stderr
    assert not (tmp_path / "out" / "audit.json").exists()
    done = run_cli(*small_audit(manifest, tmp_path / "out", "--allow-outside"))
    assert done.exit_code == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert summary["settings"]["allow_outside"] is True


def test_an_empty_class_is_an_error_unless_other_classes_are_chosen(
    fixtures: Path, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    root = tmp_path / "set"
    for path in (fixtures / "digits").glob("*/*/*.png"):
        target = root / path.relative_to(fixtures / "digits")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (root / "train" / "9").mkdir()
    refused = run_cli(*small_audit(root, tmp_path / "out"))
    assert refused.exit_code == 2
    assert "no image in the class '9'" in refused.stderr
    assert run_cli(*small_audit(root, tmp_path / "out", "--classes", "3,8")).exit_code == 0
