"""Features and probabilities of the user's own model, from files, beside a table: what fits, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import open_source
from auditor.sources.arrays_file import Block, block_of, read_block
from auditor.sources.base import Columns, ImageTable, make_table
from auditor.sources.given import beside
from auditor.sources.manifest import Layout

RNG = np.random.default_rng(7)


def _absent(path: str) -> bytes:
    raise FileNotFoundError(2, "No such file", path)


def _table(labels: list[str], paths: list[str] | None = None) -> ImageTable:
    paths = paths or [f"{i:03d}" for i in range(len(labels))]
    columns = Columns(paths, labels, places=range(len(labels)), n_places=len(labels))
    return make_table("t", "t", columns, read=_absent)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30, unique=True))
def test_each_item_keeps_its_own_row_however_the_table_is_sorted(numbers: list[int]) -> None:
    paths = [f"item {number}" for number in numbers]
    table = _table(["a", "b"] * len(paths), paths + [f"z{i}" for i in range(len(paths))])
    values = np.arange(2 * len(paths), dtype=np.float32)[:, None]
    found = beside(table, Block(values), None).given
    assert found is not None and found.features is not None
    row = dict(zip(table.frame["path"], found.features[:, 0], strict=True))
    assert [row[path] for path in paths] == list(range(len(paths)))
    named = beside(table, Block(values[::-1], tuple([*paths, *table.frame["path"][-len(paths) :]][::-1])), None).given
    assert named is not None and named.features is not None
    again = dict(zip(table.frame["path"], named.features[:, 0], strict=True))
    assert [again[path] for path in paths] == list(range(len(paths)))


@pytest.mark.parametrize("ending", ["npy", "npz", "parquet", "csv", "lists.parquet"])
def test_all_formats_give_the_same_numbers(tmp_path: Path, ending: str) -> None:
    values, names = RNG.normal(size=(12, 3)), [f"i{k}" for k in range(12)]
    file = tmp_path / f"f.{ending}"
    frame = pd.DataFrame(values, columns=["x", "y", "z"]).assign(path=names)
    if ending == "npy":
        np.save(file, values)
    elif ending == "npz":
        np.savez(file, features=values, paths=np.array(names))
    elif ending == "parquet":
        frame.to_parquet(file)
    elif ending == "csv":
        frame.to_csv(file, index=False)
    else:
        pd.DataFrame({"path": names, "embedding": list(values)}).to_parquet(file)
    block = read_block(str(file), "features")
    assert block.values.dtype == np.float32 and np.allclose(block.values, values, atol=1e-6)
    assert block.names == (None if ending == "npy" else tuple(names))


def _pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("f.npy", _pickled, "holds Python objects, which are never unpickled"),
        ("f.npy", lambda path: path.write_bytes(b"not numpy"), "cannot be read"),
        ("f.npy", lambda path: np.save(path, np.zeros(5)), r"has the shape \[5\]"),
        ("f.npy", lambda path: np.save(path, np.zeros((5, 0))), r"has the shape \[5, 0\]"),
        ("f.npy", lambda path: np.save(path, np.full((5, 2), "x")), "holds no numbers"),
        ("f.npz", lambda path: np.savez(path, a=np.zeros((5, 2)), b=np.zeros((5, 2))), "no array 'features'"),
        ("f.npz", lambda path: path.write_bytes(b"PK"), "cannot be read"),
        ("f.csv", lambda path: path.write_text("path,x,word\na,1,b\n"), "the column 'word' .* holds no numbers"),
        ("f.txt", lambda path: path.write_text("1 2"), "ends in none of"),
        ("none.npy", lambda path: None, "cannot read the features"),
    ],
)
def test_files_that_hold_no_features_are_refused_in_a_sentence(
    tmp_path: Path, name: str, write: Any, said: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(SourceError, match=said):
        read_block(str(tmp_path / name), "features")


def test_rows_of_another_number_than_the_manifests_are_refused() -> None:
    with pytest.raises(SourceError, match="4 rows of features, but t has 5 rows"):
        beside(_table(list("ababa")), block_of(np.zeros((4, 2)), "features", "f"), None)


def test_a_folder_has_no_order_so_its_features_need_names() -> None:
    table = make_table("t", "t", Columns(["a/1", "b/2"], ["a", "b"]), read=_absent)
    with pytest.raises(SourceError, match="no order of its own"):
        beside(table, Block(np.zeros((2, 2), np.float32)), None)
    found = beside(table, Block(np.array([[2.0], [1.0]], np.float32), ("b/2", "a/1")), None).given
    assert found is not None and found.features is not None and found.features[:, 0].tolist() == [1, 2]


def test_items_without_a_row_of_their_own_are_skipped_and_named() -> None:
    table = _table(list("abab"))
    found = beside(table, Block(np.zeros((3, 1), np.float32), ("000", "001", "003")), None)
    assert found.frame["path"].tolist() == ["000", "001", "003"]
    assert [(s.path, s.reason) for s in found.skipped] == [("002", "no features are given for it")]
    with pytest.raises(SourceError, match="name 0 of the 4 items"):
        beside(table, Block(np.zeros((1, 1), np.float32), ("other",)), None)
    with pytest.raises(SourceError, match="name '000' twice"):
        beside(table, Block(np.zeros((4, 1), np.float32), ("000", "001", "000", "003")), None)


def _likely(labels: list[str], classes: list[str], share: float = 0.9) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Probabilities of a model that agrees with a share of the labels."""
    values = np.full((len(labels), len(classes)), 0.1 / (len(classes) - 1), np.float32)
    for row, label in enumerate(labels):
        column = classes.index(label)
        values[row, column if row < share * len(labels) else (column + 1) % len(classes)] = 0.9
    return values


