"""The sample that an audit draws by itself."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from builders import make_result
from PIL import Image

from auditor.pipeline.sample import DRAWN, with_sample
from auditor.pipeline.thumbnails import Pictures
from auditor.review.ledger import Ledger
from auditor.review.sampling import Wish, draw_sample
from auditor.sources.base import ImageTable


def _png(path: str) -> bytes:
    if path.endswith("00007.png"):
        raise OSError("gone")
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(file, "PNG")
    return file.getvalue()


PICTURES = ImageTable("t", "t", pd.DataFrame({"path": [], "label": [], "split": []}), _png)


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_sample_is_the_beginning_of_the_default_draw_with_a_picture_of_each_item(calibrated: bool) -> None:
    result = make_result(n=400, calibrated=calibrated, thumbnails=20)
    found = with_sample(result, PICTURES, Pictures(PICTURES, 10**6), Ledger()).evidence
    drawn = draw_sample(result, Ledger(), Wish(DRAWN))["items"]
    assert found["sample"] == drawn and len(drawn) == DRAWN
    lacking = [item["path"] for item in drawn if item["path"] not in found["thumbnails"]]
    assert all(path.endswith("00007.png") for path in lacking)
    assert {**found["thumbnails"], **result.evidence["thumbnails"]} == found["thumbnails"]


def test_more_looks_prove_more() -> None:
    proofs = with_sample(make_result(n=1500), PICTURES, Pictures(PICTURES, 10**6), Ledger()).evidence["proves"]
    assert [proof["looks"] for proof in proofs] == [100, 300, 1000]
    shares = [proof["at_most"] for proof in proofs]
    assert 1 > shares[0] > shares[1] > shares[2] > 0


def test_equal_audits_draw_equal_samples() -> None:
    first, second = (
        with_sample(make_result(n=150), PICTURES, Pictures(PICTURES, 10**6), Ledger()).evidence for _ in range(2)
    )
    assert first == second
