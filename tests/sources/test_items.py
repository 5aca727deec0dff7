"""Texts and rows of a table as items: three formats, one table; what cannot be judged is skipped and named."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import ImageTable, items, open_source
from auditor.sources.manifest import Layout

FORMATS = ("csv", "csv.gz", "tsv", "json", "jsonl", "parquet")

ROWS: list[dict[str, Any]] = [
    {"id": "b/2", "text": "good, very\ngood", "age": 3, "label": "up", "split": "train", "group": "x"},
    {"id": "a", "text": 'a "quoted" one', "age": None, "label": "down", "split": "Test", "group": None},
    {"id": "c", "text": "=cmd()|' /C calc'!A0", "age": 4, "label": "up", "split": "", "group": "x"},
]


def write(folder: Path, rows: Sequence[dict[str, Any]], kind: str = "csv") -> str:
    """The rows as a file of one kind; returns its name."""
    file = folder / f"items.{kind}"
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.Table.from_pylist(list(rows)), file)
        return str(file)
    if kind in ("json", "jsonl"):
        lines = [json.dumps(row) for row in rows]
        file.write_text("[" + ",".join(lines) + "]" if kind == "json" else "\n".join(lines), encoding="utf-8")
        return str(file)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if kind == "tsv" else ",")
    writer.writeheader()
    writer.writerows([{k: "" if v is None else v for k, v in row.items()} for row in rows])
    data = text.getvalue().encode()
    if kind.endswith(".gz"):
        import gzip

        data = gzip.compress(data)
    file.write_bytes(data)
    return str(file)


def raw(folder: Path, text: str, name: str = "items.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return str(folder / name)


def as_table(file: str, label: str = "") -> ImageTable:
    return open_source(file, layout=Layout(kind="table", label=label))


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_texts_agree(tmp_path: Path, kind: str) -> None:
    table = open_source(write(tmp_path, ROWS, kind))
    assert table.kind == "text" and table.cells is None and table.locate("a") is None
    assert table.frame.to_dict("list") == {
        "path": ["a", "b/2", "c"],
        "label": ["down", "up", "up"],
        "split": ["test", "train", ""],
    }
    assert table.groups == ("", "x", "x")
    assert table.places is not None and table.places.tolist() == [1, 0, 2] and table.n_places == 3
    for row in ROWS:
        assert table.read(row["id"]).decode() == table.excerpt(row["id"]) == row["text"]


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_tables_agree_to_the_byte(tmp_path: Path, kind: str) -> None:
    table = as_table(write(tmp_path, ROWS, kind))
    assert table.kind == "table" and table.cells is not None
    assert table.cells["age"].tolist() == [None, "3", "4"] or kind == "parquet"
    assert set(table.cells.columns) == {"text", "age"}, "label, split, group and id are no cells"
    expected = json.dumps({"age": "4", "text": ROWS[2]["text"]}, separators=(",", ":"))
    assert table.read("c").decode() == expected
    assert hashlib.sha256(table.read("c")).hexdigest() == hashlib.sha256(expected.encode()).hexdigest()
    assert table.excerpt("b/2") == "text: good, very good\nage: 3"


def test_the_order_of_columns_does_not_change_the_content_of_a_row(tmp_path: Path) -> None:
    one = as_table(raw(tmp_path, "a,b,label\n1,2,x\n3,4,y\n", "one.csv"))
    other = as_table(raw(tmp_path, "label,b,a\nx,2,1\ny,4,3\n", "other.csv"))
    assert one.read("row-000002") == other.read("row-000002") == b'{"a":"1","b":"2"}'


def test_kinds_are_told_from_the_columns_and_said(tmp_path: Path) -> None:
    text = open_source(raw(tmp_path, "text,label\nhi,a\nho,b\n", "t.csv"))
    assert text.kind == "text" and "read as texts" in text.notes[0]
    file = raw(tmp_path, "age,sex\n1,a\n2,b\n", "r.csv")
    rows = open_source(file, layout=Layout(label="sex"))
    assert rows.kind == "table" and "read as a table" in rows.notes[0]
    assert open_source(f"{file}::label=sex", layout=Layout(kind="table")).frame["label"].tolist() == ["a", "b"]
    asked = open_source(str(tmp_path / "t.csv"), layout=Layout(kind="table"))
    assert asked.kind == "table" and not asked.notes and asked.cells is not None and "text" in asked.cells
    named = open_source(raw(tmp_path, "body,y\nhi,a\nho,b\n", "n.csv"), layout=Layout(columns="text=body,label=y"))
    assert named.kind == "text" and named.read("row-000003") == b"ho"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(), "--kind table --label COLUMN"),
        (Layout(kind="table"), "there is no column 'label'.*\n.*--label COLUMN"),
        (Layout(kind="table", label="sexx"), "no column 'sexx'.*\n.*label=sex"),
        (Layout(kind="text"), "no column 'text'"),
        (Layout(kind="image"), "no column 'path'"),
        (Layout(kind="table", label="sex", root="."), "have no root"),
        (Layout(kind="table", columns="path=age,label=sex"), "of kind table has no column for 'path'"),
        (Layout(kind="table", columns="label=sex", label="sex"), "named twice"),
    ],
)
def test_words_that_do_not_fit_get_a_sentence(tmp_path: Path, layout: Layout, message: str) -> None:
    with pytest.raises(SourceError, match=f"(?s){message}"):
        open_source(raw(tmp_path, "age,sex\n1,a\n2,b\n"), layout=layout)


def test_a_kind_that_a_source_does_not_have_is_refused() -> None:
    with pytest.raises(SourceError, match="kind image, not text"):
        open_source("digits", layout=Layout(kind="text"))
    with pytest.raises(SourceError, match="neither a root nor columns"):
        open_source("breast-cancer", layout=Layout(label="x"))


def test_items_that_nobody_can_judge_are_skipped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "LONGEST_TEXT", 20)
    rows = [
        {"text": "fine", "label": "a"},
        {"text": "", "label": "a"},
        {"text": " \u200b\u202e\t", "label": "a"},
        {"text": "x" * 21, "label": "b"},
        {"text": "no label", "label": " "},
        {"text": "half \ud800", "label": "b"},
        {"text": "مرحبا", "label": "b"},
    ]
    table = open_source(write(tmp_path, rows, "jsonl"))
    assert table.frame["path"].tolist() == ["row-000001", "row-000007"]
    assert reasons(table) == {
        "row-000002": items.EMPTY_TEXT,
        "row-000003": items.EMPTY_TEXT,
        "row-000004": "it has 21 characters, more than the limit of 20",
        "row-000005": items.NO_LABEL,
        "row-000006": items.NOT_UTF8,
    }
    with pytest.raises(SourceError, match="no labelled item; the first, row-000001: the text is empty"):
        open_source(write(tmp_path, rows[1:3], "jsonl"))


def test_a_text_longer_than_csvs_own_limit_is_read_and_that_limit_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = open_source(raw(tmp_path, f'text,label\n"{"long " * 60_000}",a\nshort,b\n'))
    assert len(table.read("row-000002")) == 300_000 and csv.field_size_limit() == before


def test_a_row_without_a_value_is_skipped(tmp_path: Path) -> None:
    table = as_table(raw(tmp_path, "a,b,label\n1,,x\n , ,y\n2,,y\n"))
    assert reasons(table) == {"row-000003": items.EMPTY_ROW} and len(table.frame) == 2


def test_bytes_that_are_not_utf8_are_refused_with_their_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"text,label\ngood,a\nbad \xff,b\n")
    with pytest.raises(SourceError, match=r"t\.csv, row 3: byte 23 \(0xff\) is not UTF-8"):
        open_source(str(tmp_path / "t.csv"))


@pytest.mark.parametrize("ids", [["a", "a"], ["a", ""], ["a", "../b"], ["a", "/b"], ["a", "c:\\b"], ["a", "b\n"]])
def test_ids_that_cannot_name_items_give_way_to_rows(tmp_path: Path, ids: list[str]) -> None:
    rows = [{"id": name, "text": f"text {at}", "label": "ab"[at]} for at, name in enumerate(ids)]
    table = open_source(write(tmp_path, rows, "jsonl"))
    assert table.frame["path"].tolist() == ["row-000001", "row-000002"]
    assert any("called by their rows" in note for note in table.notes)


def test_two_columns_of_one_name_are_refused_where_it_matters(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there are 2 columns 'age'"):
        as_table(raw(tmp_path, "age,age,label\n1,2,a\n3,4,b\n"))
    with pytest.raises(SourceError, match="there are 2 columns 'text'"):
        open_source(raw(tmp_path, "text,text,label\n1,2,a\n3,4,b\n"))
    assert open_source(raw(tmp_path, "text,note,note,label\n1,2,3,a\n4,5,6,b\n")).kind == "text"


def test_a_label_that_measures_is_refused_and_whole_floats_are_classes(tmp_path: Path) -> None:
    prices = "".join(f"{n % 7},{n * 1.37:.2f}\n" for n in range(120))
    with pytest.raises(SourceError, match="'price' holds 120 different numbers in 120 rows, so it measures something"):
        as_table(raw(tmp_path, f"rooms,price\n{prices}"), "price")
    whole = "".join(f"{n % 7},{n}\n" for n in range(200))
    with pytest.raises(SourceError, match="measures something"):
        as_table(raw(tmp_path, f"rooms,price\n{whole}"), "price")
    table = as_table(raw(tmp_path, "x,label\n1,1.0\n2,2.0\n3,1\n"))
    assert table.frame["label"].tolist() == ["1", "2", "1"]
    stars = as_table(raw(tmp_path, "x,label\n" + "".join(f"{n},{n % 9 / 2}\n" for n in range(90))))
    assert stars.frame["label"].nunique() == 9, "half stars are classes"


def test_a_table_needs_a_column_beside_its_label_and_a_word_must_be_a_split(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column beside its labels"):
        as_table(raw(tmp_path, "label\na\nb\n"))
    with pytest.raises(SourceError, match="row 3: 'sometimes' is not a split"):
        as_table(raw(tmp_path, "x,label,split\n1,a,train\n2,b,sometimes\n"))


def test_hostile_cells_stay_text_and_nested_ones_become_json(tmp_path: Path) -> None:
    rows = [
        {"x": "<script>alert(1)</script>", "tags": ["a", {"b": 1}], "label": "=1+1"},
        {"x": "=HYPERLINK(1)", "tags": [], "label": "<b>"},
    ]
    table = as_table(write(tmp_path, rows, "jsonl"))
    assert table.excerpt("row-000001") == 'x: <script>alert(1)</script>\ntags: ["a", {"b": 1}]'
    assert sorted(table.frame["label"]) == ["<b>", "=1+1"]


def test_long_cells_are_cut_for_people_and_kept_for_the_hash(tmp_path: Path) -> None:
    table = as_table(write(tmp_path, [{"x": "y" * 5000, "label": "a"}, {"x": "z", "label": "b"}], "jsonl"))
    assert table.excerpt("row-000001") == f"x: {'y' * items.CELL_SHOWN}…"
    assert len(table.read("row-000001")) > 5000
    with pytest.raises(FileNotFoundError):
        table.read("row-000009")


def test_classes_of_hugging_face_are_named(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    features = {"text": {"dtype": "string"}, "label": {"names": ["sad", "glad"], "_type": "ClassLabel"}}
    table = arrow.table({"text": ["a", "b", "c"], "label": [0, 1, -1]})
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(meta), tmp_path / "t.parquet")
    opened = open_source(str(tmp_path / "t.parquet"))
    assert opened.frame["label"].tolist() == ["sad", "glad"] and reasons(opened) == {"row-000003": items.NO_LABEL}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=30), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was_or_is_named(tmp_path: Path, texts: list[str]) -> None:
    rows = [{"text": text, "label": "a"} for text in texts]
    try:
        table = open_source(write(tmp_path, rows, "jsonl"))
    except SourceError as error:
        assert "no labelled item" in error.message
        return
    left_out = reasons(table)
    for at, text in enumerate(texts, start=1):
        name = f"row-{at:06d}"
        assert (table.read(name).decode() == text) if name not in left_out else left_out[name] == items.EMPTY_TEXT
    assert len(table.frame) + len(left_out) == len(texts)


def test_the_samples_are_real_and_the_same_each_time() -> None:
    table = open_source("breast-cancer")
    assert table.frame["label"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    assert table.cells is not None and table.cells.shape == (569, 30)
    texts = open_source("docstrings")
    assert texts.frame["label"].nunique() >= 5 and len(texts.frame) > 500
    assert texts.frame.equals(open_source("docstrings").frame)
    assert "stats" in set(texts.frame["label"]) and all(map(texts.excerpt, texts.frame["path"]))
