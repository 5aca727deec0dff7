"""Tiny ImageNet in its published layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import png

from auditor.errors import SourceError
from auditor.sources import open_source
from auditor.sources.tiny_imagenet import label_names


@pytest.fixture
def published(tmp_path: Path) -> Path:
    for wnid in ("n02124075", "n01443537"):
        (tmp_path / "train" / wnid / "images").mkdir(parents=True)
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t9\t9\n")
        for number in range(2):
            (tmp_path / "train" / wnid / "images" / f"{wnid}_{number}.JPEG").write_bytes(png(number))
    for part in ("val", "test"):
        (tmp_path / part / "images").mkdir(parents=True)
        for number in range(3):
            (tmp_path / part / "images" / f"{part}_{number}.JPEG").write_bytes(png(50 + number))
    lines = "val_0.JPEG\tn01443537\t0\t32\t44\t62\nval_1.JPEG\tn02124075\t52\t55\t57\t59\n"
    (tmp_path / "val" / "val_annotations.txt").write_text(lines + "val_9.JPEG\tn02124075\t0\t0\t1\t1\n")
    (tmp_path / "words.txt").write_text(
        "n01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\nn00000001\tentity\n"
    )
    (tmp_path / "wnids.txt").write_text("n02124075\nn01443537\n")
    return tmp_path


def test_the_published_layout(published: Path) -> None:
    table = open_source(str(published))
    assert list(table.frame.itertuples(index=False, name=None)) == [
        ("train/n01443537/images/n01443537_0.JPEG", "goldfish", "train"),
        ("train/n01443537/images/n01443537_1.JPEG", "goldfish", "train"),
        ("train/n02124075/images/n02124075_0.JPEG", "Egyptian cat", "train"),
        ("train/n02124075/images/n02124075_1.JPEG", "Egyptian cat", "train"),
        ("val/images/val_0.JPEG", "goldfish", "val"),
        ("val/images/val_1.JPEG", "Egyptian cat", "val"),
    ]
    assert {entry.path: entry.reason for entry in table.skipped} == {
        "test/images": "3 test images, published without labels",
        "val/images/val_2.JPEG": "has no label in val/val_annotations.txt",
        "val/images/val_9.JPEG": "named in val/val_annotations.txt, row 3, but not there",
    }
    assert table.read("val/images/val_0.JPEG") == png(50)


def test_without_words_the_ids_are_the_labels(published: Path) -> None:
    (published / "words.txt").unlink()
    assert set(open_source(str(published)).frame["label"]) == {"n01443537", "n02124075"}


def test_shared_names_are_made_unique() -> None:
    words = {"n1": "crane, bird", "n2": "crane, machine", "n3": "mouse", "n4": "mouse", "n5": "cat"}
    assert label_names({*words, "n6"}, words) == {
        "n1": "crane, bird",
        "n2": "crane, machine",
        "n3": "mouse (n3)",
        "n4": "mouse (n4)",
        "n5": "cat",
        "n6": "n6",
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("val_0.JPEG", r"row 2: expected"),
        ("val_0.JPEG n01443537", r"row 2: expected"),
        ("val_0.JPEG\tn02124075", r"row 2: val_0.JPEG is already listed as n01443537"),
        ("caf\xe9", r"not UTF-8"),
    ],
)
def test_faulty_annotations_are_named(published: Path, line: str, words: str) -> None:
    (published / "val" / "val_annotations.txt").write_bytes(f"val_0.JPEG\tn01443537\n{line}\n".encode("latin-1"))
    with pytest.raises(SourceError, match=words):
        open_source(str(published))


def test_an_empty_class_is_refused(published: Path) -> None:
    (published / "train" / "n00000001" / "images").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"no image in the class 'entity'"):
        open_source(str(published))


def test_annotations_outside_the_root_are_not_read(published: Path) -> None:
    annotations = published / "val" / "val_annotations.txt"
    other = published.parent / f"{published.name}-annotations.txt"
    annotations.rename(other)
    annotations.symlink_to(other)
    with pytest.raises(SourceError, match=r"outside the root"):
        open_source(str(published))
    assert len(open_source(str(published), allow_outside=True).frame) == 6