LABELS = [*"abc"] * 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p[:, :2], "2 columns, too few for 3 classes"),
        (lambda p: np.hstack([p, p[:, :1]]), "4 columns, too many for 3 classes"),
        (lambda p: p / 2, "are no probabilities: the first, of '000', sum to 0.5"),
        (lambda p: np.log(p), "lie outside 0 to 1"),
        (lambda p: p[:, [1, 0, 2]], "columns in another order: of 20 items labelled 'a', .* column of 'b'"),
    ],
)
def test_what_is_no_probability_of_these_classes_is_refused(change: Any, said: str) -> None:
    values = change(_likely(LABELS, ["a", "b", "c"]))
    with pytest.raises(SourceError, match=said):
        beside(_table(LABELS), None, block_of(values, "probabilities", "p"))


def test_one_column_for_two_classes_gets_the_recipe_for_both() -> None:
    with pytest.raises(SourceError) as caught:
        beside(_table(list("abab")), None, Block(np.full((4, 1), 0.5, np.float32)))
    assert "column_stack" in caught.value.hint


def test_a_weak_model_and_many_wrong_labels_are_no_exchanged_columns() -> None:
    rng = np.random.default_rng(3)
    weak = rng.dirichlet([1, 1, 1], size=len(LABELS))
    assert beside(_table(LABELS), None, block_of(weak, "probabilities", "p")).given is not None
    doubted = _likely(LABELS, ["a", "b", "c"], share=0.6)
    assert beside(_table(LABELS), None, block_of(doubted, "probabilities", "p")).given is not None


def test_named_columns_stand_in_any_order_and_the_users_order_of_classes_counts() -> None:
    values = _likely(LABELS, ["c", "a", "b"])
    found = beside(_table(LABELS), None, Block(values, None, ("c", "a", "b"))).given
    assert found is not None and found.columns == ("c", "a", "b")
    chosen = beside(_table(LABELS), None, Block(values), ("c", "a", "b")).given
    assert chosen is not None and chosen.columns == ("c", "a", "b")
    with pytest.raises(SourceError, match="no column for the class 'b'"):
        beside(_table(LABELS), None, Block(values, None, ("c", "a", "other")))


def test_a_manifest_of_names_needs_no_files_and_reads_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\nseen.png,a\n../../etc/passwd,b\nunseen,a\n", encoding="utf-8")
    (tmp_path / "seen.png").write_bytes(b"picture")
    table = open_source(str(tmp_path / "labels.csv"), layout=Layout(by_name=True))
    assert table.kind == "features" and table.frame["path"].tolist() == ["../../etc/passwd", "seen.png", "unseen"]
    found = beside(table, Block(np.array([[1], [2], [3]], np.float32)), None)
    assert found.read("seen.png") == b"picture"
    assert b"passwd" in found.read("../../etc/passwd") and b"root:" not in found.read("../../etc/passwd")
    assert found.read("unseen") != found.read("../../etc/passwd")


def test_a_manifest_without_names_counts_its_rows(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("label\na\nb\na\n", encoding="utf-8")
    table = open_source(str(tmp_path / "labels.csv"), layout=Layout(by_name=True))
    assert table.frame["path"].tolist() == ["000001", "000002", "000003"] and table.n_places == 3
