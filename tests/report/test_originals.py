"""Links to files beside the page: only to what the audit saw, and never out of the page's folder."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from builders import as_kind, make_result

from auditor.report.originals import Originals, beside
from auditor.result import AuditResult


def _audited(folder: Path, source: str) -> AuditResult:
    """A result of 20 images with files of known content in `folder`."""
    result, hashes = make_result(n=20), {}
    for path in result.ranking["path"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
        hashes[path] = hashlib.sha256(path.encode()).hexdigest()
    dataset = {**result.summary["dataset"], "source": source, "hashes": hashes}
    return dataclasses.replace(result, summary={**result.summary, "dataset": dataset})


@pytest.mark.parametrize(("place", "base"), [("photos", "photos/"), ("", "")])
def test_files_in_the_folder_or_below_are_found(tmp_path: Path, place: str, base: str) -> None:
    result = _audited(tmp_path / place, "photos")
    assert beside(result, tmp_path) == Originals(base, ())
    gone = result.ranking["path"].iloc[7]
    (tmp_path / place / gone).unlink()
    assert beside(result, tmp_path) == Originals(base, (7,))


def test_where_the_user_wrote_a_place_below_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _audited(tmp_path / "out/data/photos", "out/data/photos")
    assert beside(result, "out") == Originals("data/photos/", ())


def test_files_elsewhere_are_not_linked(tmp_path: Path) -> None:
    result = _audited(tmp_path / "photos", str(tmp_path / "photos"))
    (tmp_path / "out").mkdir()
    assert beside(result, tmp_path / "out") is None
    # A link in the folder leads out of it.
    (tmp_path / "out/photos").symlink_to(tmp_path / "photos")
    assert beside(result, tmp_path / "out") is None


def test_other_files_of_the_same_names_are_not_the_audited_ones(tmp_path: Path) -> None:
    result = _audited(tmp_path / "photos", "photos")
    for path in result.ranking["path"]:
        (tmp_path / "photos" / path).write_bytes(b"other")
    assert beside(result, tmp_path) is None


@pytest.mark.parametrize("source", ["", "\0", "x" * 9000, "..", "/", "~"])
def test_no_source_breaks_it(tmp_path: Path, source: str) -> None:
    result = make_result(n=20, hostile=True)
    dataset = {**result.summary["dataset"], "source": source}
    assert beside(dataclasses.replace(result, summary={**result.summary, "dataset": dataset}), tmp_path) is None


def test_texts_have_no_files(tmp_path: Path) -> None:
    assert beside(as_kind(_audited(tmp_path, "photos"), "text"), tmp_path) is None
