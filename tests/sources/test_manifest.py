"""Manifests: three formats, one table; every fault named with file and row."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hostile import HOSTILE_NAMES, hostile_folder, png
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source
from auditor.sources.manifest import parse_spec
from auditor.sources.no_label import is_error_value
from auditor.sources.spelling import merged

FORMATS = ("csv", "tsv", "jsonl", "parquet")


def write(folder: Path, rows: Sequence[dict[str, str]], kind: str = "csv", encoding: str = "utf-8") -> str:
    """A manifest of the given rows; returns its file name."""
    file = folder / f"labels.{kind}"
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.Table.from_pylist(list(rows)), file)
        return str(file)
    text = io.StringIO()
    if kind == "jsonl":
        text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if kind == "tsv" else ",", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    file.write_bytes(text.getvalue().encode(encoding))
    return str(file)


def images(folder: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png(number % 256))
    return folder


def rows(table: ImageTable) -> list[tuple[str, str, str]]:
    return list(table.frame.itertuples(index=False, name=None))


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


def raw(folder: Path, data: bytes, name: str = "labels.csv") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return images(tmp_path, "a.png", "b.png", "sub/c.png")


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_agree(three: Path, kind: str) -> None:
    file = write(
        three,
        [
            {"path": "sub/c.png", "note": "x,\ty", "label": "cat", "split": "Validation"},
            {"path": "b.png", "note": "", "label": "dog, big", "split": "train"},
            {"path": "./a.png", "note": "", "label": "cat", "split": ""},
        ],
        kind,
    )
    table = open_source(file)
    assert rows(table) == [("a.png", "cat", ""), ("b.png", "dog, big", "train"), ("sub/c.png", "cat", "val")]
    assert table.read("sub/c.png") == png(2)
    assert table.locate("a.png") == str(three / "a.png")
    assert table.root == str(three)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_encodings_that_say_what_they_are(three: Path, kind: str, encoding: str) -> None:
    file = write(three, [{"path": "a.png", "label": "żółw"}, {"path": "b.png", "label": "猫"}], kind, encoding)
    assert [row[1] for row in rows(open_source(file))] == ["żółw", "猫"]


def test_other_encodings_are_refused_with_row_and_byte(three: Path) -> None:
    file = raw(three, "path,label\na.png,cat\nb.png,caf\xe9\n".encode("cp1252"))
    with pytest.raises(SourceError, match=r"labels.csv, row 3: byte 31 \(0xe9\) is not UTF-8\n") as caught:
        open_source(file)
    assert "Windows-1252" in caught.value.hint


def test_utf16_without_mark_is_refused(three: Path) -> None:
    with pytest.raises(SourceError, match=r"row 1: holds a NUL character"):
        open_source(raw(three, "path,label\na.png,cat\n".encode("utf-16-le")))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_blank_lines(three: Path, end: str) -> None:
    file = raw(three, f"path,label{end}a.png,cat{end}{end}b.png,dog".encode())
    assert rows(open_source(file)) == [("a.png", "cat", ""), ("b.png", "dog", "")]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_found_by_the_header(three: Path, delimiter: str) -> None:
    file = raw(three, f"path{delimiter}label\na.png{delimiter}cat, tabby\n".encode())
    assert rows(open_source(file)) == [("a.png", "cat, tabby", "")]


def test_chosen_columns(three: Path) -> None:
    file = write(three, [{"file": "a.png", "worst,label": "cat", "part": "dev", "label": "dog", "split": "test"}])
    assert rows(open_source(f"{file}::label=worst,label,path=file,split=part")) == [("a.png", "cat", "val")]
    assert rows(open_source(f"{file}::path=file")) == [("a.png", "dog", "test")]


@pytest.mark.parametrize("choice", ["label", "label=", "colour=x", "label=a,label=b", ""])
def test_choices_that_cannot_be_understood(three: Path, choice: str) -> None:
    file = write(three, [{"path": "a.png", "label": "x"}])
    with pytest.raises(SourceError, match=r"cannot understand"):
        open_source(f"{file}::{choice}")


def test_a_file_with_colons_in_its_name(three: Path) -> None:
    name = str(three / "odd.csv::label=x.csv")
    Path(name).write_text("path,label\na.png,cat\n")
    assert parse_spec(name) == (name, {})
    assert rows(open_source(name)) == [("a.png", "cat", "")]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("column", ["path", "label"])
def test_missing_columns(three: Path, kind: str, column: str) -> None:
    row = {"path": "a.png", "label": "cat", "Label2": "x"}
    row[column.upper() + "S"] = row.pop(column)
    with pytest.raises(SourceError, match=f"row 1: there is no column '{column}'; it has ") as caught:
        open_source(write(three, [row], kind))
    assert f"{column}={column.upper()}S" in caught.value.hint


def test_a_named_split_column_must_be_there(three: Path) -> None:
    file = write(three, [{"path": "a.png", "label": "cat"}])
    with pytest.raises(SourceError, match=r"no column 'fold'"):
        open_source(f"{file}::split=fold")


def test_a_column_twice(three: Path) -> None:
    with pytest.raises(SourceError, match=r"row 1: there are 2 columns 'label'"):
        open_source(raw(three, b"path,label,label\na.png,x,y\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\na.png,cat\nb.png\n", "row 3: 1 fields, but the header has 2"),
        ("path,label\na.png,cat,tabby\n", "row 2: 3 fields, but the header has 2"),
        ('path,label\na.png,"cat\nb.png,dog\n', "the row after row 1, which ends at line 3, is not valid CSV"),
        ('path,label\na.png,cat\nb.png,"c"at\n', "the row after row 2, which ends at line 3, is not valid CSV"),
        ('path,label\na.png,"' + "x" * 200_000 + '"\n', "field larger than field limit"),
        ("path,label\na.png,cat\n,dog\n", "row 3: '' is no file path"),
        ("path,label\na.png,cat\nsub/,dog\n", "row 3: 'sub/' is no file path"),
        ("path,label,split\na.png,cat,holdout\n", "row 2: 'holdout' is not a split"),
        ("path,label\na.png,cat\nmissing.png,dog\n", r"1 image cannot be used: row 3 \(missing.png\): No such file"),
        ("path,label\na.png,cat\nsub,dog\n", r"row 3 \(sub\): a folder, not a file"),
        ("path,label\n" + "x" * 300 + ".png,cat\n", "File name too long"),
    ],
)
def test_faulty_rows_are_named(three: Path, text: str, words: str) -> None:
    with pytest.raises(SourceError, match=r"labels.csv") as caught:
        open_source(raw(three, text.encode()))
    assert caught.match(words)
    assert caught.value.hint


def test_three_bad_rows_are_named_and_the_others_counted(three: Path) -> None:
    for path, words in (("missing{}.png", "5 images cannot be used"), ("../out{}.png", "5 paths are absolute or lead")):
        text = "path,label\na.png,cat\n" + "".join(path.format(number) + ",dog\n" for number in range(5))
        with pytest.raises(SourceError, match=words) as caught:
            open_source(raw(three, text.encode()))
        assert caught.match(r"row 3 .*; row 4 .*; row 5 .*; and 2 more\n") and "row 6" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('["a.png", "cat"]', "not a JSON object"),
        ('{"path": "a.png", "label": 1.5}', "'label' must be text or a whole number, not float"),
        ('{"path": "a.png", "label": [true]}', "not list"),
        ('{"path": {"x": 1}, "label": "cat"}', "'path' must be text"),
        ('{"path": null, "label": "cat"}', "'' is no file path"),
        ('{"path": "a\\u0000.png", "label": "cat"}', "is no file path"),
        ('{"path": "a.png", "label": "\\ud800"}', "half a surrogate pair"),
        ('{"path": "\\udfff.png", "label": "cat"}', "half a surrogate pair"),
        ('{"path": "a.png", "label": "cat", "split": "\\ud83dx"}', "half a surrogate pair"),
        ('{"path": "a.png", "\\ud83d": "cat"}', "no column 'label'"),
        ('{"path": "a.png", "label": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
)
def test_faulty_json_lines_are_named(three: Path, line: str, words: str) -> None:
    text = '{"path": "b.png", "label": "dog"}\n\n' + line + "\n"
    with pytest.raises(SourceError, match=f"labels.jsonl, row 3: .*{words}"):
        open_source(raw(three, text.encode(), "labels.jsonl"))


def test_numbers_as_labels(three: Path) -> None:
    text = b'{"path": "a.png", "label": 3}\n{"path": "b.png", "label": 8, "split": null}\n'
    assert [row[1] for row in rows(open_source(raw(three, text, "l.ndjson")))] == ["3", "8"]


def test_line_separators_inside_json_text_do_not_end_a_line(three: Path) -> None:
    text = '{"path": "a.png", "label": "one\u2028two\u0085three"}\n'
    assert rows(open_source(raw(three, text.encode(), "l.jsonl")))[0][1] == "one\u2028two\u0085three"


@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_empty_files(three: Path, name: str, data: bytes) -> None:
    with pytest.raises(SourceError, match=f"{name} is empty"):
        open_source(raw(three, data, name))


def test_a_header_alone(three: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no labelled image"):
        open_source(raw(three, b"path,label\n"))


def test_damaged_parquet(three: Path) -> None:
    pytest.importorskip("pyarrow")
    file = Path(write(three, [{"path": "a.png", "label": "cat"}], "parquet"))
    whole = file.read_bytes()
    for data in (b"PAR1", whole[:100], whole[:20] + bytes(40) + whole[60:], b"not at all"):
        with pytest.raises(SourceError, match=r"not a readable Parquet file"):
            open_source(raw(three, data, "labels.parquet"))


def test_parquet_kinds_of_columns(three: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    columns = {
        "path": arrow.array(["a.png", "b.png", "sub/c.png"]).dictionary_encode(),
        "label": arrow.array([3, None, 8], arrow.int16()),
    }
    parquet.write_table(arrow.table(columns), three / "l.parquet")
    table = open_source(str(three / "l.parquet"))
    assert rows(table) == [("a.png", "3", ""), ("sub/c.png", "8", "")]
    assert reasons(table) == {"b.png": "row 2 has no label"}


def test_parquet_without_pyarrow(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"needs pyarrow") as caught:
        open_source(raw(three, b"PAR1", "labels.parquet"))
    assert "auditor[parquet]" in caught.value.hint


def test_rows_that_repeat_or_contradict(tmp_path: Path) -> None:
    images(tmp_path, *"abcdefg")
    text = "path,label,split\na,x,\na,x,\n./a,x,\nb,x,\nb,y,\nc,x,train\nc,x,test\nd,,\ne, ,\nf,x,\ng,y,\n"
    table = open_source(raw(tmp_path, text.encode()))
    assert rows(table) == [("a", "x", ""), ("f", "x", ""), ("g", "y", "")]
    assert reasons(table) == {
        "a": "rows 3, 4 repeat row 2",
        "b": "the manifest gives several labels: 'x' in row 5; 'y' in row 6",
        "c": "the manifest gives several splits: 'train' in row 7; 'test' in row 8",
        "d": "row 9 has no label",
        "e": "row 10 has no label",
    }


def test_only_contradictions_leave_nothing(three: Path) -> None:
    with pytest.raises(SourceError, match=r"several labels: 'x' in row 2; 'y' in row 3"):
        open_source(raw(three, b"path,label\na.png,x\na.png,y\n"))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.png", "sub/../../secret.png", "sub/../a.png", "C:\\a.png", "c:/a.png", "\\a.png"]
)
def test_paths_that_lead_out_are_refused(three: Path, path: str) -> None:
    file = write(three, [{"path": "a.png", "label": "x"}, {"path": path, "label": "y"}])
    with pytest.raises(SourceError, match=r"labels.csv: 1 path is absolute or leads upwards: row 3") as caught:
        open_source(file)
    assert "--allow-outside" in caught.value.hint


def test_paths_that_lead_out_when_allowed(tmp_path: Path) -> None:
    images(tmp_path, "set/a.png", "secret.png")
    text = f"path,label\na.png,x\n../secret.png,y\n{tmp_path}//secret.png,y\n"
    table = open_source(raw(tmp_path / "set", text.encode()), allow_outside=True)
    assert [row[0] for row in rows(table)] == ["../secret.png", f"{tmp_path}/secret.png", "a.png"]
    assert table.read("../secret.png") == table.read(f"{tmp_path}/secret.png") == png(1)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    hostile_folder(tmp_path / "set")
    for path in ("b/escape.png", "b/escape-folder/secret.png", "b/passwd.png"):
        file = raw(tmp_path / "set", f"path,label\na/good0.png,x\n{path},y\n".encode())
        with pytest.raises(SourceError, match=r"row 3 .*outside the root") as caught:
            open_source(file)
        assert "--allow-outside" in caught.value.hint
    assert len(open_source(file, allow_outside=True).frame) == 2


@pytest.mark.parametrize("path", ["b/pipe.png", "b/socket.png", "b/pipe-link.png", "b/loop.png"])
def test_special_files_are_refused_without_opening(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile_folder(tmp_path / "set")
    file, opened, real = raw(tmp_path / "set", f"path,label\n{path},y\n".encode()), list[str](), os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **more: opened.append(str(name)) or real(name, *rest, **more))
    with pytest.raises(SourceError, match=f"row 2 .{path}"):
        open_source(file)
    assert opened == [file]


def test_a_manifest_that_is_a_pipe_or_folder_or_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SourceError, match=r"folder\.csv holds no labelled image"):  # a folder may be called anything
        open_source(str(tmp_path / "folder.csv"))
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(SourceError, match=r"cannot read the manifest .*a named pipe, not a file"):
        open_source(str(tmp_path / "pipe.csv"))
    with pytest.raises(SourceError, match=r"cannot read the manifest .*No such file"):
        open_source(str(tmp_path / "none.csv"))
    with pytest.raises(SourceError, match=r"cannot read the manifest .*No such file"):
        open_source(str(tmp_path / "none.csv") + "::label=x")


def test_hostile_names_survive(tmp_path: Path) -> None:
    hostile_folder(tmp_path / "set")
    file = write(tmp_path / "set", [{"path": f"a/{name}", "label": name} for name in HOSTILE_NAMES])
    table = open_source(file)
    assert {path: label for path, label, _ in rows(table)} == {f"a/{name}": name for name in HOSTILE_NAMES}


LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
    lambda text: not text.isspace() and not is_error_value(text)  # hypothesis tries the words of our own code
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(labels=["one\u2028two\u0085three"], kind="jsonl", encoding="utf-8")
@given(
    labels=st.lists(LABELS, min_size=1, max_size=8).filter(lambda labels: not merged(labels)[0]),
    kind=st.sampled_from(FORMATS),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_label_survives_any_format(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], kind: str, encoding: str
) -> None:
    folder = images(tmp_path_factory.mktemp("trip"), *(f"{number}.png" for number in range(len(labels))))
    file = write(
        folder,
        [{"path": f"{number}.png", "label": label, "other": label} for number, label in enumerate(labels)],
        kind,
        "utf-8" if kind == "parquet" else encoding,
    )
    assert [row[1] for row in rows(open_source(file))] == labels


PIECES = [b"path", b"label", b"a.png", b",", b'"', b"\n", b"\r", b"\xff", b"\0", b"{", b"}", b":", b"null", b"1"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(data=b'{"path": "a.png", "\\ud83d": "cat"}', name="l.jsonl")
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from(PIECES)).map(b"".join),
    ),
    name=st.sampled_from(["l.csv", "l.jsonl", "l.parquet", "l.tsv"]),
)
def test_any_bytes_give_a_table_or_one_clear_error(three: Path, data: bytes, name: str) -> None:
    try:
        table = open_source(raw(three, data, name))
    except SourceError as error:
        str(error).encode("utf-8")
    else:
        assert set(table.frame["path"]) <= {"a.png", "b.png", "sub/c.png"}


def test_cifar10n(shared_data: Path) -> None:
    table = open_source(str(shared_data / "cifar10n" / "labels.csv") + "::label=worst_label")
    truth = open_source(str(shared_data / "cifar10n" / "labels.csv") + "::label=clean_label")
    assert len(table.frame) == 10_000
    assert abs((table.frame["label"] != truth.frame["label"]).mean() - 0.4) < 0.02


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_of_groups_goes_with_its_images(tmp_path: Path, kind: str) -> None:
    images(tmp_path, "b.png", "a.png", "c.png")
    entries = [
        {"path": "b.png", "label": "cat", "group": "one"},
        {"path": "a.png", "label": "dog", "group": "one"},
        {"path": "a.png", "label": "dog", "group": "one"},
        {"path": "c.png", "label": "dog", "group": ""},
    ]
    file = write(tmp_path, entries, kind)
    assert open_source(file).groups == ("one", "one", "")
    assert open_source(f"{file}::group=label").groups == ("dog", "cat", "dog")
    with pytest.raises(SourceError, match="no column 'family'"):
        open_source(f"{file}::group=family")
    assert open_source(write(tmp_path, [{k: e[k] for k in ("path", "label")} for e in entries], kind)).groups is None
