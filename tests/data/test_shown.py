"""Small and whole pictures for people: without what the file says beside its pixels, and always the same."""

import io

import numpy as np
import pytest
from hostile import encode, picture, readable_images
from PIL import Image
from sklearn.datasets import load_sample_images

from auditor.data.shown import media_type, thumbnail, whole

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns about damaged metadata

MAX_PIXELS = 10**8
READABLE = readable_images()


@pytest.mark.parametrize("orientation", [1, 6])
def test_thumbnails_are_upright_and_small(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a secret description"
    small = thumbnail(encode(picture((600, 400)), "JPEG", exif=exif, comment=b"a secret"), 160, MAX_PIXELS)
    assert media_type(small) == "image/webp"
    image = Image.open(io.BytesIO(small))
    assert image.size == ((160, 107) if orientation == 1 else (107, 160))
    assert b"secret" not in small
    assert not image.getexif()


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        ((8, 8), 96, (8, 8)),
        ((1, 1), 160, (1, 1)),
        ((64, 64), 160, (64, 64)),
        ((100, 50), 160, (100, 50)),
        ((300, 200), 160, (160, 107)),
        ((10_000, 1), 160, (160, 1)),
        ((1, 10_000), 96, (1, 96)),
        ((48, 12), 96, (48, 12)),
    ],
)
def test_sizes_of_thumbnails(size: tuple[int, int], edge: int, expected: tuple[int, int]) -> None:
    small = thumbnail(encode(picture(size), "PNG"), edge, MAX_PIXELS)
    assert Image.open(io.BytesIO(small)).size == expected


def test_tiny_images_keep_every_pixel() -> None:
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    small = thumbnail(encode(Image.fromarray(levels), "PNG"), 96, MAX_PIXELS)
    assert media_type(small) == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(small))), levels)


@pytest.mark.parametrize(("size", "most"), [((64, 64), 4_000), ((160, 160), 8_000)])
def test_a_photograph_costs_a_few_thousand_bytes_and_still_looks_like_itself(size: tuple[int, int], most: int) -> None:
    exact = Image.fromarray(load_sample_images().images[0]).resize(size, Image.Resampling.LANCZOS)
    small = thumbnail(encode(exact, "PNG"), 160, MAX_PIXELS)
    assert len(small) < most
    off = np.asarray(Image.open(io.BytesIO(small)).convert("RGB"), dtype=float) - np.asarray(exact)
    assert np.sqrt(np.mean(off**2)) < 12  # of 255


@pytest.mark.parametrize("name", READABLE)
def test_every_readable_image_has_a_thumbnail_always_the_same(name: str) -> None:
    small = thumbnail(READABLE[name], 128, MAX_PIXELS)
    assert small == thumbnail(READABLE[name], 128, MAX_PIXELS)
    assert max(Image.open(io.BytesIO(small)).size) <= 128


@pytest.mark.parametrize("name", READABLE)
def test_every_readable_image_comes_whole_and_without_metadata(name: str) -> None:
    found = whole(READABLE[name], 300, MAX_PIXELS)
    image = Image.open(io.BytesIO(found))
    assert image.format.lower() == media_type(found).removeprefix("image/")
    assert max(image.size) <= 300 and not image.getexif() and "comment" not in image.info


def test_a_whole_picture_is_lossless_up_to_512_pixels() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (512, 400, 3), dtype=np.uint8)
    found = whole(encode(Image.fromarray(levels), "PNG"), 4096, MAX_PIXELS)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found))), levels)
    large = whole(encode(picture((1600, 1200)), "PNG"), 4096, MAX_PIXELS)
    assert (media_type(large), Image.open(io.BytesIO(large)).size) == ("image/jpeg", (1600, 1200))
