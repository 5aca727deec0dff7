"""Near copies: pictures that were saved anew, cropped, mirrored or brightened are found, others are not."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from auditor.data.families import kinship
from auditor.data.picture_facts import PictureFacts, picture_facts
from auditor.oddities import Audited, near_copies
from auditor.sources.base import ImageTable

N = 90


def _scene(rng: np.random.Generator) -> Image.Image:
    """A picture of its own: a few blots of colour, blurred by growing them from 6 by 6."""
    small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((72, 72), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ninety scenes, six altered copies of the first ones, their facts and stand-ins for features."""
    rng = np.random.default_rng(0)
    scenes = [_scene(rng) for _ in range(N)]
    store = {f"{i:03d}.jpg": _jpeg(scene, 90) for i, scene in enumerate(scenes)}
    first = [Image.open(io.BytesIO(store[f"{i:03d}.jpg"])).convert("RGB") for i in range(6)]
    store |= {
        "a-quality.jpg": _jpeg(first[0], 30),
        "b-smaller.jpg": _jpeg(first[1].resize((50, 50)), 90),
        "c-brighter.jpg": _jpeg(ImageEnhance.Brightness(first[2]).enhance(1.3), 90),
        "d-mirrored.jpg": _jpeg(ImageOps.mirror(first[3]), 90),
        "e-cropped.jpg": _jpeg(first[4].crop((2, 2, 70, 70)), 90),
        "f-lossless.png": _png(first[5]),
    }
    paths = sorted(store)
    table = ImageTable("t", "", pd.DataFrame({"path": paths, "label": "", "split": ""}), store.__getitem__)
    folder: Path = tmp_path_factory.mktemp("facts")
    reads: list[int] = []
    facts = picture_facts(table, paths, paths, 10**8, folder, lambda done, total: reads.append(total))
    again = picture_facts(table, paths, paths, 10**8, folder, lambda done, total: reads.append(total))
    assert facts is not None and again is not None and np.array_equal(facts.values, again.values) and len(reads) == 1
    sources = [f"{i:03d}.jpg" for i in range(6)]
    copies = [path for path in paths if not path[0].isdigit()]
    near = rng.normal(size=(N, 24))
    features = np.stack(
        [near[int(p[:3])] if p[0].isdigit() else near[copies.index(p)] + 0.1 * rng.normal(size=24) for p in paths]
    ).astype(np.float32)
    return {"paths": paths, "facts": facts, "features": features, "truth": set(zip(sources, copies, strict=True))}


def test_altered_copies_are_found_and_nothing_else(album: dict[str, Any]) -> None:
    facts: PictureFacts = album["facts"]
    found = kinship(album["features"], album["paths"], None, facts.layout)
    pairs = {(album["paths"][a], album["paths"][b]) for a, b in found.near.pairs}
    assert pairs == album["truth"] and (np.diff(found.near.chance) >= 0).all()
    for one, other in pairs:
        assert found.family[album["paths"].index(one)] == found.family[album["paths"].index(other)]


def test_the_layout_alone_finds_most(album: dict[str, Any]) -> None:
    found = kinship(None, album["paths"], None, album["facts"].layout)
    pairs = {(album["paths"][a], album["paths"][b]) for a, b in found.near.pairs}
    assert pairs <= album["truth"] and len(pairs) >= 4


def test_pictures_that_cannot_be_read_again_are_no_copies(album: dict[str, Any]) -> None:
    layout = album["facts"].layout.copy()
    layout[: N // 2] = np.nan
    found = kinship(None, album["paths"], None, layout)
    assert not np.isin(found.near.pairs, np.arange(N // 2)).any()
    assert len(kinship(None, album["paths"], None, np.full_like(layout, np.nan)).near.pairs) == 0


def test_equal_layouts_of_all_pictures_are_no_copies() -> None:
    assert len(kinship(None, [str(i) for i in range(80)], None, np.ones((80, 63), np.float32)).near.pairs) == 0


@pytest.mark.parametrize("origin", ["source", "seeded"])
def test_the_oddity_lists_two_labels_first_and_counts_what_is_a_fault(album: dict[str, Any], origin: str) -> None:
    paths, near = album["paths"], kinship(album["features"], album["paths"], None, album["facts"].layout).near
    labels, splits = np.zeros(len(paths), np.int64), np.full(len(paths), "train", dtype=object)
    labels[paths.index("c-brighter.jpg")] = 1
    splits[[paths.index("a-quality.jpg"), paths.index("b-smaller.jpg")]] = "test"
    data = SimpleNamespace(paths=tuple(paths), labels=labels, splits=splits, classes=("x", "y"), split_origin=origin)
    seen: Any = SimpleNamespace(data=data, near=near)
    found = near_copies.find(cast(Audited, seen))
    assert found.value == (3 if origin == "source" else 1) and "6 pairs of images are near copies: 1" in found.summary
    assert found.rows[0] == ("002.jpg", "x", "train", "c-brighter.jpg", "y", "train")
    assert {row[5] for row in found.rows[1:3]} == {"test"} and len(found.items) == 12
    assert found.values is not None and found.values[paths.index("e-cropped.jpg")] == "004.jpg"
    assert (found.values == "").sum() == len(paths) - 12
