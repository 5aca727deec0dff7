"""`review apply` writes texts, rows, and items of a program back in the format in which they came."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from builders import as_kind, make_result
from hypothesis import given, settings
from hypothesis import strategies as st
from review_files import looks_at, written

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review import apply
from auditor.sources import open_source
from auditor.sources.amended_text import DROPPED, csv_with, json_with
from auditor.sources.base import IN_MEMORY, content_hash
from auditor.sources.manifest import Layout

N = 24


def _case(folder, kind, write, *, source=None, **chosen):
    """A result about a manifest in `folder`, and the manifest's table. `write` gives its name and its bytes."""
    result = as_kind(make_result(n=N), kind)
    order = sorted(result.ranking["path"])
    label = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
    name, data = write([(f'say "{place}",\nso', label[path]) for place, path in enumerate(order)])
    (folder / name).write_bytes(data)
    table = open_source(str(folder / name), layout=Layout(kind=kind, label=chosen.get("label", "")))
    renamed = dict(zip(order, table.frame["path"], strict=True))
    hashes = {path: hashlib.sha256(table.read(path)).hexdigest() for path in table.frame["path"]}
    dataset = {**result.summary["dataset"], "source": source or str(folder / name), "hashes": hashes}
    ranking = result.ranking.assign(path=result.ranking["path"].map(renamed))
    summary = {**result.summary, "dataset": dataset, "settings": {**result.settings, "kind": kind, **chosen}}
    result = AuditResult(summary, ranking, result.planted, result.evidence)
    (folder / "out").mkdir()
    result.save(folder / "out")
    return result, table


def _decided(folder, result, **words):
    """Decisions about the first suspects: one word each."""
    hashes, entries = result.summary["dataset"]["hashes"], []
    rows = result.ranking[["path", "label", "suggested_label"]].itertuples(index=False)
    for (path, label, other), word in zip(rows, words["words"], strict=False):
        new = other if word == "relabel" else None
        entry = {"path": path, "hash": hashes[path], "label": label, "decision": word, "new_label": new}
        entries.append({**entry, "time": "2026-01-01T00:00:00Z", "how": "rank"})
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id, "decisions": entries}
    (folder / "decisions.json").write_text(json.dumps(document))
    return folder / "decisions.json"


def _text_csv(items):
    rows = "".join('"{}",{},"  kept as it is "\r\n'.format(text.replace('"', '""'), label) for text, label in items)
    return "reviews.csv", b"\xef\xbb\xbf" + ("text,label,note\r\n" + rows).encode()


def test_a_text_manifest_keeps_every_other_byte(tmp_path):
    result, _ = _case(tmp_path, "text", _text_csv)
    words = ("relabel", "keep", "drop", "unsure", "relabel")
    applied = apply(tmp_path / "out", _decided(tmp_path, result, words=words))
    assert applied.data.name == "cleaned.csv" and applied.counts["relabelled"] == 2
    assert f"({N - 1} texts)" in applied.text and "--kind text" in applied.text
    before = list(csv.reader(io.StringIO((tmp_path / "reviews.csv").read_text("utf-8-sig"), newline="")))
    wanted = [list(row) for row in before]
    gone = None
    for (path, other), word in zip(
        result.ranking[["path", "suggested_label"]].itertuples(index=False), words, strict=False
    ):
        row = int(path.removeprefix("row-")) - 1
        if word == "relabel":
            wanted[row][1] = other
        gone = row if word == "drop" else gone
    del wanted[gone]
    data = applied.data.read_bytes()
    assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))) == wanted
    assert data.startswith(b"\xef\xbb\xbftext,label,note\r\n") and data.count(b'"  kept as it is "\r\n') == N - 1
    again = open_source(str(applied.data), layout=Layout(kind="text"))
    assert len(again.frame) == N - 1
    assert not any((tmp_path / "out" / "reviewed").glob("row-*")), "no file stands beside the manifest"


