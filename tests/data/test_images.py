"""Every unusual kind of image becomes the right RGB pixels. Everything else gets one short reason."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import encode, picture, png, png_claiming, readable_images, unreadable_images
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, TiffImagePlugin

from auditor.data.images import (
    UnreadableImage,
    content_hash,
    decode,
    is_greyscale,
    peek_size,
    resize_rgb,
)
from auditor.data.shown import thumbnail
from auditor.errors import AuditorError
from auditor.sources import decoding

pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # Pillow warns about damaged metadata; a test below shows that users do not see it

MAX_PIXELS = 10**8
READABLE = readable_images()
UNREADABLE = unreadable_images()
LOSSLESS = [
    "plain.png",
    "plain.bmp",
    "plain.webp",
    "plain.tif",
    "plain.ppm",
    "compressed.tif",
    "bad-profile.png",
    "animated.png",
    "animated.webp",
    "really-a-png.jpg",
    "16-bit-rgb.png",
    "16-bit-rgba.png",
]
GREY = {
    "grey.png",
    "grey.jpg",
    "grey-alpha.png",
    "bilevel.png",
    "16-bit.png",
    "16-bit.tif",
    "32-bit.tif",
    "float.tif",
    "nan.tif",
    "rgb-profile.grey.png",
}


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, max_pixels=MAX_PIXELS)).astype(int)


@pytest.mark.parametrize("name", READABLE)
def test_unusual_images_are_read(name: str) -> None:
    image = decode(READABLE[name], max_pixels=MAX_PIXELS)
    assert image.mode == "RGB"
    assert set(image.info) == {"source_mode", *(["orientation"] if name == "exif.jpg" else [])}
    assert is_greyscale(image) == (name in GREY)
    if not name.startswith(("1x", "10000x")):
        assert image.size == ((16, 24) if name == "exif.jpg" else (24, 16))
    array = resize_rgb(image, 64)
    assert array.shape == (64, 64, 3)
    assert array.dtype == np.uint8


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_give_the_same_pixels(name: str) -> None:
    np.testing.assert_array_equal(pixels(READABLE[name]), np.asarray(picture()))


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("plain.jpg", 25),
        ("bad-exif.jpg", 40),
        ("bad-profile.jpg", 40),
        ("progressive.jpg", 40),
        ("cmyk.tif", 2),
        ("lab-profile.jpg", 40),
        ("rgb-profile.cmyk.jpg", 40),
        ("cmyk.jpg", 40),
        ("lab.tif", 30),
        ("ycbcr.tif", 3),
        ("palette.png", 90),
        ("animated.gif", 60),
    ],
)
def test_lossy_files_give_nearly_the_same_pixels(name: str, tolerance: int) -> None:
    assert np.abs(pixels(READABLE[name]) - np.asarray(picture()).astype(int)).max() <= tolerance


@pytest.mark.parametrize("name", ["grey.png", "16-bit.png", "16-bit.tif", "32-bit.tif", "float.tif"])
def test_deep_grey_images_keep_their_levels(name: str) -> None:
    grey = np.asarray(picture().convert("L")).astype(int)
    np.testing.assert_array_equal(pixels(READABLE[name]), np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 65535.0, 257.0], [0, 255, 1]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([-1e30, 0.0, 1e30], [0, 128, 255]),
        ([np.nan, np.inf, 1.0], [0, 255, 255]),
        ([-np.inf, np.nan, 7.0], [0, 0, 7]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([5e5, 5e5, 5e5], [0, 0, 0]),
    ],
)
def test_floating_point_ranges(values: list[float], expected: list[int]) -> None:
    data = encode(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 7, 255], [0, 7, 255]), ([0, 257, 65535], [0, 1, 255]), ([-100, 0, 100], [0, 128, 255])],
)
def test_integer_ranges(values: list[int], expected: list[int]) -> None:
    data = encode(Image.fromarray(np.array([values], np.int32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == expected


def test_transparency_is_laid_on_white() -> None:
    alpha = Image.new("RGBA", (4, 1), (200, 0, 0, 255))
    for x, opacity in enumerate((0, 128, 255)):
        alpha.putpixel((x, 0), (200, 0, 0, opacity))
    for kind in ("PNG", "TIFF"):
        assert pixels(encode(alpha, kind))[0, :3].tolist() == [[255, 255, 255], [227, 127, 127], [200, 0, 0]]
    assert pixels(encode(alpha.convert("LA"), "PNG"))[0, 0].tolist() == [255, 255, 255]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert pixels(encode(palette, "PNG", transparency=1))[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    assert pixels(encode(palette, "GIF", transparency=0))[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    grey = Image.fromarray(np.array([[7, 8]], np.uint8))
    assert pixels(encode(grey, "PNG", transparency=7))[0].tolist() == [[255, 255, 255], [8, 8, 8]]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    """The same as Pillow's own `exif_transpose` of the same file."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(pixels(data), np.asarray(expected))
    assert expected.size == ((24, 16) if orientation < 5 else (16, 24))


