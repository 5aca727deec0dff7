"""scikit-learn's digits as image files in memory."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from auditor.data.images import content_hash
from auditor.sources import open_source
from auditor.sources.digits import grey_png


def test_the_digits_are_scikit_learns() -> None:
    table = open_source("digits")
    bunch = load_digits()
    assert len(table.frame) == len(bunch.target) == 1797
    assert sorted(table.frame["label"].unique()) == [str(digit) for digit in range(10)]
    assert set(table.frame["split"]) == {""}
    for path, label in table.frame[["path", "label"]].iloc[::50].itertuples(index=False):
        index = int(path.split("/")[1].removesuffix(".png"))
        levels = np.asarray(Image.open(io.BytesIO(table.read(path))))
        assert levels.shape == (8, 8)
        assert label == str(bunch.target[index])
        np.testing.assert_allclose(levels / 255, bunch.images[index] / 16, atol=0.5 / 255)


def test_the_bytes_are_fixed() -> None:
    """They go into content hashes, so no other version of any library may change them."""
    table = open_source("digits")
    together = "".join(content_hash(table.read(path)) for path in table.frame["path"])
    assert content_hash(together.encode()) == "22fa2b097770ae223265e4f3b9e325a756bfa832cc298146cd56f99fd8f91897"


def test_an_unknown_digit_is_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        open_source("digits").read("3/9999.png")


def test_a_stored_png_has_a_largest_size() -> None:
    pixels = np.arange(250 * 250, dtype=np.uint32).astype(np.uint8).reshape(250, 250)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(grey_png(pixels)))), pixels)
    with pytest.raises(ValueError, match=r"does not fit"):
        grey_png(np.zeros((300, 300), np.uint8))