def test_a_table_keeps_its_columns_and_a_label_column_of_any_name(tmp_path):
    def write(items):
        lines = [{"sex": None, "age": place, "species": label, "x": [1, 2]} for place, (_, label) in enumerate(items)]
        return "rows.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode()

    result, _ = _case(tmp_path, "table", write, label="species")
    applied = apply(tmp_path / "out", _decided(tmp_path, result, words=("relabel", "relabel")))
    before = (tmp_path / "rows.jsonl").read_text().splitlines()
    after = applied.data.read_text().splitlines()
    changed = [place for place, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert applied.data.suffix == ".jsonl" and len(changed) == 2
    for place in changed:
        old, new = json.loads(before[place]), json.loads(after[place])
        assert list(old) == list(new) and {**old, "species": new["species"]} == new != old
    assert "--kind table --label species" in applied.text and "rows)" in applied.text


def test_parquet_keeps_its_types(tmp_path):
    def write(items):
        out = io.BytesIO()
        labels = arrow.array([label for _, label in items]).dictionary_encode()
        columns = {"label": labels, "n": arrow.array(range(N), arrow.int8()), "t": [text for text, _ in items]}
        parquet.write_table(arrow.table(columns), out)
        return "rows.parquet", out.getvalue()

    result, _ = _case(tmp_path, "table", write)
    applied = apply(tmp_path / "out", _decided(tmp_path, result, words=("relabel", "drop")))
    old, new = parquet.read_table(tmp_path / "rows.parquet"), parquet.read_table(applied.data)
    assert new.schema == old.schema and new.num_rows == N - 1
    path, label = result.ranking.loc[0, ["path", "suggested_label"]]
    row = new.column("n").to_pylist().index(int(path.removeprefix("row-")) - 1)
    assert new.column("label")[row].as_py() == label


def test_items_of_a_program_are_named(tmp_path):
    result, _ = _case(tmp_path, "text", _text_csv, source=IN_MEMORY)
    applied = apply(tmp_path / "out", _decided(tmp_path, result, words=("relabel", "drop")))
    rows = list(csv.DictReader(applied.data.open()))
    label = dict(zip((row["path"] for row in rows), (row["label"] for row in rows), strict=True))
    assert len(rows) == N - 1 and label[result.ranking["path"][0]] == result.ranking["suggested_label"][0]
    assert "into your program" in applied.text


def test_texts_are_no_folder_and_a_changed_text_is_not_applied(tmp_path):
    result, _ = _case(tmp_path, "text", _text_csv)
    decided = _decided(tmp_path, result, words=("keep",))
    with pytest.raises(DecisionsError, match="only images can be written as a folder, and this audit is of texts"):
        apply(tmp_path / "out", decided, format="folder")
    path = tmp_path / "reviews.csv"
    path.write_bytes(path.read_bytes().replace(b"say", b"said"))
    with pytest.raises(DecisionsError, match=r"has changed since the audit\n.*review this text"):
        apply(tmp_path / "out", decided)
    assert not (tmp_path / "out" / "reviewed").exists()


_CELL = st.text(st.sampled_from('ab",;\n\r\t \u00e4\u202e='), max_size=6)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(_CELL, st.sampled_from(["x", "y z", 'q"q']), _CELL), min_size=1, max_size=6), st.data())
def test_csv_changes_one_field_whatever_stands_around_it(rows, data):
    out = io.StringIO()
    style = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    csv.writer(out, quoting=style).writerows([("text", "label", "more"), *rows])
    at, new = data.draw(st.integers(2, len(rows) + 1)), data.draw(st.sampled_from(["x", 'a "b"', "c,d", " e"]))
    drop = data.draw(st.integers(2, len(rows) + 1))
    edits = {at: new, drop: DROPPED}
    found = list(csv.reader(io.StringIO(csv_with(out.getvalue(), ",", "label", lambda raw: edits), newline="")))
    wanted = [
        [text, edits.get(number, label), more]
        for number, (text, label, more) in enumerate(rows, start=2)
        if edits.get(number) is not DROPPED
    ]
    assert found == [["text", "label", "more"], *wanted]
    assert csv_with(out.getvalue(), ",", "label", lambda raw: {}) == out.getvalue()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('[ {"label": "a", "n": 1.50},\n {"n": 2, "label" :"b"} , {"label":"a"} ]\n', '[\n {"n": 2, "label" :"x"} ]\n'),
        ('{"label":"a"}\r\n{"label":"b", "s":"\\u00e4"}\r\n{"label":"a"}\r\n', '{"label":"x", "s":"\\u00e4"}\r\n'),
        ('{"label": {"0": "a", "1": "b", "2": "a"}, "n": {"0": 1, "1": 2, "2": 3}}', None),
    ],
)
def test_json_changes_one_value(text, after):
    edits = {1: DROPPED, 2: "x", 3: DROPPED}
    changed = json_with(text, "label", lambda raw: edits, lines=False)
    assert changed == after if after is not None else json.loads(changed) == [{"label": "x", "n": 2}]
    if after is not None:
        assert json_with(text, "label", lambda raw: {}, lines=False) == text


def test_features_of_the_users_keep_a_line_for_each_row(tmp_path):
    numpy = pytest.importorskip("numpy")
    result, _ = _case(tmp_path, "text", _text_csv)
    numpy.save(tmp_path / "x.npy", numpy.zeros((N, 2), numpy.float32))
    chosen = {**result.summary["settings"], "features": str(tmp_path / "x.npy")}
    dataclasses.replace(result, summary={**result.summary, "settings": chosen}).save(tmp_path / "out")
    applied = apply(tmp_path / "out", _decided(tmp_path, result, words=("drop",)))
    rows = list(csv.DictReader(io.StringIO(applied.data.read_text("utf-8-sig"), newline="")))
    assert len(rows) == N and sum(not row["label"] for row in rows) == 1
    assert f"--features {tmp_path / 'x.npy'}" in applied.text


def test_the_certificate_and_the_ledger_speak_of_the_cleaned_texts(tmp_path, run_cli):
    result, _ = _case(tmp_path, "text", _text_csv)
    assert run_cli("review", "sample", tmp_path / "out", "-n", 12).exit_code == 0
    items = json.loads((tmp_path / "out" / "sample.json").read_text())["items"]
    truth = {item["path"]: item["label"] for item in items}
    decided = written(tmp_path / "d.json", result, looks_at(result, items, truth))
    dropped = json.loads(decided.read_text())
    dropped["decisions"][3].update(decision="drop", new_label=None)
    decided.write_text(json.dumps(dropped))
    applied = apply(tmp_path / "out", decided)
    again = open_source(str(applied.data), layout=Layout(kind="text"))
    hashes = [hashlib.sha256(again.read(path)).hexdigest() for path in again.frame["path"]]
    assert len(again.frame) == N - 1
    certificate = json.loads((applied.folder / "certificate.json").read_text())
    assert certificate["content_hash"] == content_hash(again.frame["path"], hashes, again.frame["label"])
    looks = json.loads(applied.ledger.read_text())["looks"]
    assert len({look["hash"] for look in looks} & set(hashes)) == len(looks) - 1 == 11
