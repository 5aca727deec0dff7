"""What spreadsheets, pandas and Hugging Face's Hub leave in manifests."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hostile import png

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source, unpack

FILES = ("img/a.png", "img/b.png", "img/c.png")
PLAIN = [("img/a.png", "cat", ""), ("img/b.png", "dog", ""), ("img/c.png", "cat", "")]
BODY = "img/a.png;cat\r\nimg/b.png;dog\r\nimg/c.png;cat\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for number, name in enumerate(FILES):
        (tmp_path / name).write_bytes(png(number))
    return tmp_path


def rows(table: ImageTable) -> list[tuple[str, str, str]]:
    return list(table.frame.itertuples(index=False, name=None))


def opened(folder: Path, content: str | bytes, name: str = "labels.csv") -> ImageTable:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(str(folder / name))


@pytest.mark.parametrize(
    "text",
    [
        "path;label\r\n" + BODY + ";\r\n" * 4,
        "path;label\r\n" + BODY + ";;;;\r\n" + " ; \r\n" + "\r\n",
        "path;label;\r\n" + BODY.replace("\r\n", ";\r\n"),
        "path;label\r\n" + BODY.replace("\r\n", ";;\r\n"),
        "sep=;\r\npath;label\r\n" + BODY,
        '"sep=;"\npath;label\n' + BODY,
        "sep=|\npath|label\n" + BODY.replace(";", "|"),
        "\ufeffsep=;\r\npath;label\r\n" + BODY,
        "path|label\n" + BODY.replace(";", "|"),
        "path\tlabel\n" + BODY.replace(";", "\t"),
        "path, label\n" + BODY.replace(";", ", "),
        "path, label\n" + BODY.replace(";cat", ', "cat"').replace(";", ", "),
        ",path,label\n0,img/a.png,cat\n1,img/b.png,dog\n2,img/c.png,cat\n",
        "Unnamed: 0,path,label\n0,img/a.png,cat\n1,img/b.png,dog\n2,img/c.png,cat\n",
        '"path";"label"\r\n' + '"img/a.png";"cat"\r\n"img/b.png";"dog"\r\n"img/c.png";"cat"',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write_is_read(folder: Path, text: str, encoding: str) -> None:
    table = opened(folder, text.lstrip("\ufeff").encode(encoding))
    assert rows(table) == PLAIN
    assert table.skipped == () and table.notes == ()


NEAR = ("Path;Label", "FILE_NAME;Class", "image path; LABEL", "File Name;Category", "filename;target", "img;class_name")


@pytest.mark.parametrize("header", NEAR)
@pytest.mark.parametrize("name", ["l.csv", "l.json", "l.jsonl", "l.parquet"])
def test_columns_whose_names_come_near_are_read_and_that_is_said(folder: Path, header: str, name: str) -> None:
    names = [column.strip() for column in header.split(";")]
    table = written(folder, header + "\n" + BODY, name)
    assert rows(table) == PLAIN
    assert table.notes == (f"The table's columns were read so: '{names[0]}' as path and '{names[1]}' as label.",)
    assert table.origin is not None and table.origin.label == names[1]


def written(folder: Path, text: str, name: str) -> ImageTable:
    """A table with `;` between its fields, written in the format of the name, and opened."""
    frame = pd.read_csv(io.StringIO(text), sep=";", dtype=str, skipinitialspace=True)
    file = folder / name
    if name.endswith("csv"):
        file.write_text(text)
    elif name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=name.endswith("l"))
    return open_source(str(file))


@pytest.mark.parametrize("name", ["l.csv", "l.json", "l.parquet"])
def test_a_split_or_group_in_another_case_counts_unless_its_words_are_no_splits(folder: Path, name: str) -> None:
    body = "img/a.png;cat;train;g\nimg/b.png;dog;test;h\nimg/c.png;cat;val;g\n"
    table = written(folder, "path;label;Split;Group\n" + body, name)
    assert [split for *_, split in rows(table)] == ["train", "test", "val"] and table.groups == ("g", "h", "g")
    assert table.notes == ("The table's columns were read so: 'Split' as split and 'Group' as group.",)
    table = written(folder, "path;label;Split\n" + body.replace(";g", "").replace(";h", "").replace("test", "7"), name)
    assert rows(table) == PLAIN and "'Split' holds words that are no splits" in table.notes[0]


@pytest.mark.parametrize("header", ["File;Image;label", "path;class;category", "Path;PATH;label", "a;b;c"])
def test_columns_that_could_be_meant_twice_are_not_guessed(folder: Path, header: str) -> None:
    with pytest.raises(SourceError, match="there is no column"):
        opened(folder, header + "\n" + BODY.replace(";", ";x;"))


def test_all_columns_that_are_missing_are_named_at_once(folder: Path) -> None:
    with pytest.raises(SourceError, match="no column 'path'; it has 'a', 'labels'") as caught:
        opened(folder, "a;labels\n" + BODY)
    assert "FILE::path=COLUMN,label=labels" in caught.value.hint


def test_a_text_manifest_in_another_case_is_read_too(folder: Path) -> None:
    table = opened(folder, "Sentence,Class,ID,Split\nhello,a,x,train\nbye,b,y,test\n")
    assert table.kind == "text" and rows(table) == [("x", "a", "train"), ("y", "b", "test")]
    assert "'Sentence' as text and 'Class' as label and 'Split' as split and 'ID' as id" in table.notes[1]
    assert table.origin is not None and table.origin.label == "Class"


@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE:", ""])
def test_absolute_paths_below_the_root_are_inside_it(folder: Path, start: str) -> None:
    (folder / "img" / "b c.png").write_bytes(png(9))
    name = "b%20c.png" if start else "b c.png"
    text = f"path,label\n{start}{folder}/img/a.png,cat\n{start}{folder}/img/{name},dog\n"
    assert rows(opened(folder, text)) == [("img/a.png", "cat", ""), ("img/b c.png", "dog", "")]
    with pytest.raises(SourceError, match="absolute or leads upwards: row 2"):
        opened(folder, f"path,label\n{start}/etc/img/a.png,cat\n")
    with pytest.raises(SourceError, match="absolute or leads upwards"):
        opened(folder, f"path,label\n{start}{folder}/../img/a.png,cat\n")


@pytest.mark.parametrize("address", ["https://host/a.png", "s3://bucket/a.png", "gs://b/a.png"])
def test_files_elsewhere_are_not_fetched_and_that_is_said(folder: Path, address: str) -> None:
    with pytest.raises(SourceError) as caught:
        opened(folder, f"path,label\n{address},cat\nimg/b.png,dog\n")
    assert "fetched" in caught.value.hint


@pytest.mark.parametrize("error", ["#N/A", "#VALUE!", " #REF! ", "Err:502", "#NV"])
def test_the_error_of_a_spreadsheet_is_no_label(folder: Path, error: str) -> None:
    table = opened(folder, f"path,label\nimg/a.png,cat\nimg/b.png,{error}\nimg/c.png,dog\n")
    assert [row[:2] for row in rows(table)] == [("img/a.png", "cat"), ("img/c.png", "dog")]
    assert f"row 3 has no label: '{error.strip()}' is a spreadsheet's error" in table.skipped[0].reason
    table = opened(folder, f"text,label\nhello,cat\nbye,{error}\nso,dog\n")
    assert len(table.frame) == 2 and "is a spreadsheet's error" in table.skipped[0].reason


MAPS = {
    "labels by path": {path: label for path, label, _ in PLAIN},
    "paths by label": {"cat": ["img/a.png", "img/c.png"], "dog": ["img/b.png"]},
    "split": {"columns": ["path", "label"], "index": [0, 1, 2], "data": [[p, label] for p, label, _ in PLAIN]},
    "index": {str(at): {"path": p, "label": label} for at, (p, label, _) in enumerate(PLAIN)},
    "table": {"schema": {}, "data": [{"index": 0, "path": p, "label": label} for p, label, _ in PLAIN]},
}


@pytest.mark.parametrize("form", MAPS)
def test_other_forms_of_json_are_read(folder: Path, form: str) -> None:
    table = opened(folder, json.dumps(MAPS[form]), "l.json")
    assert rows(table) == PLAIN
    assert table.origin is not None
    changed = json.loads(table.origin.amended({"img/a.png": "dog"}, frozenset({"img/c.png"}), keep_rows=False))
    if form == "labels by path":
        assert changed == {"img/a.png": "dog", "img/b.png": "dog"}
    elif form == "paths by label":
        assert changed == {"cat": [], "dog": ["img/a.png", "img/b.png"]}
    (folder / "again.json").write_text(json.dumps(changed))
    assert rows(open_source(str(folder / "again.json"))) == [("img/a.png", "dog", ""), ("img/b.png", "dog", "")]


def test_rows_are_counted_with_the_line_for_excel(folder: Path) -> None:
    with pytest.raises(SourceError, match="row 3: 3 fields"):
        opened(folder, "sep=;\npath;label\nimg/a.png;cat;x\n")


@pytest.mark.parametrize("text", ["img/a.png,cat\nimg/b.png,dog\n", "1;cat;C:\\x\\a.JPG\n", "sep=;\nimg/a.png;cat\n"])
def test_a_missing_header_is_said(folder: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"row [12]: this row looks like data") as caught:
        opened(folder, text)
    assert "path and label" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("img/a", "'img/a.png' exists: write each name with its ending"),
        ("IMG/A.PNG", "'img/a.png' exists: write the names in the same upper and lower case"),
        ("img/nothing.png", "paths begin in the manifest's folder"),
    ],
)
def test_a_missing_file_gets_a_hint_of_what_is_there(folder: Path, path: str, hint: str) -> None:
    with pytest.raises(SourceError, match="cannot be used") as caught:
        opened(folder, f"path,label\n{path},cat\nimg/b.png,dog\n")
    assert hint in caught.value.hint


NFC, NFD = (unicodedata.normalize(form, "fa\u00e7ade") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("path", "disk"),
    [
        (f"{NFC}/1.png", f"{NFD}/1.png"),
        (f"{NFD}/1.png", f"{NFC}/1.png"),
        (f"x/{NFC}.png", f"x/{NFD}.png"),
        (" img/a.png", "img/a.png"),
        ("img/a.png ", "img/a.png"),
        ("img\\a.png", "img/a.png"),
    ],
)
def test_a_path_in_another_form_is_found_and_that_is_said(folder: Path, path: str, disk: str) -> None:
    (folder / disk).parent.mkdir(exist_ok=True)
    (folder / disk).write_bytes(png(9))
    table = opened(folder, f"path,label\n{path},cat\nimg/b.png,dog\n")
    assert set(table.frame["path"]) == {disk, "img/b.png"}
    assert table.read(disk) == png(9)
    assert len(table.notes) == 1 and "spelled in another way on the disk" in table.notes[0]


def test_two_forms_of_a_name_on_the_disk_are_not_guessed(folder: Path) -> None:
    for name in (f"{NFC}.png ", f"{NFD}.png"):
        (folder / name).write_bytes(png(1))
    with pytest.raises(SourceError, match="cannot be used"):
        opened(folder, f"path,label\n{NFC}.png,cat\nimg/b.png,dog\n")


def test_a_path_is_not_found_outside_the_root(folder: Path) -> None:
    (folder / "set").mkdir()
    (folder / "set" / "out").symlink_to(folder / "img")
    with pytest.raises(SourceError, match="outside the root"):
        opened(folder / "set", "path,label\nout/a.png ,cat\n out/b.png,dog\nout/c.png,cat\n")
    with pytest.raises(SourceError, match="upwards"):
        opened(folder / "set", "path,label\n..\\img\\a.png,cat\n../img/b.png,dog\n")


def test_paths_that_differ_in_case_and_are_one_file_count_once(folder: Path) -> None:
    """A hard link stands for a disk that ignores case."""
    os.link(folder / "img/a.png", folder / "img/A.PNG")
    table = opened(folder, "path,label\nimg/a.png,cat\nimg/b.png,dog\nimg/A.PNG,cat\n")
    assert rows(table) == PLAIN[:2]
    assert "names in another case too" in table.notes[0]
    assert table.skipped[0].reason == "row 4 repeats row 2"


def test_two_files_that_differ_in_case_are_two_images(folder: Path) -> None:
    (folder / "img/A.png").write_bytes(png(7))
    table = opened(folder, "path,label\nimg/a.png,cat\nimg/b.png,dog\nimg/A.png,cat\n")
    assert len(table.frame) == 3 and table.notes == ()


def test_a_row_that_repeats_another_in_another_spelling_is_no_contradiction(folder: Path) -> None:
    table = opened(folder, "path,label\nimg/a.png,cat\nimg/a.png,cat \nimg/b.png,dog\n")
    assert rows(table) == PLAIN[:2]
    assert table.skipped[0].reason == "row 3 repeats row 2"


TRUTHS: list[Any] = [True, False, True]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (TRUTHS, ["True", "False", "True"]),
        ([1.0, 0.0, 1.0], ["1", "0", "1"]),
        ([1, 0, 1], ["1", "0", "1"]),
        (["1.0", "0", "1"], ["1", "0", "1"]),
        (["true", "false", "True"], ["True", "false", "True"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "table.json", "parquet"])
def test_numbers_and_truth_values_as_labels(folder: Path, labels: list[Any], classes: list[str], kind: str) -> None:
    frame, file = pd.DataFrame({"path": FILES, "label": labels}), folder / f"labels.{kind}"
    if kind == "csv":
        frame.to_csv(file)
        if labels == [1.0, 0.0, 1.0]:
            classes = ["1.0", "0.0", "1.0"] if isinstance(labels[0], float) else classes
    elif kind == "jsonl":
        frame.to_json(file, orient="records", lines=True)
    elif kind == "json":
        frame.to_json(file, orient="records")
    elif kind == "table.json":
        frame.to_json(file)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(file)
    assert [label for _, label, _ in rows(open_source(str(file)))] == classes


def test_mixed_kinds_of_one_label_in_json_lines(folder: Path) -> None:
    values = [("img/a.png", 1.0), ("img/b.png", "1.0"), ("img/c.png", 1)]
    text = "\n".join(json.dumps({"path": path, "label": label}) for path, label in values)
    assert {label for _, label, _ in rows(opened(folder, text, "l.jsonl"))} == {"1"}


def test_whole_floats_beside_missing_ones_in_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"path": FILES, "label": [1.0, None, 0.0]}).to_parquet(folder / "l.parquet")
    table = open_source(str(folder / "l.parquet"))
    assert [label for _, label, _ in rows(table)] == ["1", "0"]
    assert table.skipped[0].reason == "row 2 has no label"


@pytest.mark.parametrize("label", [1.5, 1e300, [1], {"a": 1}])
def test_other_kinds_of_label_are_refused_with_what_to_do(folder: Path, label: object) -> None:
    with pytest.raises(SourceError, match="must be text or a whole number") as caught:
        opened(folder, json.dumps({"path": "img/a.png", "label": label}), "l.jsonl")
    assert "save the column as text or whole numbers" in caught.value.hint


@pytest.mark.parametrize("name", ["l.json", "l.jsonl"])
def test_an_array_of_objects(folder: Path, name: str) -> None:
    text = json.dumps([{"path": path, "label": label} for path, label, _ in PLAIN], indent=2)
    assert rows(opened(folder, text, name)) == PLAIN
    with pytest.raises(SourceError, match="row 2: not a JSON object"):
        opened(folder, '[{"path": "img/a.png", "label": "x"}, 3]', name)
    with pytest.raises(SourceError, match="not valid JSON"):
        opened(folder, '[{"path": "img/a.png", "label": "x"}', name)


def test_json_lines_under_the_name_of_json(folder: Path) -> None:
    text = "".join(json.dumps({"path": path, "label": label}) + "\n" for path, label, _ in PLAIN)
    assert rows(opened(folder, text, "l.json")) == PLAIN


def test_json_of_another_kind_names_what_it_has(folder: Path) -> None:
    with pytest.raises(SourceError, match="no column 'path'; it has 'images'"):
        opened(folder, '{"images": [{"id": 1}], "annotations": []}', "coco.json")


def zipped(data: bytes, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return out.getvalue()


PACKED = {
    "l.csv.gz": gzip.compress,
    "l.CSV.GZ": gzip.compress,
    "l.csv.bz2": bz2.compress,
    "l.csv.xz": lzma.compress,
    "l.csv.zip": lambda data: zipped(data, "l.csv", "__MACOSX/._l.csv"),
}


@pytest.mark.parametrize("name", PACKED)
def test_compressed_manifests_are_read(folder: Path, name: str) -> None:
    data = ("path;label\n" + BODY).encode()
    assert rows(opened(folder, PACKED[name](data), name)) == PLAIN
    whole = PACKED[name](data * 50)
    for damaged in (whole[: len(whole) // 2], b"not packed", whole[:20] + bytes(20) + whole[40:]):
        with pytest.raises(SourceError):
            opened(folder, damaged, name)


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_is_refused_before_it_fills_the_memory(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_UNPACKED_BYTES", 3 << 20)
    with pytest.raises(SourceError, match="unpacks to more than"):
        opened(folder, PACKED[name](bytes(8 << 20)), name)


def test_an_archive_of_several_files_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="holds 2 files, not one manifest") as caught:
        opened(folder, zipped(b"path,label\n", "a.csv", "b.csv"), "l.csv.zip")
    assert "unpack it" in caught.value.hint


def hub(folder: Path, *, paths: list[Any], names: list[str] | None = None, **more: Any) -> Path:
    """A table as `datasets` writes it."""
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    pictures = [{"bytes": png(number), "path": path} for number, path in enumerate(paths)]
    table = arrow.table({"img": pictures, "label": [0, 1, 0], **more})
    if names is not None:
        features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, folder / "hub.parquet")
    return folder / "hub.parquet"


def test_images_inside_a_table_are_read(folder: Path) -> None:
    table = open_source(str(hub(folder, paths=["0.png", "x/1.png", "2.png"], names=["cat", "dog"])))
    assert rows(table) == [("0.png", "cat", ""), ("2.png", "cat", ""), ("x/1.png", "dog", "")]
    assert table.read("x/1.png") == png(1)
    assert table.locate("x/1.png") is None
    assert table.notes == ("The table's columns were read so: 'img' as path.",)
    with pytest.raises(FileNotFoundError):
        table.read("img/a.png")


@pytest.mark.parametrize(
    "paths", [[None] * 3, ["a.png"] * 3, ["../a.png", "b.png", "c.png"], ["/etc/passwd", "b", "c"]]
)
def test_images_without_a_plain_name_are_named_by_their_row(folder: Path, paths: list[Any]) -> None:
    table = open_source(str(hub(folder, paths=paths)))
    assert rows(table) == [("00001", "0", ""), ("00002", "1", ""), ("00003", "0", "")]
    assert [table.read(path) for path in table.frame["path"]] == [png(0), png(1), png(2)]


@pytest.mark.parametrize("metadata", ["{", "[]", "null", '{"info": 3}', '{"info": {"features": {"label": 3}}}'])
def test_metadata_of_another_kind_are_ignored(folder: Path, metadata: str) -> None:
    import pyarrow.parquet as parquet

    file = hub(folder, paths=[None] * 3)
    parquet.write_table(parquet.read_table(file).replace_schema_metadata({"huggingface": metadata}), file)
    assert {label for _, label, _ in rows(open_source(str(file)))} == {"0", "1"}


def test_a_table_of_two_columns_of_images_asks(folder: Path) -> None:
    extra = [{"bytes": png(9), "path": None}] * 3
    file = hub(folder, paths=[None] * 3, mask=extra)
    with pytest.raises(SourceError, match="no column 'path'; it has 'img', 'label', 'mask'"):
        open_source(str(file))
    assert open_source(f"{file}::path=mask").read("00001") == png(9)


def test_cifar10_as_the_hub_has_it(shared_data: Path) -> None:
    table = open_source(str(shared_data / "cifar10-test" / "test-00000-of-00001.parquet"))
    assert len(table.frame) == 5000
    assert sorted(table.frame["label"].unique())[:3] == ["airplane", "automobile", "bird"]
    assert table.read("00000.jpg")[:2] == b"\xff\xd8"
