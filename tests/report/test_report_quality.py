"""The model's quality: the interval of an accuracy."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from auditor.report import quality


def test_wilson_interval_holds_known_values():
    assert quality.wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-4)
    assert quality.wilson(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-4)


def test_wilson_interval_is_scipys():
    for hits, n in ((0, 1), (1, 1), (3, 7), (35, 35), (170, 200), (4999, 10_000)):
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert quality.wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-7)
    assert quality.wilson(0, 0) == (0.0, 1.0)
