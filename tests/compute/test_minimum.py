"""A minimum is finite, whatever the library gives."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import PROJECT

from auditor.compute import minimum


def _bowl(at):
    return float(((at - 3.0) ** 2).sum()), 2 * (at - 3.0)


def test_the_minimum_within_bounds() -> None:
    found = minimum.bounded(_bowl, np.zeros(2), [(None, 2.0), (0.0, None)], maxiter=50)
    assert found == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_where_no_finite_point_is_found_the_start_stands(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    class Failed:
        x = np.array([1.0, bad])

    monkeypatch.setattr(minimum, "minimize", lambda *a, **k: Failed())
    assert minimum.bounded(_bowl, np.array([0.5, 0.25]), [(0.0, 1.0)] * 2).tolist() == [0.5, 0.25]


def test_tiny_products_start_no_threads() -> None:
    from threadpoolctl import threadpool_info

    seen: set[int] = set()

    def told(at):
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return _bowl(at)

    minimum.bounded(told, np.zeros(2), [(None, None)] * 2)
    assert seen == {1}


def test_no_other_module_minimises() -> None:
    for path in sorted((PROJECT / "auditor").rglob("*.py")):
        if path.name != "minimum.py":
            assert "import minimize" not in path.read_text(encoding="utf-8"), path
