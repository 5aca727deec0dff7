"""Tar files with samples, as webdataset writes them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hostile import png
from test_archives import reasons, rows, tarred

from auditor.errors import SourceError
from auditor.sources import open_source

SAMPLES = {
    "000.png": png(0),
    "000.cls": b"3\n",
    "001.jpg": png(1),
    "001.json": json.dumps({"label": "cat", "caption": "x"}).encode(),
    "002.PNG": png(2),
    "002.json": b"7",
}


def test_the_samples_of_one_tar(tmp_path: Path) -> None:
    table = open_source(str(tarred(tmp_path / "a.tar", SAMPLES)))
    assert rows(table) == [("000.png", "3", ""), ("001.jpg", "cat", ""), ("002.PNG", "7", "")]
    assert table.read("001.jpg") == png(1)
    assert table.notes == ("The tar files were read as samples of an image and its label.",)


@pytest.mark.parametrize("spec", ["shards", "shards/train-{000..001}.tar"])
def test_several_tar_files_are_one_data_set(spec: str, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    tarred(tmp_path / "shards" / "train-000.tar", SAMPLES)
    tarred(tmp_path / "shards" / "train-001.tar", {"000.png": png(9), "000.cls": b"3"})
    (tmp_path / "shards" / "index.json").write_text("{}")
    table = open_source(str(tmp_path / spec))
    assert [row for row in rows(table) if row[0].startswith("train-001")] == [("train-001/000.png", "3", "train")]
    assert len(table.frame) == 4
    read = pickle.loads(pickle.dumps(table.read))  # noqa: S301 - our own
    assert read("train-001/000.png") == png(9) and read("train-000/000.png") == png(0)
    with pytest.raises(FileNotFoundError):
        table.read("train-002/000.png")


def test_what_is_no_whole_sample_is_left_out_and_named(tmp_path: Path) -> None:
    odd = {
        "a.png": b"1",
        "b.cls": b"3",
        "c.png": b"1",
        "c.jpg": b"1",
        "c.cls": b"3",
        "d.png": b"1",
        "d.json": b"{broken",
        "e.png": b"1",
        "e.json": b'{"caption": "no label"}',
        "f.png": b"1",
        "f.cls": b"\xff\xfe",
        "g.png": b"1",
        "g.json": b"[" * 100_000,
    }
    table = open_source(str(tarred(tmp_path / "a.tar", SAMPLES | odd)))
    assert len(table.frame) == 3
    said = reasons(table)
    assert said["a.png"] == said["e.png"] == "the sample has no label"
    assert said["b"] == "the sample holds no image" and said["c"] == "the sample holds 2 images"
    for path in ("d.png", "f.png", "g.png"):
        assert said[path].startswith("the sample's label cannot be read"), path


def test_a_missing_tar_file_is_said(tmp_path: Path) -> None:
    tarred(tmp_path / "train-0.tar", SAMPLES)
    with pytest.raises(SourceError, match=r"there is no file .*train-1.tar"):
        open_source(str(tmp_path / "train-{0..1}.tar"))
    with pytest.raises(SourceError):
        open_source(str(tmp_path / "train-{0..999999999}.tar"))
