"""Marks that tell the class: planted ones are found held out, chance is not, and copies count once."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.stats import binomtest

from auditor.data.picture_facts import MEASURES, Picture, PictureFacts
from auditor.oddities.contract import Audited
from auditor.oddities.marks import NAMES, find, of_pictures, tell
from auditor.system.arrays import Ints

N = 1200


def _labels(seed: int, classes: int = 4, n: int = N) -> Ints:
    return np.random.default_rng(seed).integers(0, classes, n)


def test_a_fact_that_most_of_a_class_has_is_found_for_that_class() -> None:
    labels, rng = _labels(0), np.random.default_rng(1)
    border = np.where((labels == 2) & (rng.random(N) < 0.8), 4.0, 0.0)
    found = tell({"border": border, "brightness": rng.random(N)}, labels, np.arange(N), 4, 0)
    assert [(mark.fact, mark.label) for mark in found.clear] == [("border", 2)]
    mark = found.marks[0]
    assert mark.hit == pytest.approx(0.8, abs=0.05) and mark.taken == 0.0 and mark.low < 0.8 < mark.high
    assert found.together > found.chance == 0.25


def test_without_a_mark_all_intervals_hold_chance_in_nearly_every_data_set() -> None:
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        facts = {"brightness": rng.random(400), "width": rng.integers(0, 5, 400).astype(float)}
        found = tell(facts, _labels(1000 + seed, n=400), np.arange(400), 4, seed)
        missed += any(mark.low > 0 for mark in found.marks)
    assert binomtest(missed, 100, 0.05, alternative="greater").pvalue > 0.01


def test_a_fact_with_many_values_is_cut_into_bins_and_learns_nothing_by_heart() -> None:
    labels = _labels(3)
    own = np.random.default_rng(4).permutation(N).astype(float)
    found = tell({"bytes": own}, labels, np.arange(N), 4, 0)
    assert not found.clear and max(mark.told for mark in found.marks) < 0.2


def test_copies_count_once() -> None:
    labels = np.repeat([0, 1], 200)
    families = np.concatenate([np.zeros(190, np.int64), np.arange(1, 211)])
    facts = {"border": np.repeat([4.0, 0.0], 200)}
    assert tell(facts, labels, np.arange(400), 2, 0).clear
    assert not tell(facts, labels, families, 2, 0).marks


def test_files_that_are_all_alike_tell_nothing() -> None:
    found = tell({"format": np.zeros(N)}, _labels(0), np.arange(N), 4, 0)
    assert not found.marks and np.isnan(found.together)


def _file(rng: np.random.Generator, how: str = "") -> bytes:
    image = Image.fromarray(rng.integers(60, 200, (48, 48, 3), dtype=np.uint8)).resize((96, 96))
    out = io.BytesIO()
    if how == "png":
        image.save(out, "PNG")
        return out.getvalue()
    exif = Image.Exif()
    if how == "camera":
        exif[0x010F], exif[0x0110] = "Acme", "X1"
    if how == "border":
        image = ImageOps.expand(ImageOps.crop(image, 4), 4)
    if how == "dark":
        image = image.point(lambda level: level // 2)
    if how == "wide":
        image = image.crop((0, 0, 96, 80))
    image.save(out, "JPEG", quality=50 if how == "quality" else 90, exif=exif)
    return out.getvalue()


def _facts(files: list[bytes]) -> PictureFacts:
    rows = []
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            picture = Picture(data, image.size, str(image.format), image.convert("RGB"))
        rows.append([number for measure in MEASURES for number in measure.of(picture)])
    return PictureFacts(tuple(name for measure in MEASURES for name in measure.names), np.array(rows, np.float32))


def _audited(facts: PictureFacts, labels: Ints) -> Audited:
    data = SimpleNamespace(labels=labels, classes=("<b>", "=1+1"))
    return Audited(cast(Any, data), np.arange(len(labels)), facts, cast(Any, None), 0)


@pytest.mark.parametrize(
    ("how", "fact"),
    [
        ("png", "format"),
        ("camera", "camera"),
        ("border", "border"),
        ("dark", "brightest"),
        ("wide", "aspect"),
        ("quality", "quality"),
    ],
)
def test_a_mark_in_the_files_of_a_class_is_named(how: str, fact: str) -> None:
    rng, labels = np.random.default_rng(5), np.repeat([0, 1], 60)
    facts = _facts([_file(rng, how if label else "") for label in labels])
    oddity = find(_audited(facts, labels))
    assert oddity.told and oddity.interval is not None and oddity.interval[0] > 0.5
    assert any(row[0] == NAMES[fact] and isinstance(row[4], float) and row[4] > 0.9 for row in oddity.rows)


def test_no_mark_says_what_it_could_have_found() -> None:
    rng, labels = np.random.default_rng(6), np.repeat([0, 1], 60)
    oddity = find(_audited(_facts([_file(rng) for _ in labels]), labels))
    assert oddity.told and oddity.summary.startswith("No fact of the files surely tells half of a class.")
    assert "are not looked for" in oddity.summary
    assert oddity.value is not None and oddity.value < 0.5


def test_few_images_cannot_tell() -> None:
    rng, labels = np.random.default_rng(7), np.repeat([0, 1], 6)
    oddity = find(_audited(_facts([_file(rng) for _ in labels]), labels))
    assert not oddity.told and oddity.summary.startswith("Cannot tell")


def test_a_damaged_camera_name_is_no_camera() -> None:
    rng = np.random.default_rng(8)
    whole = _file(rng, "camera")
    at = whole.index(b"Exif")
    damaged = whole[: at + 6] + b"\xff" * 20 + whole[at + 26 :]
    assert of_pictures(_facts([damaged]), np.arange(1))["camera"][0] == 0
