"""Images that show nothing, and deep grey that uses a small part of its range."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hostile import encode
from PIL import Image

from auditor.data.blank import learnable
from auditor.data.images import BLANK, COLOUR_AT, STRETCHED, decode, resize_rgb, shows_nothing, traits
from auditor.errors import UndecidedError

RNG = np.random.default_rng(0)
SHAPES = np.kron(RNG.integers(0, 2, (8, 8)), np.ones((8, 8)))
"""A picture of two levels, 64x64."""


def found(levels: np.ndarray, kind: str = "PNG") -> tuple[np.ndarray, int]:
    """Grey levels of the decoded image, and its traits."""
    image = decode(encode(Image.fromarray(levels), kind), max_pixels=10**8)
    pixels = resize_rgb(image, 64)
    return pixels[..., 0].astype(int), traits(image, pixels)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 4095), (0, 1020), (0, 255), (27_000, 31_000), (60_000, 60_100), (64, 4000)],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_grey_is_scaled_by_the_range_it_uses(low: int, high: int, kind: str) -> None:
    grey, bits = found((low + SHAPES * (high - low)).astype(np.uint16), kind)
    np.testing.assert_array_equal(grey, SHAPES * 255)
    assert bits & STRETCHED and not bits & BLANK


def test_hot_pixels_do_not_decide_and_stay_visible() -> None:
    levels = (SHAPES * 1000).astype(np.uint16)
    levels[5, 5], levels[40, 3] = 65535, 65535
    grey, bits = found(levels)
    assert bits & STRETCHED and grey[5, 5] == 255 and grey.min() == 0
    assert (grey == SHAPES * 255).mean() > 0.99


@pytest.mark.parametrize("span", [(20.0, 35.0), (290.0, 310.0), (0.0, 0.05), (0.5, 0.51)])
def test_floating_point_degrees_are_scaled_too(span: tuple[float, float]) -> None:
    grey, bits = found((span[0] + SHAPES * (span[1] - span[0])).astype(np.float32), "TIFF")
    np.testing.assert_array_equal(grey, SHAPES * 255)
    assert bits & STRETCHED


@pytest.mark.parametrize("levels", [SHAPES * 65535, SHAPES * 16_383, SHAPES * 30_000 + 1000])
def test_deep_grey_that_uses_its_range_stays(levels: np.ndarray) -> None:
    grey, bits = found(levels.astype(np.uint16))
    np.testing.assert_array_equal(grey, np.rint(levels * 255 / 65535))
    assert not bits & STRETCHED


@pytest.mark.parametrize("levels", [SHAPES * 0, SHAPES * 3, SHAPES * 0 + 30_000, SHAPES * 4 + 65_000])
def test_noise_of_deep_grey_is_not_blown_up(levels: np.ndarray) -> None:
    _, bits = found(levels.astype(np.uint16))
    assert bits & BLANK and not bits & STRETCHED


def square(*colour: int, spread: float = 0, size: int = 64) -> np.ndarray:
    noise = RNG.normal(0, spread, (size, size, 3)) if spread else 0
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        square(0, 0, 0),
        square(255, 255, 255),
        square(200, 30, 90),
        square(2, 2, 2, spread=1),
        square(128, 128, 128, spread=2),
        (np.repeat(SHAPES[..., None], 3, axis=-1) * 4).astype(np.uint8),
        square(9, 9, 9, size=8),
        square(40, 40, 40, spread=2, size=224),
    ],
)
def test_even_images_show_nothing(pixels: np.ndarray) -> None:
    assert shows_nothing(pixels)


def dot(size: int, edge: int) -> np.ndarray:
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[20 : 20 + edge, 20 : 20 + edge] = 255
    return pixels


@pytest.mark.parametrize(
    "pixels",
    [
        dot(64, 1),
        dot(224, 2),
        (np.repeat(SHAPES[..., None], 3, axis=-1) * 6).astype(np.uint8),
        np.indices((64, 64)).sum(axis=0)[..., None].repeat(3, -1).astype(np.uint8),
        (np.indices((64, 64)).sum(axis=0) % 2 * 40)[..., None].repeat(3, -1).astype(np.uint8),
        np.dstack([np.zeros((64, 64)), np.zeros((64, 64)), SHAPES * 20]).astype(np.uint8),
        np.arange(192, dtype=np.uint8).reshape(8, 8, 3),
    ],
)
def test_faint_and_small_things_are_something(pixels: np.ndarray) -> None:
    assert not shows_nothing(pixels)


def test_a_black_photograph_as_jpeg_shows_nothing() -> None:
    out = io.BytesIO()
    Image.fromarray(square(3, 3, 3, spread=1, size=200)).save(out, "JPEG", quality=60)
    image = decode(out.getvalue(), max_pixels=10**8)
    bits = traits(image, resize_rgb(image, 64))
    assert bits & BLANK and bits >> COLOUR_AT == 0


def bits_of(*codes: str) -> np.ndarray:
    """Traits by letter: `.` shows something, `k` is black, `w` is white, `s` is deep grey that was scaled."""
    black, white = BLANK, BLANK | 0xFFF << COLOUR_AT
    return np.array([{".": 0, "k": black, "w": white, "s": STRETCHED}[c] for c in "".join(codes)], np.int32)


def labels_of(*codes: str) -> list[str]:
    return [label for label, code in zip("abcd", codes, strict=False) for _ in code]


def learnt(*codes: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What takes part (`+`), the classes that are lost, and the notes."""
    found = learnable(bits_of(*codes), labels_of(*codes), "x")
    return "".join("-+"[int(kept)] for kept in found.keep), found.lost, found.notes


