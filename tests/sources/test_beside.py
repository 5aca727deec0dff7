"""Columns without a role: each kind of manifest keeps them, and those that clearly name groups are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.errors import SourceError
from auditor.sources import open_source
from auditor.sources.base import ImageTable
from auditor.sources.beside import MOST_VALUES, Gathering, beside_digest, grouping
from auditor.sources.frames import frame_table
from auditor.sources.manifest_spec import Layout

N = 40


def _frame() -> pd.DataFrame:
    """Rows whose file names run against their order, so that a table sorts them anew."""
    at = np.arange(N)
    return pd.DataFrame(
        {
            "path": [f"{N - row:03d}.png" for row in at],
            "label": ["cat", "dog"] * (N // 2),
            "camera": ["north"] * 15 + [""] * 10 + ["=1+1"] * 15,
            "annotator": [f"{row % 3}" for row in at],
            "second_label": ["dog", "cat"] * (N // 2),
            "taken": [f"{row / 7:.3f}" for row in at],
            "one": ["same"] * N,
        }
    )


def _written(folder: Path, kind: str) -> ImageTable:
    frame = _frame()
    for path in frame["path"]:
        (folder / path).write_bytes(b"x")
    file = folder / f"list.{kind}"
    if kind == "csv":
        frame.to_csv(file, index=False)
    elif kind == "parquet":
        frame.to_parquet(file)
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    else:
        return frame_table(frame, Layout(root=str(folder)))
    return open_source(str(file))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "frame"])
def test_each_manifest_gives_the_same_groups_in_the_order_of_its_items(tmp_path: Path, kind: str) -> None:
    found = grouping(_written(tmp_path, kind), ())
    wanted = _frame().sort_values("path")
    assert list(found.columns) == ["camera", "annotator"]
    assert [list(values) for values in found.columns.values()] == [list(wanted["camera"]), list(wanted["annotator"])]
    assert found.passed_over == {
        "second_label": "it holds names of classes",
        "taken": "its values are many",
        "one": "it has one value",
    }


def test_texts_and_rows_of_a_table_have_groups_too(tmp_path: Path) -> None:
    frame = _frame().drop(columns=["path"]).assign(text=[f"words number {row}" for row in range(N)])
    frame.to_csv(tmp_path / "texts.csv", index=False)
    assert list(grouping(open_source(str(tmp_path / "texts.csv")), ()).columns) == ["camera", "annotator"]


def test_a_named_column_is_taken_as_it_is_and_a_missing_one_is_named(tmp_path: Path) -> None:
    table = _written(tmp_path, "csv")
    assert list(grouping(table, ("taken",)).columns) == ["taken"]
    with pytest.raises(SourceError, match="has no column 'cameras' that can name groups") as caught:
        grouping(table, ("cameras",))
    assert caught.value.hint == "did you mean 'camera'?"


def test_splits_are_groups_of_every_source(tmp_path: Path) -> None:
    frame = _frame()[["path", "label"]].assign(split=["train"] * 30 + ["test"] * 10)
    for path in frame["path"]:
        (tmp_path / path).write_bytes(b"x")
    frame.to_csv(tmp_path / "list.csv", index=False)
    found = grouping(open_source(str(tmp_path / "list.csv")), ())
    assert found.columns["split"].count("test") == 10


def test_fewer_items_have_fewer_values(tmp_path: Path) -> None:
    table = _written(tmp_path, "csv")
    few = table.narrowed(table.frame.iloc[::2])
    assert few.beside is not None and list(few.beside["camera"]) == list(table.beside["camera"])[::2]  # type: ignore[index]
    names = table.frame["path"].tolist()[3:7]
    assert grouping(table, ()).of(table, names).columns["annotator"] == grouping(table, ()).columns["annotator"][3:7]


def test_a_column_that_names_items_is_let_go_while_it_is_read() -> None:
    gathering = Gathering({0: "id", 1: "camera", 2: "twice", 3: "twice", 4: ""})
    for row in range(MOST_VALUES + 5):
        gathering.add((row, row % 2, "a", "b", "c"))
    frame = gathering.frame()
    assert frame is not None
    assert list(frame.columns) == ["camera"] and len(frame) == MOST_VALUES + 5


def test_another_value_of_a_column_is_another_data_set(tmp_path: Path) -> None:
    table = _written(tmp_path, "csv")
    paths = table.frame["path"].tolist()
    before = beside_digest(table, paths)
    assert before and before == beside_digest(_written(tmp_path, "csv"), paths) != beside_digest(table, paths[1:])
    assert beside_digest(table.narrowed(table.frame.iloc[5:]), paths[5:]) == beside_digest(table, paths[5:])
    text = (tmp_path / "list.csv").read_text()
    (tmp_path / "list.csv").write_text(text.replace("north", "south"))
    assert beside_digest(open_source(str(tmp_path / "list.csv")), paths) != before
