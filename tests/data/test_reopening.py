"""Later commands open the very data set that was audited: the same file, columns, root and permission, anywhere."""

from __future__ import annotations

import csv
import dataclasses
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import make_result
from helpers import FIXTURES, small_audit

from auditor.data.reopening import reopen
from auditor.errors import SourceError
from auditor.sources import open_source
from auditor.sources.base import IN_MEMORY
from auditor.sources.manifest import Layout

pytestmark = pytest.mark.usefixtures("tiny")

Run = Callable[..., Any]


def _images() -> list[tuple[str, str]]:
    """Path and label of 24 small images, relative to the fixture."""
    root = FIXTURES / "digits"
    return [
        (str(path.relative_to(root)), label)
        for label in ("3", "8")
        for path in sorted((root / "train" / label).glob("*.png"))[:12]
    ]


def _manifest(file: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("path", "label")) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


def _copy(folder: Path) -> list[tuple[str, str]]:
    """The images beside each other in `folder`, as a manifest's rows."""
    folder.mkdir(parents=True)
    rows = []
    for number, (path, label) in enumerate(_images()):
        shutil.copy(FIXTURES / "digits" / path, folder / f"{number:02d}.png")
        rows.append((f"{number:02d}.png", label))
    return rows


def _audited(run_cli: Run, source: str, *more: str) -> dict[str, Any]:
    done = run_cli(*small_audit(source, "out", *more))
    assert done.exit_code == 0, done.stderr
    summary: dict[str, Any] = json.loads(Path("out/audit.json").read_text("utf-8"))
    return summary


def _no_decisions(summary: dict[str, Any]) -> str:
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": summary["audit_id"], "decisions": []}
    Path("decisions.json").write_text(json.dumps(document), encoding="utf-8")
    return "decisions.json"


def _applied(run_cli: Run, summary: dict[str, Any], *more: str) -> None:
    done = run_cli("review", "apply", "out", _no_decisions(summary), *more)
    assert done.exit_code == 0, done.stderr
    with Path("out/reviewed/cleaned.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.reader(stream))) == 25


def _fresh(run_cli: Run, *more: str) -> str:
    """What `gate --strict-fresh` says against the audit; empty where it judges it."""
    done = run_cli("gate", "out", "--strict-fresh", "--no-keep", "--exit-zero", *more)
    return "" if done.exit_code in (0, 3) else str(done.stderr)


def test_a_manifest_is_opened_again_as_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = _copy(tmp_path / "data")
    _manifest(tmp_path / "data" / "labels.csv", rows)
    summary = _audited(run_cli, "data/labels.csv")
    assert (summary["dataset"]["source"], summary["dataset"]["root"]) == ("data/labels.csv", "data")
    assert str(tmp_path) not in json.dumps(summary["dataset"]), "no place of this machine goes into shared files"
    _applied(run_cli, summary)
    assert _fresh(run_cli) == ""
    _manifest(tmp_path / "data" / "labels.csv", [("00.png", "8"), *rows[1:]])
    assert "1 under another label, such as 00.png" in _fresh(run_cli)


def test_columns_root_and_permission_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Run
) -> None:
    """Images lie in a store, the data set has links to them, and the manifest lies elsewhere under other names."""
    monkeypatch.chdir(tmp_path)
    rows = _copy(tmp_path / "store")
    (tmp_path / "images").mkdir()
    for name, _ in rows:
        (tmp_path / "images" / name).symlink_to(tmp_path / "store" / name)
    _manifest(tmp_path / "lists" / "all.csv", rows, ("file", "kind"))
    options = ("--columns", "path=file,label=kind", "--root", "images", "--allow-outside")
    summary = _audited(run_cli, "lists/all.csv", *options)
    assert summary["dataset"]["root"] == "images"
    _applied(run_cli, summary)
    assert _fresh(run_cli) == ""
    words = shlex.split(summary["command"])
    assert words[:3] == ["auditor", "audit", "lists/all.csv"] and words[-2:] == ["-o", "OUT"]
    again = run_cli(*words[1:], "--quiet", "--epochs", "20")
    assert again.exit_code == 0, again.stderr
    said = json.loads(Path("OUT/audit.json").read_text("utf-8"))
    assert said["audit_id"] == summary["audit_id"], "the command in the report runs the same audit"
    named = run_cli(*small_audit("lists/all.csv::path=file,label=kind", "third", *options[2:]))
    assert named.exit_code == 0, named.stderr
    third = json.loads(Path("third/audit.json").read_text("utf-8"))
    assert third["audit_id"] == summary["audit_id"], "how the columns were named is no part of the id"