def test_images_that_show_nothing_are_left_out_and_counted() -> None:
    kept, lost, notes = learnt("....kk", "...w")
    assert (kept, lost) == ("++++--" + "+++-", ())
    assert len(notes) == 1 and notes[0].startswith("3 of 10 images show nothing")


def test_a_class_of_blank_images_keeps_them() -> None:
    kept, lost, notes = learnt("....k", "kkkkk")
    assert (kept, lost) == ("++++-" + "+++++", ())
    assert len(notes) == 2 and "by their colour alone" in notes[1]


@pytest.mark.parametrize("codes", [("kkkk", "wwww"), ("kkkw", "wwww"), ("kkkkkkkk", "wwwkwwww")])
def test_two_colours_can_be_told_apart_and_a_few_wrong_labels_change_nothing(codes: tuple[str, ...]) -> None:
    kept, lost, notes = learnt(*codes)
    n = len("".join(codes))
    assert (kept, lost) == ("+" * n, ()) and f"{n} of {n} images show nothing but one colour" in notes[0]


@pytest.mark.parametrize(
    ("codes", "keep"),
    [
        (("....", "...", "kkkk", "kkkkkk"), "+++++++" + "-" * 10),
        (("....", "....", "kkk.", "kk.kk"), "++++++++" + "-" * 9),
        (("....", "..kk.", "kwkw", "wkkw"), "++++++" + "--+" + "-" * 8),
    ],
)
def test_classes_that_are_blank_in_one_colour_are_left_out_by_name(codes: tuple[str, ...], keep: str) -> None:
    kept, lost, notes = learnt(*codes)
    blank = sum(c != "." for c in "".join(codes))
    assert (kept, lost) == (keep, ("c", "d"))
    assert notes[0].startswith(f"{blank} of {len(kept)} images show nothing")
    assert (
        notes[1].startswith("The classes 'c', 'd' were left out") and "Nobody can tell these classes apart" in notes[1]
    )


@pytest.mark.parametrize("codes", [("kkkk", "kkkk"), ("kwkw", "wkwk"), ("kkkk..", "kkkk"), ("kkkkkkkk", "kkkk")])
def test_where_nothing_can_be_learnt_no_suspect_is_named(codes: tuple[str, ...]) -> None:
    blank = sum(c != "." for c in "".join(codes))
    with pytest.raises(UndecidedError, match=f"^{blank} of .* images of x show nothing.*'a', 'b' have fewer than 3"):
        learnt(*codes)


def test_scaled_images_are_said() -> None:
    kept, _, notes = learnt("ss..", "....")
    assert "-" not in kept and notes[0].startswith("2 of 8 images have grey levels of more than 8 bits")
    assert learnt("....", "....")[2] == ()
