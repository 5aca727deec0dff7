"""The pages are true to the code: settings, links, and where the benchmarks' figures come from."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from helpers import PROJECT

PAGES = sorted(
    path
    for folder in (
        PROJECT,
        PROJECT / "docs",
        PROJECT / "docs" / "api",
        PROJECT / "integrations",
        PROJECT / "benchmarks",
    )
    for path in folder.glob("*.md")
)
LINK = re.compile(r"\]\(([^)\s#]+)")
RESULTS = sorted((PROJECT / "benchmarks" / "results").glob("*.csv"))
STAMP = ["commit", "date", "machine", "versions"]


def test_the_settings_page_says_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("make_settings", PROJECT / "docs" / "make_settings.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python docs/make_settings.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_site_leads_to_every_page() -> None:
    nav = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    missing = [page.name for page in (PROJECT / "docs").glob("*.md") if f": {page.name}\n" not in nav]
    assert not missing, "`make docs` stops at them"


def test_no_page_names_a_place_on_a_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|Users)/")
    assert [page.name for page in PAGES if places.search(page.read_text(encoding="utf-8"))] == []


def test_modules_that_the_architecture_names_exist() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|js|html)|\w+/)`", text)
    roots = (PROJECT / "auditor", PROJECT)
    assert len(named) > 40
    assert [name for name in named if not any((root / name).exists() for root in roots)] == ["photos/"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_every_row_of_results_ends_with_where_it_comes_from(path: Path) -> None:
    frame = pd.read_csv(path)
    assert list(frame.columns[-4:]) == STAMP and len(frame)


def test_the_results_page_names_every_file_of_results() -> None:
    text = (PROJECT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in RESULTS if f"`{path.name}`" not in text] == []


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    return importlib.import_module("rows")


def test_rows_are_appended_with_their_stamp(rows: ModuleType, tmp_path: Path) -> None:
    rows.append("one", pd.DataFrame([{"a": 1, "b": "x, y"}]), tmp_path)
    path = rows.append("one", pd.DataFrame([{"a": 2, "c": 0.5}, {"a": 3, "c": 1.5}]), tmp_path)
    found = pd.read_csv(path)
    assert list(found.columns) == ["a", "b", "c", *STAMP]
    assert list(found["a"]) == [1, 2, 3] and found["b"].fillna("").to_list() == ["x, y", "", ""]
    assert found["date"].notna().all() and found["machine"].notna().all() and found["versions"].notna().all()
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


def test_a_table_has_the_stamps_of_the_records_it_is_made_of(rows: ModuleType, tmp_path: Path) -> None:
    old = [dict.fromkeys(STAMP, "old") | {"a": 1}, dict.fromkeys(STAMP, "new") | {"a": 2}]
    path = rows.append("one", pd.DataFrame([{"mean": 1.5}]), tmp_path, of=old)
    rows.append("one", pd.DataFrame([{"mean": 2.5}]), tmp_path)
    assert pd.read_csv(path)["commit"][0] == "new; old"
    assert list(rows.newest("one", tmp_path)["mean"]) == [2.5]
    assert rows.newest("two", tmp_path).empty


def test_an_interrupted_benchmark_finds_its_records_again(rows: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert rows.kept(path) == [] and rows.kept(None) == []
    kept = rows.keep(path, {"a": pd.Series([1]).max(), "b": [1.5]})
    assert rows.kept(path) == [{**kept, "a": 1}]
    assert rows.keep(None, {"a": 1})["date"] == kept["date"]
