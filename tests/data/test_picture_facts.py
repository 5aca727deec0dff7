"""Facts of pictures: the same whichever pass takes them, and none is read for them once more."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hostile import png
from PIL import Image

from auditor.data import images, picture_facts
from auditor.data.features import ReadOptions, extract
from auditor.data.picture_facts import FactTaker, PictureFacts
from auditor.model.backbone import Transform
from auditor.sources import ImageTable, open_source

PIXELS = 10**7


def saved(kind: str, width: int, height: int, seed: int, *, orientation: int = 1, mode: str = "RGB") -> bytes:
    """A picture with large shapes and noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(small, np.int16) + rng.integers(-20, 21, (height, width, 3)), 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(noisy).convert(mode).save(out, kind, exif=exif)
    return out.getvalue()


FILES = {
    "small.jpg": saved("JPEG", 60, 40, 1),
    "middle.jpg": saved("JPEG", 310, 290, 2),
    "large.jpg": saved("JPEG", 1100, 700, 3),
    "turned.jpg": saved("JPEG", 1100, 700, 4, orientation=6),
    "turned small.jpg": saved("JPEG", 90, 40, 5, orientation=8),
    "mirrored.jpg": saved("JPEG", 700, 700, 6, orientation=2),
    "grey.jpg": saved("JPEG", 620, 580, 7, mode="L"),
    "large.png": saved("PNG", 700, 600, 8),
    "turned.png": saved("PNG", 80, 60, 9, orientation=5),
    "clear.png": saved("PNG", 80, 60, 10, mode="RGBA"),
    "copy.png": saved("PNG", 80, 60, 10, mode="RGBA"),
    "a.webp": saved("WEBP", 300, 200, 11),
    "one colour.png": png(9),
    "broken.jpg": saved("JPEG", 300, 200, 12)[:-900],
    "none.jpg": b"no picture",
}


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    for place, (name, data) in enumerate(FILES.items()):
        folder = tmp_path / "set" / ("cat" if place % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return open_source(str(tmp_path / "set"))


def facts(table: ImageTable, cache: Path) -> PictureFacts:
    paths = table.frame["path"].tolist()
    hashes = [images.content_hash(table.read(path)) for path in paths]
    found = picture_facts.picture_facts(table, paths, hashes, PIXELS, cache, lambda done, total: None)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [20, 64, 128, 224, 400])
def test_facts_do_not_depend_on_the_pass_that_takes_them(
    size: int, table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = facts(table, tmp_path / "alone")
    assert alone.known.sum() == len(FILES) - 2, "what cannot be decoded has none"
    taker = FactTaker(tmp_path / "together", PIXELS)
    transform = Transform(size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), PIXELS)
    read = extract(table, transform, None, ReadOptions(keep_pixels=True, facts=taker))
    assert len(read.rows) == len(FILES) - 2
    with pytest.MonkeyPatch.context() as patch:
        looked = list[str]()
        real = picture_facts._facts_of
        patch.setattr(picture_facts, "_facts_of", lambda *given: looked.append(given[1]) or real(*given))
        together = facts(table, tmp_path / "together")
    assert sorted(path.partition("/")[2] for path in looked) == ["broken.jpg", "none.jpg"]
    assert together.names == alone.names and together.values.tobytes() == alone.values.tobytes()


def test_a_picture_is_decoded_once_where_both_need_it_at_one_scale(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = list[int]()
    real = images.decode
    monkeypatch.setattr(images, "decode", lambda data, **more: decoded.append(len(data)) or real(data, **more))
    transform = Transform(128, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), PIXELS)
    taker = FactTaker(tmp_path / "cache", PIXELS)
    extract(table, transform, None, ReadOptions(keep_pixels=True, facts=taker))
    assert len(decoded) == len(FILES)
    decoded.clear()
    extract(table, transform, None, ReadOptions(keep_pixels=True, facts=FactTaker(tmp_path / "cache", PIXELS)))
    assert len(decoded) == len(FILES), "known facts are not taken again"
    decoded.clear()
    other = Transform(20, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), PIXELS)
    extract(table, other, None, ReadOptions(keep_pixels=True, facts=FactTaker(tmp_path / "new", PIXELS)))
    large = sum(name in ("middle.jpg", "large.jpg", "turned.jpg", "mirrored.jpg", "grey.jpg") for name in FILES)
    assert len(decoded) == len(FILES) + large, "only large JPEG files are decoded at two scales"
