"""The data set as an audit sees it: what was read, in which class and split, with duplicates and a content hash."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.data import dataset, reference
from auditor.data.dataset import Dataset
from auditor.data.features import Features
from auditor.data.reference import Trusted
from auditor.errors import SourceError
from auditor.sources.base import SETTLED, ImageTable, Skipped


def _table(labels: list[str], splits: list[str] | None = None) -> ImageTable:
    paths = [f"{i:03d}.png" for i in range(len(labels))]
    frame = pd.DataFrame({"path": paths, "label": labels, "split": splits or [""] * len(labels)})
    return ImageTable("photos", "photos/", frame, lambda path: b"", (Skipped("zzz", "a device"),))


def _read(table: ImageTable, bad: dict[int, str] | None = None, hashes: list[str] | None = None) -> Features:
    bad = bad or {}
    rows = [i for i in range(len(table.frame)) if i not in bad]
    every = hashes or [f"{i:064d}" for i in range(len(table.frame))]
    skipped = tuple(Skipped(table.frame["path"][i], reason) for i, reason in bad.items())
    return Features(
        rows=np.array(rows, dtype=np.int64),
        values=None,
        hashes=tuple(every[i] for i in rows),
        grey=np.zeros(len(rows), bool),
        pixels=None,
        skipped=skipped,
        n_cached=0,
        traits=np.zeros(len(rows), np.int32),
    )


def _build(table: ImageTable, read: Features, **options: Any) -> Dataset:
    values = np.zeros((len(read.rows), 4), np.float32)
    chosen = {"seed": 0, "max_unreadable": 0.1, "study": False, **options}
    return dataset.build(table, read, values, **chosen)


def test_classes_are_sorted_and_indexed() -> None:
    table = _table(["b", "a"] * 10)
    data = _build(table, _read(table))
    assert data.classes == ("a", "b") and data.n_classes == 2
    assert [data.classes[i] for i in data.labels] == table.frame["label"].tolist()
    assert data.paths == tuple(table.frame["path"])
    assert sum(len(data.rows(part)) for part in ("train", "val", "test")) == 20


def test_unreadable_images_are_left_out_and_named_after_the_sources_own() -> None:
    table = _table(["a", "b"] * 10)
    data = _build(table, _read(table, {3: "empty", 7: "damaged"}))
    assert "003.png" not in data.paths and len(data.paths) == 18
    summary = data.summary()
    assert [s["path"] for s in summary["skipped"]] == ["zzz", "003.png", "007.png"]
    assert summary["n_skipped"] == 3 and summary["n_images"] == 18
    assert summary["counts"] == dict(Counter(table.frame["label"].drop([3, 7])))


def test_too_many_unreadable_is_an_error_at_the_limit_only() -> None:
    table = _table(["a", "b"] * 10)
    _build(table, _read(table, {0: "x", 1: "x"}), max_unreadable=0.1)
    with pytest.raises(SourceError) as caught:
        _build(table, _read(table, {0: "why", 1: "x", 2: "x"}), max_unreadable=0.1)
    assert "3 of 20 images of photos" in caught.value.message and "000.png: why" in caught.value.message
    assert "--max-unreadable" in caught.value.hint
    _build(table, _read(table, {0: "x", 1: "x", 2: "x"}), max_unreadable=1)


def test_grey_images_dropped_by_the_study_do_not_count_as_unreadable() -> None:
    table = _table(["a", "b"] * 10)
    grey = dict.fromkeys(range(8), "grey-scale, dropped as in the reference study")
    assert len(_build(table, _read(table, grey), study=True).paths) == 12


def test_the_study_makes_its_own_split() -> None:
    table = _table(["a", "b"] * 20, ["test"] * 4 + ["train"] * 36)
    assert _build(table, _read(table)).split_origin == "source"
    assert _build(table, _read(table), study=True).split_origin == "seeded"


def test_nothing_readable_names_the_first_reason() -> None:
    table = _table(["a", "b"])
    with pytest.raises(SourceError, match=r"no image of photos can be read; the first, 000\.png: damaged"):
        _build(table, _read(table, {0: "damaged", 1: "x"}))


def test_a_class_without_a_readable_image_is_named() -> None:
    table = _table(["a"] * 30 + ["b"])
    with pytest.raises(SourceError, match="class 'b' of photos has no readable image"):
        _build(table, _read(table, {30: "x"}))


def test_the_content_hash_sees_paths_bytes_and_labels_and_nothing_else() -> None:
    labels = ["a", "b"] * 10
    table = _table(labels)
    base = _build(table, _read(table)).content_hash
    assert _build(table, _read(table), seed=9).content_hash == base
    changed = _table(["b", *labels[1:]])
    assert _build(changed, _read(changed)).content_hash != base
    hashes = ["f" * 64, *(f"{i:064d}" for i in range(1, 20))]
    assert _build(table, _read(table, hashes=hashes)).content_hash != base
    renamed = _table(labels)
    renamed.frame.loc[19, "path"] = "999.png"
    assert _build(renamed, _read(renamed)).content_hash != base


def test_duplicates_with_other_labels_and_across_splits() -> None:
    splits = ["train"] * 8 + ["test"] * 4
    table = _table(["a", "b"] * 6, splits)
    hashes = [f"{i:064d}" for i in range(12)]
    hashes[1] = hashes[0]  # conflicting labels, both train
    hashes[10] = hashes[2]  # the same label, train and test
    hashes[6] = hashes[4]  # harmless
    found = _build(table, _read(table, hashes=hashes)).summary()["duplicates"]
    assert found["n_conflicting"] == 1 and found["n_leaking"] == 1
    assert [e["path"] for e in found["conflicting"][0]["entries"]] == ["000.png", "001.png"]
    assert [e["split"] for e in found["leaking"][0]["entries"]] == ["train", "test"]


def test_reference_rows_keep_known_classes() -> None:
    table = _table(["a", "c", "b", "a"])
    frame, others = reference.reference_rows(table, ["a", "b"])
    assert frame["label"].tolist() == ["a", "b", "a"] and others == 1
    with pytest.raises(SourceError, match="shares no class"):
        reference.reference_rows(table, ["x", "y"])


def _said(by_file: dict[str, int]) -> Trusted:
    return Trusted(by_file, {})


def test_a_reference_knows_an_image_by_its_file_and_by_what_the_backbone_sees() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    trusted = Trusted.labels(["a", "b", "c", "d"], rows[[0, 1, 2, 2]], np.array([0, 1, 0, 1]))
    others = np.full((4, 3), 99, np.float32)
    assert trusted.of(["d", "a", "x", "b"], others).tolist() == [1, 0, -1, 1]
    assert trusted.of(["x", "y", "z", "a"], rows).tolist() == [0, 1, -1, 0]  # the third stands there as both classes
    assert trusted.of(["b"], rows[:1]).tolist() == [1]  # the file's own word comes first


def test_features_that_tell_nothing_apart_settle_nothing() -> None:
    same = np.ones((4, 3), np.float32)
    trusted = Trusted.labels(["a", "b", "c", "d"], same, np.array([0, 1, 0, 1]))
    assert trusted.of(["x", "y"], same[:2]).tolist() == [-1, -1]


def test_files_that_a_reference_holds_serve_nothing_else() -> None:
    table = _table(["a", "b"] * 20)
    data = _build(table, _read(table))
    trusted = {data.hashes[i]: i % 2 for i in range(8)}
    trusted[data.hashes[3]] = 0  # given as b
    beside = data.settled_by(_said(trusted), seed=0)
    assert (beside.splits[:8] == SETTLED).all()
    assert beside.trusted_labels.tolist() == [0, 1, 0, 0, 0, 1, 0, 1, *[-1] * 32]
    others = Counter(beside.splits[8:])
    assert set(others) == {"train", "val", "test"}
    assert beside.summary()["splits"] == {**{part: others[part] for part in ("train", "val", "test")}, "reference": 8}
    assert data.summary()["splits"].keys() == {"train", "val", "test"}  # the word is not there without need
    assert data.settled_by(_said({"0" * 63 + "x": 1}), seed=0) is data


def test_a_test_split_that_the_reference_holds_whole_gets_a_successor() -> None:
    table = _table(["a", "b"] * 20, ["train"] * 30 + ["test"] * 10)
    data = _build(table, _read(table))
    beside = data.settled_by(_said({data.hashes[i]: i % 2 for i in range(30, 40)}), seed=0)
    assert (beside.splits[30:] == SETTLED).all() and (beside.splits[:30] == "test").any()
    assert beside.split_origin == "partly seeded"


@pytest.mark.parametrize("wrong", [0, 3])
def test_a_reference_of_all_images_leaves_nothing_to_audit(wrong: int) -> None:
    table = _table(["a", "b"] * 10)
    data = _build(table, _read(table))
    trusted = {digest: int(label) for digest, label in zip(data.hashes, data.labels, strict=True)}
    for digest in data.hashes[5 : 5 + wrong]:
        trusted[digest] = 1 - trusted[digest]
    first = r" \(the first is 005.png\)" if wrong else ""
    said = rf"holds 20 of the 20 images of photos themselves, {wrong} of them under another label{first}; only 0 images"
    with pytest.raises(SourceError, match=rf"{said} of class 'a' are left"):
        data.settled_by(_said(trusted), seed=0)


@pytest.mark.parametrize("left", [2, 3])
def test_a_class_of_which_a_reference_leaves_two_cannot_be_audited(left: int) -> None:
    table = _table(["a", "b"] * 10)
    data = _build(table, _read(table))
    first = [i for i in range(20) if data.labels[i] == 0][left:]
    trusted = _said({data.hashes[i]: 0 for i in first})
    if left == 2:
        with pytest.raises(SourceError, match="only 2 images of class 'a' are left to audit"):
            data.settled_by(trusted, seed=0)
    else:
        assert (data.settled_by(trusted, seed=0).splits[first] == SETTLED).all()
