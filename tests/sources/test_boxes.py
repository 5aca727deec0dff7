"""Boxes as items: what is cut out of a picture, how often it is decoded, and which boxes belong together."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from detections import coco, coco_set, save, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_coco import write

from auditor.errors import SourceError
from auditor.sources import open_source
from auditor.sources.boxes import crops
from auditor.sources.boxes.crops import Crops, Cut, upright
from auditor.sources.boxes.families import ENOUGH, box_families
from auditor.sources.manifest_spec import split_margin


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened)


def cut(picture: Image.Image, sides: tuple[float, float, float, float], margin: float = 0.0) -> np.ndarray:
    reader = Crops(lambda _: png(picture), {"x": Cut("p", sides)}, {}, relative=False, margin=margin, max_pixels=10**6)
    return pixels(reader("x"))


NUMBERED = Image.fromarray(np.arange(30 * 40, dtype=np.uint16).astype(np.uint8).reshape(30, 40))
"""A picture of 40x30 pixels whose neighbours all differ."""


@given(
    st.floats(-20, 50), st.floats(-20, 40), st.floats(0.01, 60), st.floats(0.01, 60), st.sampled_from([0.0, 0.1, 2.5])
)
@settings(max_examples=150, deadline=None)
def test_a_crop_is_what_the_box_and_its_margin_hold_of_the_picture(
    left: float, top: float, wide: float, high: float, margin: float
) -> None:
    right, bottom = left + wide, top + high
    if right <= 0 or bottom <= 0 or left >= 40 or top >= 30:
        with pytest.raises(OSError, match="outside its picture"):
            cut(NUMBERED, (left, top, right, bottom), margin)
        return
    ends = []
    for first, last, length in ((left, right, 40), (top, bottom, 30)):
        more = margin * (last - first)
        begin = min(max(math.floor(first - more + 0.5), 0), length - 1)
        ends.append((begin, max(min(math.floor(last + more + 0.5), length), begin + 1)))
    (x0, x1), (y0, y1) = ends
    found = cut(NUMBERED, (left, top, right, bottom), margin)
    assert np.array_equal(found, np.asarray(NUMBERED)[y0:y1, x0:x1])


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_box_lies_where_it_was_drawn_in_a_picture_that_exif_turns(orientation: int) -> None:
    """The annotation's size tells whether boxes lie in the picture as the file holds it, or as people see it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    NUMBERED.save(out, "PNG", exif=exif)
    box, data = (3.0, 4.0, 15.0, 9.0), out.getvalue()
    inner = np.asarray(NUMBERED)[4:9, 3:15]
    turned = {5: inner.T, 6: np.rot90(inner, -1), 7: np.rot90(inner.T, 2), 8: np.rot90(inner)}[orientation]
    for size, sides in (((40, 30), box), ((30, 40), upright(box, (40, 30), orientation))):
        reader = Crops(lambda _: data, {"x": Cut("p", sides)}, {"p": size}, relative=False, margin=0, max_pixels=10**6)
        assert np.array_equal(pixels(reader("x")), turned)


def test_a_picture_is_decoded_once_for_all_its_boxes_by_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, pasted = coco_set(tmp_path, 6, 7)
    table = open_source(f"{file}::margin=0")
    decoded = list[int]()
    real = crops.decode
    monkeypatch.setattr(crops, "decode", lambda data, **more: decoded.append(1) or real(data, **more))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(table.read, table.frame["path"]))
    assert len(found) == len(pasted) and len(decoded) == 6
    again = pickle.loads(pickle.dumps(table.read))  # noqa: S301 - our own; so it is sent to another process
    assert [again(path) for path in table.frame["path"]] == found
    monkeypatch.setattr(crops, "HELD_BYTES", 0)  # memory for one picture: read in order, each is still decoded once
    decoded.clear()
    last = pickle.loads(pickle.dumps(table.read))  # noqa: S301
    assert [last(path) for path in table.frame["path"]] == found and len(decoded) == 6
    with pytest.raises(FileNotFoundError):
        last("000.png#9")


def test_colour_and_grey_stay_what_they_are() -> None:
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8))
    assert cut(NUMBERED, (0, 0, 5, 5)).ndim == 2 and np.array_equal(
        cut(colour, (2, 1, 7, 9)), np.asarray(colour)[1:9, 2:7]
    )


def test_a_picture_that_cannot_be_used_costs_its_boxes_and_says_why(tmp_path: Path) -> None:
    pictures, pasted = scene(3, 2)
    save(tmp_path, pictures)
    (tmp_path / "000.png").write_bytes(b"no picture")
    (tmp_path / "001.png").unlink()
    document = coco(pasted, pictures)
    document["images"][2]["width"] = 200
    table = open_source(str(write(tmp_path, document)))
    assert {entry.path for entry in table.skipped} == {"001.png"} and "No such file" in table.skipped[0].reason
    assert any("2 boxes are left out with 1 picture" in note for note in table.notes)
    for path, words in (
        ("000.png#1000", "not an image"),
        ("002.png#1004", "96x72 pixels, and the annotation says 200x72"),
    ):
        with pytest.raises(OSError, match=words):
            table.read(path)
    bomb = open_source(str(write(tmp_path, coco(pasted, pictures))))
    bomb.read._max_pixels = 96 * 72 - 1  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="more than the limit of"):
        bomb.read("002.png#1004")


def naive_families(sides: Sequence[tuple[float, float, float, float]]) -> list[set[int]]:
    groups = [{row} for row in range(len(sides))]
    for a, (l0, t0, r0, b0) in enumerate(sides):
        for b, (l1, t1, r1, b1) in enumerate(sides[:a]):
            if l0 < r1 and l1 < r0 and t0 < b1 and t1 < b0:
                one, other = (next(g for g in groups if row in g) for row in (a, b))
                if one is not other:
                    groups.remove(other)
                    one |= other
    return groups


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_boxes_that_share_pixels_are_a_family_where_pictures_are_few(corners: list[tuple[int, int, int, int]]) -> None:
    sides = [(float(x), float(y), float(x + w + 1), float(y + h + 1)) for x, y, w, h in corners]
    names, note = box_families([Cut("p", one) for one in sides], 0.0)
    found = [{row for row, name in enumerate(names) if name == group} for group in dict.fromkeys(names)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, naive_families(sides)))
    assert ("too few pictures to hold back whole ones" in note) == (len(sides) > 1)


def test_a_picture_is_a_family_where_there_are_enough() -> None:
    cuts = [Cut(f"{n}.png", (9.0 * k, 0, 9.0 * k + 5, 5)) for n in range(ENOUGH) for k in range(3)]
    names, note = box_families(cuts, 0.1)
    assert names == [one.picture for one in cuts] and note == ""
    crowd = [Cut("crowd.png", (7.0 * k, 0, 7.0 * k + 5, 5)) for k in range(100)]
    assert len(set(box_families(cuts + crowd, 0.1)[0])) == len(cuts) + len(crowd)


@pytest.mark.parametrize("margin", ["-1", "nan", "11", "much", ""])
def test_a_margin_that_is_none_is_refused(margin: str, tmp_path: Path) -> None:
    file, _ = coco_set(tmp_path, 2, 2)
    with pytest.raises(SourceError, match="cannot understand the margin"):
        open_source(f"{file}::margin={margin}")


def test_a_file_whose_name_ends_as_a_margin_is_itself(tmp_path):
    place, odd = tmp_path / "x.json", tmp_path / "x.json::margin=0.2"
    assert split_margin(str(odd)) == (str(place), "0.2")
    odd.touch()
    assert split_margin(str(odd)) == (str(odd), "")
