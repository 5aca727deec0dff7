"""Folders that Hugging Face's `save_to_disk` writes: read without that package, and damaged ones get a sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from hostile import png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import open_source

IMAGE = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
SCHEMA = arrow.schema([("image", IMAGE), ("label", arrow.int64())]).with_metadata(
    {"huggingface": json.dumps({"info": {"features": FEATURES}})}
)


def rows(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"image": {"bytes": png(9 * k), "path": f"{k}.png"}, "label": k % 2} for k in range(first, first + n)]


def saved(folder: Path, *shards: list[dict[str, Any]], schema: arrow.Schema = SCHEMA) -> Path:
    """A data set in shards, as `datasets` 5.2 lays it down."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        with arrow.OSFile(str(folder / name), "wb") as sink, arrow.ipc.new_stream(sink, schema) as out:
            out.write_table(arrow.Table.from_pylist(shard, schema=schema))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


def test_shards_and_splits_give_their_images_by_the_names_of_their_classes(tmp_path: Path) -> None:
    one = open_source(str(saved(tmp_path / "one", rows(4), rows(2, 4))))
    assert one.frame["path"].tolist() == [f"{k}.png" for k in range(6)]
    assert one.frame["label"].tolist() == ["cat", "dog"] * 3 and one.name == "one"
    whole = tmp_path / "whole"
    for split, first in (("train", 0), ("test", 6)):
        saved(whole / split, rows(6, first))
    (whole / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    table = open_source(str(whole))
    assert table.frame["split"].value_counts().to_dict() == {"train": 6, "test": 6}
    read = pickle.loads(pickle.dumps(table.read))  # noqa: S301 - our own; so it is sent to another process
    for split, k in (("train", 3), ("test", 8)):
        assert table.read(f"{split}/{k}.png") == read(f"{split}/{k}.png") == png(9 * k)
    for path in ("train/8.png", "3.png", "val/3.png", ""):
        with pytest.raises(FileNotFoundError):
            table.read(path)


def test_images_without_a_label_are_left_out_and_named(tmp_path: Path) -> None:
    some = rows(4)
    some[2]["label"] = -1
    table = open_source(str(saved(tmp_path / "a", some)))
    assert len(table.frame) == 3 and [entry.path for entry in table.skipped] == ["2.png"]


WRONG = {
    "a way up": ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "no file beside it"),
    "a path": ("state.json", '{"_data_files": [{"filename": "/etc/passwd"}]}', "no file beside it"),
    "no files": ("state.json", '{"_data_files": []}', "names no part"),
    "an odd list": ("state.json", '{"_data_files": [1, null]}', "no file beside it"),
    "a lost shard": ("state.json", '{"_data_files": [{"filename": "data-00001-of-00002.arrow"}]}', "cannot be used"),
    "no JSON": ("state.json", "{", "cannot read state.json"),
    "nested JSON": ("state.json", "[" * 100_000, "cannot read state.json"),
    "no Arrow": ("data-00000-of-00001.arrow", "nothing of the kind", "is damaged"),
    "an empty file": ("data-00000-of-00001.arrow", "", "is damaged"),
    "a split upwards": ("dataset_dict.json", '{"splits": ["../a"]}', "no file beside it"),
    "a lost split": ("dataset_dict.json", '{"splits": ["train"]}', "cannot read train/state.json"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said_in_a_sentence(kind: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", rows(4))
    name, text, words = WRONG[kind]
    (folder / name).write_text(text)
    with pytest.raises(SourceError, match=words) as failed:
        open_source(str(folder))
    assert failed.value.hint and "\n" not in failed.value.message


def test_a_shard_that_is_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    other, folder = saved(tmp_path / "other", rows(4)), saved(tmp_path / "a", rows(4))
    shard = folder / "data-00000-of-00001.arrow"
    shard.unlink()
    shard.symlink_to(other / shard.name)
    with pytest.raises(SourceError, match="outside the root"):
        open_source(str(folder))
    assert len(open_source(str(folder), allow_outside=True).frame) == 4


def test_data_sets_without_images_say_what_they_lack(tmp_path: Path) -> None:
    texts = arrow.schema([("text", arrow.string()), ("label", arrow.int64())])
    folder = saved(tmp_path / "texts", [{"text": "a", "label": 0}, {"text": "b", "label": 1}], schema=texts)
    with pytest.raises(SourceError, match="no column 'path'"):
        open_source(str(folder))
    names = arrow.schema([("path", arrow.string()), ("label", arrow.int64())])
    folder = saved(tmp_path / "names", [{"path": "a.png", "label": 0}], schema=names)
    with pytest.raises(SourceError, match="holds no images"):
        open_source(str(folder))


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_of_a_shard_gives_a_table_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "a"
    shard = saved(folder, rows(4)) / "data-00000-of-00001.arrow"
    whole = bytearray(shard.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    shard.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        table = open_source(str(folder))
        for path in table.frame["path"]:
            table.read(path)
    except (SourceError, OSError) as error:
        assert str(error)
