"""What people found: it settles the items, and the estimate speaks of the others."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import QUICK, blobs, flip

from auditor.detection import Labelled, detect
from auditor.errors import AuditorError


def test_items_that_people_looked_at_are_settled_and_the_share_speaks_of_the_others():
    x, y = blobs(400, 3)
    labels, wrong = flip(y, 3, 0.15)
    found = np.full(400, -1)
    found[:90] = y[:90]
    found[np.flatnonzero(wrong[:90])[:2]] = -2
    answer = detect(Labelled(x, labels, 3, found=found), seed=0, settings=QUICK)
    seen = np.arange(400) < 90
    assert np.isnan(answer.suspicion[seen]).all() and np.isfinite(answer.suspicion[~seen]).all()
    np.testing.assert_array_equal(answer.p_mislabelled[seen], wrong[seen].astype(float))
    assert answer.share.count == pytest.approx(answer.p_mislabelled[~seen].sum(), rel=1e-6)
    assert answer.share.count_low <= wrong[~seen].sum() <= answer.share.count_high
    assert answer.by_class["n"].sum() == answer.review["k"].max() == 310
    corrected = seen & wrong & (found >= 0)
    np.testing.assert_array_equal(answer.suggested_label[corrected], y[corrected])
    assert (answer.suggested_label[found == -2] == -1).all()


@pytest.mark.parametrize(
    ("found", "groups", "message"),
    [(np.full(20, 3), None, "0..2"), (np.full(20, -3), None, "0..2"), (None, np.zeros(19, int), "groups")],
)
def test_looks_and_families_that_do_not_fit_are_refused(found, groups, message):
    x, y = blobs(20, 3)
    with pytest.raises(AuditorError, match=message):
        Labelled(x, y, 3, found=found, groups=groups).checked()