def test_the_first_frame_counts() -> None:
    frames = [Image.new("P", (9, 9), 0) for _ in range(2)]
    for frame, colour in zip(frames, ([250, 0, 0], [0, 250, 0]), strict=True):
        frame.putpalette(colour)
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert pixels(data)[4, 4].tolist() == [250, 0, 0]


WHY = {
    "zero-bytes.jpg": "the file is empty",
    "bomb.png": "more pixels than the limit",
    "scans.jpg": "more than 100 scans",
    "wide-bomb.png": "more pixels than the limit",
    "truncated.jpg": "damaged",
    "truncated.png": "damaged",
    **dict.fromkeys(("text.jpg", "page.png", "postscript.jpg", "document.jpg", "vector.png"), "not an image of a supp"),
}
"""Words that the reasons of some files must hold: they show which check refused the file."""


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_image_has_one_short_reason(name: str) -> None:
    reasons = set()
    for _ in range(2):
        with pytest.raises(UnreadableImage) as caught:
            decode(UNREADABLE[name], max_pixels=MAX_PIXELS)
        reasons.add(caught.value.reason)
        with pytest.raises(UnreadableImage):
            thumbnail(UNREADABLE[name], 96, MAX_PIXELS)
    (reason,) = reasons
    assert isinstance(caught.value, AuditorError)
    assert 0 < len(reason) < 120
    assert reason.isprintable()
    assert "0x" not in reason
    assert WHY.get(name, "") in reason


def test_too_many_pixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("L", (1000, 1000)), "PNG")
    decode(data, max_pixels=1_000_000)

    def never(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(UnreadableImage, match=r"1000x1000 pixels, more than the limit of 999999"):
        decode(data, max_pixels=999_999)


def test_the_limit_can_be_raised_beyond_pillows_own() -> None:
    data = png_claiming(20_000, 20_000)  # no pixels behind the header, so decoding stops soon
    with pytest.raises(UnreadableImage, match=r"limit of 100000000"):
        peek_size(data, max_pixels=MAX_PIXELS)
    before = Image.MAX_IMAGE_PIXELS
    assert peek_size(data, max_pixels=10**9) == (20_000, 20_000)
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_do_not_disturb_pillows_limit() -> None:
    before = Image.MAX_IMAGE_PIXELS

    def attempt(index: int) -> str:
        try:
            peek_size(png_claiming(30_000, 30_000) if index % 2 else png(), max_pixels=10**9 if index % 3 else 100)
        except UnreadableImage as error:
            return error.reason
        return "read"  # the header alone: no memory for 900 million pixels

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(attempt, range(60)))
    assert before == Image.MAX_IMAGE_PIXELS
    for index, reason in enumerate(reasons):
        if index % 2 and index % 3 == 0:
            assert "limit of 100" in reason
        else:
            assert reason == "read"


def test_warnings_about_a_file_are_silent_and_others_are_not() -> None:
    """Python names a warning after the module that it points at: Pillow's own, or ours, which called Pillow."""
    script = """
import sys, types, warnings
from auditor.sources import decoding as images
from PIL import Image
for module in (images, Image, types.ModuleType("elsewhere")):
    exec(f"import warnings; warnings.warn('words of {module.__name__}')", dict(vars(module)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "words of elsewhere" in done.stderr and done.stderr.count("words of") == 1


def test_damaged_metadata_do_not_speak_on_the_terminal() -> None:
    """In a process of its own: pytest and the C libraries below Pillow write to the terminal in their own ways."""
    script = """
