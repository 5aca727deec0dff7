"""Links to files near the page: only to pictures that the audit saw, by ways that tell nothing of the machine."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from builders import as_kind, make_result

from auditor.report.originals import Originals, _way, beside
from auditor.result import AuditResult


def _audited(folder: Path, source: str) -> AuditResult:
    """A result of 20 images with files of known content in `folder`."""
    result, hashes = make_result(n=20), {}
    for path in result.ranking["path"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
        hashes[path] = hashlib.sha256(path.encode()).hexdigest()
    dataset = {**result.summary["dataset"], "source": source, "root": "", "hashes": hashes}
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


@pytest.mark.parametrize(
    ("data", "out", "base"),
    [
        ("data", "out", "../data/"),
        ("data/photos", "runs/first", "../../data/photos/"),
        (".", "out", "../"),
        ("data", "results/2026/out", None),
        ("runs/data", "runs/2026/first", "../../data/"),
    ],
)
@pytest.mark.parametrize("named", ["as_written", "moved"])
def test_a_data_set_near_the_report_is_linked_by_a_way_that_names_nothing_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, out: str, base: str | None, named: str
) -> None:
    monkeypatch.chdir(tmp_path if named == "as_written" else tmp_path.parent)
    result = _audited(tmp_path / data, data)
    (tmp_path / out).mkdir(parents=True, exist_ok=True)
    assert beside(result, tmp_path / out) == (None if base is None else Originals(base, ()))


def test_a_way_over_the_root_or_between_two_homes_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _way(Path("/out"), Path("/data")) is None
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "ada"))
    assert _way(tmp_path / "ada/out", tmp_path / "bob/data") is None
    assert _way(tmp_path / "ada/out", tmp_path / "ada/data") == "../data/"


def test_a_link_is_followed_to_the_data_set_and_not_out_of_it(tmp_path: Path) -> None:
    result = _audited(tmp_path / "far/away/from/here/photos", "photos")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/photos").symlink_to(tmp_path / "far/away/from/here/photos")
    assert beside(result, tmp_path / "out") == Originals("photos/", ())
    # A browser goes up by the names in its address, so the report's folder is the one that the user named.
    (tmp_path / "far/away/out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far/away/out")
    (tmp_path / "photos").symlink_to(tmp_path / "far/away/from/here/photos")
    assert beside(result, tmp_path / "link") == Originals("../photos/", ())
    within = Path(result.ranking["path"].iloc[3])
    (tmp_path / "far/away/from/here/photos" / within.parent).rename(tmp_path / "elsewhere")
    (tmp_path / "far/away/from/here/photos" / within.parent).symlink_to(tmp_path / "elsewhere")
    found = beside(result, tmp_path / "out")
    assert found is not None and 3 in found.absent


@pytest.mark.parametrize("name", ["a/run.html", "a/run.svg", "a/no ending", "a/\udc80.png", "a\\b.png"])
def test_what_a_browser_would_run_or_cannot_address_is_not_linked(tmp_path: Path, name: str) -> None:
    result = _audited(tmp_path, "photos")
    try:
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"picture")
    except (OSError, UnicodeEncodeError):
        pytest.skip("no file here can have such a name")
    ranking = result.ranking.astype({"path": object})
    ranking.loc[4, "path"] = name
    assert beside(dataclasses.replace(result, ranking=ranking), tmp_path) == Originals("", (4,))


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
