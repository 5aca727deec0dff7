"""The committed small data sets are what `fixtures/make.py` makes, and hold what they promise."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from auditor.data.images import UnreadableImage, decode
from auditor.sources import open_source

MAX_PIXELS = 10**8


@pytest.fixture(scope="module")
def make(fixtures: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_fixtures", fixtures / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] in ("digits", "broken")
    }


def same(committed: bytes, made: bytes) -> bool:
    """Equal bytes; or, since codecs pack differently from version to version, nearly equal pixels."""
    if committed == made:
        return True
    images = [Image.open(io.BytesIO(data)) for data in (committed, made)]
    if images[0].mode != images[1].mode or images[0].size != images[1].size:
        return False
    pixels = [np.asarray(decode(data, max_pixels=MAX_PIXELS)).astype(int) for data in (committed, made)]
    return bool(np.abs(pixels[0] - pixels[1]).max() <= 4)


def test_the_committed_files_are_what_the_script_makes(fixtures: Path, make: ModuleType, tmp_path: Path) -> None:
    make.main(tmp_path)
    committed, made = files(fixtures), files(tmp_path)
    assert committed.keys() == made.keys()
    assert [path for path in committed if not same(committed[path], made[path])] == []
    digits = [path for path in committed if path.startswith("digits/")]
    assert len(digits) == 162
    assert all(committed[path] == made[path] for path in digits)


def test_they_are_small(fixtures: Path) -> None:
    assert sum(map(len, files(fixtures).values())) < 500_000


def test_three_spellings_of_one_data_set(fixtures: Path) -> None:
    tables = [open_source(str(fixtures / path)) for path in ("digits", "digits/labels.csv", "digits/labels.jsonl")]
    for table in tables[1:]:
        assert table.frame.equals(tables[0].frame)
    counts = tables[0].frame.groupby(["split", "label"]).size().to_dict()
    assert counts == {("train", "3"): 60, ("train", "8"): 60, ("test", "3"): 20, ("test", "8"): 20}


def test_the_broken_set_breaks_exactly_where_it_says(fixtures: Path, make: ModuleType) -> None:
    table = open_source(str(fixtures / "broken"))
    unreadable = set()
    for path in table.frame["path"]:
        try:
            decode(table.read(path), max_pixels=MAX_PIXELS)
        except UnreadableImage:
            unreadable.add(path)
    assert unreadable == make.UNREADABLE
    assert len(table.frame) == 2 * make.GOOD + 16
