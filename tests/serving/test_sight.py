"""Items at full size: as they lie in the data set, unless they have changed since the audit."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from served import audit_with_pictures

from auditor.errors import SourceError
from auditor.serving import sight
from auditor.serving.sight import Sight
from auditor.sources import open_source


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    result, _ = audit_with_pictures(folder, n=12, edge=700)
    return result, open_source(str(folder / "data"))


def opened(shown):
    return Image.open(io.BytesIO(shown.data))


def test_a_picture_comes_at_its_own_size(audited):
    result, table = audited
    shown = Sight(result, table).show(3)
    own = Image.open(io.BytesIO(table.read(result.ranking["path"][3])))
    assert shown.media_type == "image/jpeg" and opened(shown).size == own.size
    apart = np.asarray(opened(shown), dtype=float) - np.asarray(own.convert("RGB"), dtype=float)
    assert abs(apart).mean() < 8  # noise is the hardest that a JPEG can hold


def test_a_small_picture_keeps_every_pixel(tmp_path):
    result, _ = audit_with_pictures(tmp_path, edge=30)
    table = open_source(str(tmp_path / "data"))
    shown = Sight(result, table).show(0)
    own = Image.open(io.BytesIO(table.read(result.ranking["path"][0])))
    assert shown.media_type == "image/png"
    assert np.array_equal(np.asarray(opened(shown)), np.asarray(own.convert("RGB")))


def test_a_huge_picture_comes_smaller_and_a_bomb_does_not_come(audited, monkeypatch):
    result, table = audited
    monkeypatch.setattr(sight, "EDGE", 200)
    assert max(opened(Sight(result, table).show(0)).size) == 200
    settings = {**result.summary["settings"], "max_pixels": 1000}
    small = dataclasses.replace(result, summary={**result.summary, "settings": settings})
    with pytest.raises(SourceError, match="more than the limit of 1000"):
        Sight(small, table).show(0)


def test_what_cannot_be_shown_is_said(tmp_path):
    result, _ = audit_with_pictures(tmp_path, edge=8)
    table = open_source(str(tmp_path / "data"))
    looking = Sight(result, table)
    first, second = result.ranking["path"][:2]
    (tmp_path / "data" / first).write_bytes((tmp_path / "data" / second).read_bytes())
    with pytest.raises(SourceError, match="has changed since the audit"):
        looking.show(0)
    (tmp_path / "data" / second).unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        looking.show(1)
    for row in (-1, len(result.ranking)):
        with pytest.raises(SourceError, match="no image in row"):
            looking.show(row)
    with pytest.raises(SourceError, match="is not here"):
        Sight(result, None, "the data set is not here").show(2)


def test_a_text_comes_whole(audited):
    result, table = audited
    text = "<script>alert(1)</script> " * 500
    texts = dataclasses.replace(table, excerpt=lambda path: text)
    shown = Sight(result, texts).show(0)
    assert (shown.data.decode(), shown.media_type) == (text, "text/plain; charset=utf-8")
