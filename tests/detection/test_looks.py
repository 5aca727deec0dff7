"""What people found: it settles the items, and the estimate speaks of the others."""

from __future__ import annotations

import numpy as np
import pytest
from builders import make_result
from worlds import QUICK, blobs, flip

from auditor.detection import Labelled, detect
from auditor.detection.results import Detection
from auditor.errors import AuditorError
from auditor.gate import Judgement, evaluate
from auditor.gate.levels import rules_from


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


def _judged(answer: Detection, level: float) -> Judgement:
    """What the gate says of this estimate at one level."""
    result = make_result(n=400, share_wrong=0.0, thumbnails=0, examples=0)
    share = {"value": answer.share.value, "interval": [answer.share.low, answer.share.high]}
    result.summary["calibration"].update(share=share, cannot_tell=answer.cannot_tell)
    rules = rules_from({"wrong_labels": {"fail": level, "warn": level}})
    return next(one.verdict for one in evaluate(result, rules).rules if one.rule == "wrong_labels")


@pytest.mark.parametrize("gap", [0.4, 3.0])
def test_a_second_audit_passes_only_where_the_list_sees_the_errors(gap: float) -> None:
    """A reviewer read the top of a list and corrected half of the errors of weak features, all of strong ones."""
    x, y = blobs(500, 2, gap=gap)
    centres = np.random.default_rng(99).normal(size=(2, 12))
    side = (x - gap * centres.mean(axis=0)) @ (centres[1] - centres[0])
    labels, wrong = flip(y, 2, 0.06)
    if gap < 1:  # half of the errors lie anywhere, and the labels follow the features
        rng, labels, wrong = np.random.default_rng(0), y, np.zeros(500, bool)
        wrong[np.argsort(np.where(y == 1, side, -side))[:20]] = rng.random(20) < 0.4
        wrong[rng.permutation(500)[:20]] = True
    looked = np.argsort(np.where(labels == 1, side, -side))[: 166 if gap < 1 else 60]
    found = np.full(500, -1)
    found[looked] = np.where(wrong, 1 - labels, labels)[looked]
    left = float(wrong[found == -1].mean())
    answer = detect(Labelled(x, labels, 2, found=found), seed=0, settings=QUICK)
    assert answer.share.low <= left <= answer.share.high
    if gap < 1:
        assert left > 0.04 and answer.cannot_tell
        assert {_judged(answer, level) for level in (0.02, left - 1e-6, 0.1, 0.2)} == {Judgement.UNDECIDED}
    else:
        assert left == 0 and not answer.cannot_tell and _judged(answer, 0.02) is Judgement.PASS