def test_from_another_folder_and_after_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Run) -> None:
    work = tmp_path / "work"
    rows = _copy(work / "data")
    _manifest(work / "data" / "labels.csv", rows)
    monkeypatch.chdir(work)
    summary = _audited(run_cli, "data/labels.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (work / "out").rename(work / "results")
    Path("out").symlink_to(work / "results")
    assert _fresh(run_cli) == "", "the folders above the audit's are searched"
    (work / "data").rename(tmp_path / "moved")
    told = _fresh(run_cli)
    assert "the audited data set data/labels.csv is not here" in told and "--source" in told
    assert _fresh(run_cli, "--source", "../moved/labels.csv") == ""
    Path("out").unlink()
    shutil.copytree(work / "results", "out")
    _applied(run_cli, summary, "--source", "../moved/labels.csv")
    shown = run_cli("report", "out", "--source", "../moved/labels.csv")
    assert shown.exit_code == 0, shown.stderr
    assert "auditor audit ../moved/labels.csv" in Path("out/report.html").read_text("utf-8")


@pytest.mark.parametrize("what", ["images", "class folders"])
def test_links_out_of_the_root_are_refused_with_the_option_that_follows_them(tmp_path: Path, what: str) -> None:
    """As DVC, the cache of the Hub and Kaggle lay out data sets."""
    for path, label in _images():
        (tmp_path / "store" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURES / "digits" / path, tmp_path / "store" / label)
    for label in ("3", "8"):
        here = tmp_path / "data" / label
        if what == "class folders":
            here.parent.mkdir(exist_ok=True)
            here.symlink_to(tmp_path / "store" / label)
        else:
            here.mkdir(parents=True)
            for image in (tmp_path / "store" / label).iterdir():
                (here / image.name).symlink_to(image)
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "data"))
    assert "--allow-outside" in caught.value.hint
    assert len(open_source(str(tmp_path / "data"), allow_outside=True).frame) == 24


def test_one_class_behind_a_link_names_the_option(tmp_path: Path, run_cli: Run) -> None:
    rows = _copy(tmp_path / "store")
    (tmp_path / "data" / "3").mkdir(parents=True)
    for name, label in rows:
        if label == "3":
            shutil.copy(tmp_path / "store" / name, tmp_path / "data" / "3")
    (tmp_path / "data" / "8").symlink_to(tmp_path / "store")
    done = run_cli(*small_audit(tmp_path / "data", tmp_path / "out"))
    assert done.exit_code == 2 and "--allow-outside" in done.stderr


def test_what_cannot_be_understood_is_said(tmp_path: Path) -> None:
    rows = _copy(tmp_path / "data")
    manifest = str(_manifest(tmp_path / "data" / "labels.csv", rows))
    for words, said in (
        ({"columns": "name=x"}, "cannot understand 'name=x' in --columns"),
        ({"columns": "label=kind"}, "there is no column 'kind'"),
        ({"root": str(tmp_path / "none")}, "cannot list the folder"),
    ):
        with pytest.raises(SourceError, match=said):
            open_source(manifest, layout=Layout(**words))
    with pytest.raises(SourceError, match="named twice"):
        open_source(f"{manifest}::label=label", layout=Layout(columns="label=label"))
    with pytest.raises(SourceError, match="is no manifest"):
        open_source(str(FIXTURES / "digits"), layout=Layout(root=str(tmp_path)))


def test_objects_of_a_program_cannot_be_opened_again() -> None:
    result = make_result(n=40)
    dataset = {**result.summary["dataset"], "source": IN_MEMORY, "root": IN_MEMORY}
    gone = dataclasses.replace(result, summary={**result.summary, "dataset": dataset})
    with pytest.raises(SourceError, match="objects of a program") as caught:
        reopen(gone)
    assert "--source" in caught.value.hint


def test_another_data_set_of_the_same_name_is_not_taken_for_the_audited_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Run
) -> None:
    rows = _copy(tmp_path / "here" / "data" / "img")
    for path, label in rows:
        (tmp_path / "here" / "data" / label).mkdir(exist_ok=True)
        shutil.move(tmp_path / "here" / "data" / "img" / path, tmp_path / "here" / "data" / label / path)
    (tmp_path / "here" / "data" / "img").rmdir()
    for label in ("x", "y"):
        shutil.copytree(tmp_path / "here" / "data" / "3", tmp_path / "elsewhere" / "data" / label)
    monkeypatch.chdir(tmp_path / "here")
    _audited(run_cli, "data")
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = run_cli("gate", "../here/out", "--strict-fresh", "--no-keep", "--exit-zero")
    assert done.exit_code in (0, 3), done.stderr
    file = tmp_path / "here" / "out" / "audit.json"
    file.write_text(file.read_text("utf-8").replace('"source": "data"', '"source": "."'), "utf-8")
    done = run_cli("gate", "../here/out", "--strict-fresh", "--no-keep", "--exit-zero")
    assert done.exit_code == 2 and "the audited data set . is not here" in done.stderr and "--source" in done.stderr
    monkeypatch.chdir(tmp_path / "here" / "data")
    done = run_cli("gate", "../out", "--strict-fresh", "--no-keep", "--exit-zero")
    assert done.exit_code in (0, 3), done.stderr
