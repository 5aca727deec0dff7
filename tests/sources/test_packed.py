"""Images that lie together as numbers: npz, IDX, and CIFAR's binary version."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_archives import reasons, rows

from auditor.errors import SourceError
from auditor.sources import open_source

RNG = np.random.default_rng(0)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_an_npz_of_medmnist(tmp_path: Path) -> None:
    images = {
        split: RNG.integers(0, 256, (n, 9, 8, 3), np.uint8) for split, n in (("train", 4), ("val", 2), ("test", 3))
    }
    labels = {split: RNG.integers(0, 2, (len(x), 1), np.uint8) for split, x in images.items()}
    arrays = {f"{s}_images": x for s, x in images.items()} | {f"{s}_labels": y for s, y in labels.items()}
    np.savez_compressed(tmp_path / "bloodmnist.npz", **arrays)
    table = open_source(str(tmp_path / "bloodmnist.npz"))
    assert [row for row in rows(table) if row[2] == "val"] == [
        (f"val/0000{n + 1}.png", str(labels["val"][n, 0]), "val") for n in range(2)
    ]
    read = pickle.loads(pickle.dumps(table.read))  # noqa: S301 - our own
    for row, path in enumerate(sorted(table.frame.query("split == 'train'")["path"])):
        np.testing.assert_array_equal(pixels(table.read(path)), images["train"][row])
        assert read(path) == table.read(path)
    for path in ("val/00003.png", "val/00000.png", "val/-1.png", "x/00001.png", "val/\u0661.png"):
        with pytest.raises(FileNotFoundError):
            table.read(path)


@pytest.mark.parametrize(
    ("x", "y", "shape"), [("images", "labels", (5, 6)), ("X", "y", (5, 6, 1)), ("x_train", "y_train", (3, 5, 6))]
)
def test_other_names_and_shapes(x: str, y: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (4, *shape), np.uint8)
    np.savez(tmp_path / "a.npz", **{x: images, y: np.array(["a", "b", "a", ""])})
    table = open_source(str(tmp_path / "a.npz"))
    assert list(table.frame["label"]) == ["a", "b", "a"]
    assert set(reasons(table).values()) == {"it has no label"}
    shown = np.moveaxis(images[0], 0, 2) if shape[0] == 3 else images[0].reshape(5, 6)
    np.testing.assert_array_equal(pixels(table.read(table.frame["path"][0])), shown)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"features": np.zeros((4, 3)), "labels": np.zeros(4)}, "no arrays of images and labels"),
        ({"images": np.zeros((4, 3)), "labels": np.zeros(4)}, "holds no images"),
        ({"images": np.zeros((4, 3, 3)), "labels": np.zeros((4, 14))}, "several labels"),
        ({"images": np.zeros((4, 3, 3)), "labels": np.zeros(3)}, "4 images and 3 labels"),
        ({"images": np.array([object()] * 4), "labels": np.zeros(4)}, "never unpickled"),
        ({"images": np.zeros((0, 3, 3)), "labels": np.zeros(0)}, "holds no labelled image"),
    ],
)
def test_an_npz_without_labelled_images_is_said(arrays: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SourceError, match=said):
        open_source(str(tmp_path / "a.npz"))


def test_a_damaged_npz_and_one_larger_than_memory_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((4, 3, 3), np.uint8), labels=np.zeros(4))
    monkeypatch.setattr("auditor.sources.arrays_file.free_bytes", lambda: 100)
    with pytest.raises(SourceError, match="more than there is memory for"):
        open_source(str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(SourceError, match="cannot be read"):
        open_source(str(tmp_path / "a.npz"))


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_the_files_of_mnist(tmp_path: Path) -> None:
    images, labels = RNG.integers(0, 256, (5, 7, 6), np.uint8), np.array([3, 8, 3, 8, 3])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[:2])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels[:2])))
    table = open_source(str(tmp_path))
    assert rows(table)[:3] == [
        ("test/00001.png", "3", "test"),
        ("test/00002.png", "8", "test"),
        ("train/00001.png", "3", "train"),
    ]
    np.testing.assert_array_equal(pixels(table.read("train/00005.png")), images[4])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images)[:-1])
    with pytest.raises(SourceError, match="promises 5 x 7 x 6 numbers and holds 209"):
        open_source(str(tmp_path))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x80\x04pickle")
    with pytest.raises(SourceError, match="no IDX file"):
        open_source(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(SourceError, match="no labels for it"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("fine", [False, True])
def test_the_binary_version_of_cifar(fine: bool, tmp_path: Path) -> None:
    images, labels = RNG.integers(0, 256, (4, 3, 32, 32), np.uint8), [0, 1, 1, 0]
    coarse = b"\x05" if fine else b""
    data = b"".join(coarse + bytes([label]) + image.tobytes() for label, image in zip(labels, images, strict=True))
    (tmp_path / ("train.bin" if fine else "data_batch_1.bin")).write_bytes(data)
    (tmp_path / ("test.bin" if fine else "test_batch.bin")).write_bytes(data[: len(data) // 4])
    (tmp_path / ("fine_label_names.txt" if fine else "batches.meta.txt")).write_text("plane\ncar\n\n")
    table = open_source(str(tmp_path))
    assert [row[1:] for row in rows(table)] == [("plane", "test"), *((["plane", "car"][x], "train") for x in labels)]
    np.testing.assert_array_equal(pixels(table.read("train/00003.png")), np.moveaxis(images[2], 0, 2))
    (tmp_path / ("test.bin" if fine else "test_batch.bin")).write_bytes(data[:-1])
    with pytest.raises(SourceError, match="no whole number"):
        open_source(str(tmp_path))


def test_the_pickles_of_cifar_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "batches.meta").write_bytes(b"cos\nsystem\n(S'touch gone'\ntR.")
    with pytest.raises(SourceError, match="pickles") as said:
        open_source(str(tmp_path))
    assert "binary version" in said.value.hint