import random
from pathlib import Path
from hostile import readable_images, unreadable_images
from auditor.data.images import UnreadableImage, decode
files = readable_images() | unreadable_images()
tried = [part for data in files.values() for part in (data, data[: len(data) // 3])]
rng = random.Random(0)
if "/libtiff" in Path("/proc/self/maps").read_text():  # it prints past Python, and only here it can be told not to
    for name in ["compressed.tif", "plain.tif"] * 60:
        data = bytearray(files[name])
        for _ in range(3):
            data[rng.randrange(len(data))] = rng.randrange(256)
        tried.append(bytes(data))
for data in tried:
    try:
        decode(data, max_pixels=10**7)
    except UnreadableImage:
        pass
"""
    here = Path(__file__).parents[1]
    path = os.pathsep.join([str(here), str(here.parent)])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_exif_data_that_cannot_be_read_do_not_cost_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: object) -> None:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", damaged)
    np.testing.assert_array_equal(pixels(READABLE["plain.png"]), np.asarray(picture()))


@pytest.mark.parametrize("name", ["many-frames.gif", "loop.tif", "animated.gif"])
def test_no_frame_but_the_first_is_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for kind in (GifImagePlugin.GifImageFile, TiffImagePlugin.TiffImageFile):

        def seek(self: Any, frame: int, *rest: Any, real: Any = kind._seek) -> Any:
            seen.append(frame)
            return real(self, frame, *rest)

        monkeypatch.setattr(kind, "_seek", seek)
    decode(READABLE[name], max_pixels=MAX_PIXELS)
    assert set(seen) == {0}


def test_reasons_are_printable_and_the_same_every_time() -> None:
    assert decoding._reason(ValueError("\x1b[2Jat <object at 0x7f01>\n")) == "damaged: ?[2Jat <object at >?"
    assert decoding._reason(IndexError()) == "damaged: IndexError"


def test_large_jpeg_files_come_smaller_when_that_is_enough() -> None:
    large = picture((1600, 1200))
    data = encode(large, "JPEG", quality=95)
    small = decode(data, max_pixels=MAX_PIXELS, target=100)
    assert (small.width, small.height) == (400, 300)
    exact = np.asarray(large.resize((100, 100), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(resize_rgb(small, 100).astype(int) - exact).max() <= 6
    assert decode(data, max_pixels=MAX_PIXELS).size == (1600, 1200)
    with pytest.raises(UnreadableImage):
        decode(data, max_pixels=1600 * 1200 - 1, target=100)


def test_resizing_is_pillows_bilinear_and_leaves_the_right_size_alone() -> None:
    image = picture((64, 64))
    np.testing.assert_array_equal(resize_rgb(image, 64), np.asarray(image))
    wide = picture((90, 30))
    np.testing.assert_array_equal(resize_rgb(wide, 32), np.asarray(wide.resize((32, 32), Image.Resampling.BILINEAR)))
    assert resize_rgb(Image.new("L", (3, 3), 9), 5).shape == (5, 5, 3)


def test_the_hash_is_sha256() -> None:
    assert content_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


PLAIN = READABLE["plain.png"]
SEEDS = [data for data in READABLE.values() if len(data) < 20_000] + list(UNREADABLE.values())


@settings(max_examples=400)
@example(seed=PLAIN[:33] + bytes(4) + PLAIN[37:], cut=1.0, changes=[], tail=b"")  # a SyntaxError of Pillow's
@given(
    seed=st.sampled_from(SEEDS),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    tail=st.binary(max_size=20),
)
def test_mutated_files_are_read_or_unreadable(
    seed: bytes, cut: float, changes: list[tuple[float, int]], tail: bytes
) -> None:
    data = bytearray(seed if cut > 0.5 else seed[: int(len(seed) * 2 * cut)])
    for at, value in changes:
        if data:
            data[int(at * len(data))] = value
    _read_or_refuse(bytes(data) + tail)


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_random_bytes_are_read_or_unreadable(data: bytes) -> None:
    _read_or_refuse(data)


def _read_or_refuse(data: bytes) -> None:
    try:
        image = decode(data, max_pixels=10**6)
    except UnreadableImage as error:
        assert error.reason.isprintable()
    else:
        assert image.mode == "RGB"
        assert 1 <= image.width * image.height <= 10**6
