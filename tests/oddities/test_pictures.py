"""Faulty pictures: planted faults are found, by themselves and beside the others, and usual pictures are not named."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image, ImageFilter

from auditor.data.picture_facts import MEASURES, Picture, PictureFacts
from auditor.oddities.contract import Audited, Oddity
from auditor.oddities.picture_faults import FENCE, judge, measured
from auditor.oddities.pictures import find

N = 60


def _scene(rng: np.random.Generator) -> Image.Image:
    """A picture of its own with coarse and fine things in it."""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((72, 72), Image.Resampling.NEAREST)
    fine = rng.integers(-40, 40, (72, 72, 1))
    return Image.fromarray(np.clip(np.asarray(coarse, np.int64) + fine, 0, 255).astype(np.uint8))


CHANGES: dict[str, Any] = {
    "dark": lambda image: image.point(lambda level: level // 5),
    "bright": lambda image: image.point(lambda level: 255 - (255 - level) // 5),
    "washed out": lambda image: image.point(lambda level: 110 + level // 6),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "blank": lambda image: Image.new("RGB", image.size, (90, 120, 60)),
    "odd size": lambda image: image.resize((200, 200), Image.Resampling.NEAREST),
    "odd shape": lambda image: image.crop((0, 30, 72, 48)).resize((144, 36), Image.Resampling.NEAREST),
}


def _facts(images: list[Image.Image]) -> PictureFacts:
    rows = []
    for image in images:
        out = io.BytesIO()
        image.save(out, "PNG")
        picture = Picture(out.getvalue(), image.size, "PNG", image)
        rows.append([number for measure in MEASURES for number in measure.of(picture)])
    return PictureFacts(tuple(name for measure in MEASURES for name in measure.names), np.array(rows, np.float32))


def _found(images: list[Image.Image], families: Any = None) -> Oddity:
    n = len(images)
    data = SimpleNamespace(labels=np.zeros(n, np.int64), classes=("a",))
    families = np.arange(n) if families is None else families
    return find(Audited(cast(Any, data), families, _facts(images), cast(Any, None), 0))


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [_scene(rng) for _ in range(N)]


def test_usual_pictures_have_no_fault(scenes: list[Image.Image]) -> None:
    oddity = _found(scenes)
    assert oddity.told and oddity.value == 0 and not oddity.items
    assert oddity.summary.startswith("None of 60 images is dark")
    assert oddity.values is not None and set(oddity.values) == {""}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_planted_fault_is_named_for_that_picture_alone(scenes: list[Image.Image], fault: str) -> None:
    oddity = _found([CHANGES[fault](scenes[0]), *scenes[1:]])
    assert oddity.values is not None and fault in oddity.values[0].split(", ")
    assert set(oddity.values[1:]) == {""} and oddity.value == pytest.approx(1 / N)
    assert [item.row for item in oddity.items] == [0] and fault in oddity.items[0].said
    row = next(row for row in oddity.rows if row[0] == fault)
    assert row[1] == 1 and fault in oddity.summary


def test_a_fault_of_every_picture_is_one_in_any_data_set_or_none(scenes: list[Image.Image]) -> None:
    black = _found([image.point(lambda level: level // 40) for image in scenes])
    assert black.value == 1.0 and black.values is not None and all("dark" in words for words in black.values)
    dim = _found([image.point(lambda level: level * 2 // 5) for image in scenes])
    assert dim.value == 0, "where all pictures are dim, none is odd"


def test_one_fault_hides_what_says_nothing_more(scenes: list[Image.Image]) -> None:
    black = Image.new("RGB", (72, 72))
    oddity = _found([black, *scenes[1:]])
    assert oddity.values is not None and oddity.values[0] == "dark, blank"


def test_few_pictures_show_only_what_is_a_fault_anywhere(scenes: list[Image.Image]) -> None:
    few = [Image.new("RGB", (72, 72)), CHANGES["odd size"](scenes[1]), *scenes[2:10]]
    oddity = _found(few)
    assert not oddity.told and oddity.summary.startswith("Cannot tell what is odd among 10 images")
    assert [item.row for item in oddity.items] == [0]
    copies = _found(scenes, families=np.zeros(N, np.int64))
    assert not copies.told and copies.summary.startswith("Cannot tell what is odd among 1 image,")


def test_copies_do_not_make_a_fault_usual(scenes: list[Image.Image]) -> None:
    many = [CHANGES["odd size"](scenes[0])] * 40 + scenes
    families = np.concatenate([np.zeros(40, np.int64), np.arange(1, N + 1)])
    assert _found(many).value == 0
    oddity = _found(many, families)
    assert oddity.value == pytest.approx(40 / len(many))


def test_a_picture_that_is_gone_says_nothing(scenes: list[Image.Image]) -> None:
    facts = _facts(scenes)
    values = facts.values.copy()
    values[3] = np.nan
    data = SimpleNamespace(labels=np.zeros(N, np.int64), classes=("a",))
    gone = Audited(cast(Any, data), np.arange(N), PictureFacts(facts.names, values), cast(Any, None), 0)
    oddity = find(gone)
    assert oddity.values is not None and oddity.values[3] == "" and "1 image could not be read" in oddity.notes[-1]


def test_the_fence_is_three_widths_of_the_middle_half_of_the_logarithms(scenes: list[Image.Image]) -> None:
    measures = measured(_facts(scenes), np.arange(N))
    one = next(one for one in judge(measures, np.arange(N)) if one.fault.name == "dark")
    low, high = np.quantile(np.log2(measures["light_parts"]), (0.25, 0.75))
    assert one.limits[0] == pytest.approx(min(2 ** (low - FENCE * (high - low)), 0.5))


def test_the_smallest_pictures_are_measured() -> None:
    oddity = _found([Image.new("RGB", (1, 1), (200, 10, 10)), Image.new("RGB", (3, 500))])
    assert not oddity.told and len(oddity.items) == 2


def test_detail_does_not_rest_on_contrast(scenes: list[Image.Image]) -> None:
    weak = _facts([image.point(lambda level: 60 + level // 2) for image in scenes])["detail"]
    blurred = _facts([CHANGES["blurred"](image) for image in scenes])["detail"]
    plain = _facts(scenes)["detail"]
    assert np.median(weak / plain) > 0.8 and blurred.max() < 0.4 < plain.min()
