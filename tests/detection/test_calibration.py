"""What calibration adds to the label model: an order, and sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.detection import calibration as cal

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


@settings(max_examples=100, deadline=None)
@given(probabilities, st.integers(0, 10**6))
def test_probabilities_in_order_rise_with_suspicion_and_keep_their_sum(p, seed):
    suspicion = np.random.default_rng(seed).integers(0, 10, len(p)).astype(float)
    found = cal.in_order(p, suspicion)
    order = np.argsort(suspicion, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()
    assert found.sum() == pytest.approx(p.sum(), abs=1e-6)
    for value in np.unique(suspicion):
        assert np.ptp(found[suspicion == value]) < 1e-9


@settings(max_examples=100, deadline=None)
@given(probabilities, st.floats(0, 1))
def test_probabilities_at_another_share_have_that_mean_and_the_same_order(p, share):
    found = cal.at_share(p, share)
    assert found.mean() == pytest.approx(share, abs=1e-6)
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_separation_counts_pairs_in_the_right_order():
    planted, right = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.0])
    pairs = [(p > g) + 0.5 * (p == g) for p in planted for g in right]
    assert cal.separation(planted, right) == pytest.approx(np.mean(pairs))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=60).map(np.array), st.floats(0, 1), st.floats(0, 1))
def test_rows_of_the_review_table_agree_with_one_another_and_with_the_share(p, low, high):
    share = float(p.mean())
    ends = cal.at_share(p, share * low), cal.at_share(p, share + (1 - share) * high)
    found = cal.review_table(np.argsort(-p), p, *ends)
    k = found["k"].to_numpy()
    for name in ("found", "recall"):
        assert (np.diff(found[f"{name}_low"]) >= -1e-9).all() and (np.diff(found[f"{name}_high"]) >= -1e-9).all()
    assert (found["found_low"] <= found["expected_found"] + 1e-6).all()
    assert (found["expected_found"] <= found["found_high"] + 1e-6).all()
    assert (found["found_high"] <= k + 1e-6).all() and (found["precision"] <= 1 + 1e-9).all()
    last = found.iloc[-1]
    assert last["k"] == len(p)
    assert (last["found_low"], last["found_high"]) == pytest.approx([end.sum() for end in ends])
