"""Statistics, against scipy.stats and scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from auditor.compute.statistics import area_under_curve, confusion, isotonic, ranks, weighted_f1

SEEDS = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(1, 30), SEEDS)
def test_ranks_and_area(n: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, flags = rng.integers(distinct, size=n) / 7, np.arange(n) % 2 == 0
    np.testing.assert_array_equal(ranks(values), rankdata(values))
    assert area_under_curve(flags, values) == pytest.approx(roc_auc_score(flags, values))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(1, 40), SEEDS)
def test_isotonic_regression(n: int, distinct: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    along, values = rng.integers(distinct, size=n) / 3, rng.random(n)
    found = isotonic(along, values)
    np.testing.assert_allclose(found, IsotonicRegression().fit_transform(along, values), atol=1e-12)
    assert found.mean() == pytest.approx(values.mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(2, 6), SEEDS)
def test_confusion_and_f1(n: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(n_classes, size=(2, n))
    matrix = confusion(labels, predicted, n_classes)
    if n:
        np.testing.assert_array_equal(matrix, confusion_matrix(labels, predicted, labels=np.arange(n_classes)))
        theirs = f1_score(labels, predicted, average="weighted", zero_division=0)
        assert weighted_f1(matrix) == pytest.approx(theirs)
    else:
        assert weighted_f1(matrix) == 0


def test_an_audit_needs_neither_scipy_stats_nor_scikit_learn() -> None:
    code = (
        "import sys, auditor.pipeline.stages, auditor.report;"
        "print([name for name in ('scipy.stats', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
