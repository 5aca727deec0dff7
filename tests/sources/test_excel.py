"""Sheets of Excel as manifests: the one with the columns, its values as they were saved, and nothing hostile."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import few_images

from auditor.errors import SourceError
from auditor.sources import ImageTable, manifest_excel, open_source

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: pip install 'auditor[excel]'")


def book(path: Path, sheets: dict[str, list[list[Any]]], hidden: str = "") -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if title == hidden else "visible"
    made.save(path)
    return path


def images(folder: Path) -> list[list[Any]]:
    few_images(folder)
    return [[path.relative_to(folder).as_posix(), int(path.parent.name)] for path in sorted(folder.glob("*/*.png"))]


def found(table: ImageTable) -> list[tuple[str, str]]:
    return list(table.frame[["path", "label"]].itertuples(index=False, name=None))


def test_the_sheet_with_the_columns_is_read(tmp_path: Path) -> None:
    rows = images(tmp_path)
    wanted = sorted((path, str(label)) for path, label in rows)
    note = [["about this data", "2026"], ["made by", "us"]]
    plain = book(tmp_path / "a.xlsx", {"labels": [["File Name", "Class"], [None, None], *rows]})
    several = book(tmp_path / "b.xlsx", {"read me": note, "labels": [["path", "label"], *rows]})
    hidden = {"old": [["path", "label"], *rows[:3]], "labels": [["path", "label"], *rows]}
    by_pandas = tmp_path / "d.xlsx"
    pd.DataFrame(rows, columns=["path", "label"]).to_excel(by_pandas, index=False)
    for file in (plain, several, book(tmp_path / "c.xlsx", hidden, "old"), by_pandas):
        assert found(open_source(str(file))) == wanted
    with pytest.raises(SourceError, match="several sheets with labels: 'old', 'labels'"):
        open_source(str(book(tmp_path / "e.xlsx", hidden)))
    with pytest.raises(SourceError, match=r"row 3 \(missing"):
        open_source(str(book(tmp_path / "f.xlsx", {"a": [["path", "label"], rows[0], ["missing.png", 1], *rows]})))


def test_texts_of_a_sheet_come_back_as_csv_with_decisions(tmp_path: Path) -> None:
    rows = [[f"text {n}, with\na line", "good" if n % 2 else "bad"] for n in range(6)]
    table = open_source(str(book(tmp_path / "a.xlsx", {"a": [["text", "label"], *rows]})))
    assert table.kind == "text" and table.origin is not None and table.origin.ending == ".csv"
    first = table.frame["path"].iloc[0]
    again = pd.read_csv(io.BytesIO(table.origin.amended({first: "other"}, frozenset(), keep_rows=False)))
    assert again["label"].tolist().count("other") == 1 and again["text"].tolist() == [text for text, _ in rows]


def test_no_formula_is_computed_and_an_error_is_no_class(tmp_path: Path) -> None:
    rows = images(tmp_path)
    rows[0][1], rows[1][1] = '=HYPERLINK("http://host.example","3")', "#N/A"
    table = open_source(str(book(tmp_path / "a.xlsx", {"a": [["path", "label"], *rows]})))
    assert len(table.frame) == len(rows) - 2 and set(table.frame["label"]) == {"3", "8"}
    assert {entry.path for entry in table.skipped} == {rows[0][0], rows[1][0]}


def test_hostile_workbooks_get_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = book(tmp_path / "good.xlsx", {"a": [["path", "label"], ["a.png", "x"]]}).read_bytes()

    def changed(name: str, data: bytes) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
            for part in old.namelist():
                new.writestr(part, data if part == name else old.read(part))
        return made.getvalue()

    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>'
    cases = {
        "declares a document type": changed("xl/worksheets/sheet1.xml", bomb),
        "does not begin with an element": changed(
            "xl/worksheets/sheet1.xml", b"<!--" + b"a" * 5000 + b"-->" + bomb[21:]
        ),
        "encrypted": b"\xd0\xcf\x11\xe0" + bytes(100),
        "not a readable workbook": good[: len(good) // 2],
        "no sheet with a header": book(tmp_path / "e.xlsx", {"a": []}).read_bytes(),
    }
    for words, data in cases.items():
        (tmp_path / "x.xlsx").write_bytes(data)
        with pytest.raises(SourceError, match=words):
            open_source(str(tmp_path / "x.xlsx"))
    monkeypatch.setattr(manifest_excel, "MOST_UNPACKED", 100)
    with pytest.raises(SourceError, match="unpacks to more"):
        open_source(str(tmp_path / "good.xlsx"))


def test_a_cell_far_away_costs_nothing(tmp_path: Path) -> None:
    rows = images(tmp_path)
    file = book(tmp_path / "a.xlsx", {"a": [["path", "label"], *rows]})
    made = openpyxl.load_workbook(file)
    made["a"]["XFD2000"] = "far"
    made.save(file)
    assert len(open_source(str(file)).frame) == len(rows)
    assert json.dumps(found(open_source(str(file))))
