"""A library that reports a failure by its values is not believed: the work is done again, or the error is ours."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from helpers import PROJECT

from auditor.compute import linear
from auditor.compute.linear import right_vectors
from auditor.errors import EngineError

EIGH = torch.linalg.eigh


def _moments(seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A matrix of low rank with columns of zeros, as features of dark images give."""
    rows = torch.randn(6, 40, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    rows[:, 5:12] = 0
    return rows.T @ rows / 6


def _fails(how: str, when: set[torch.dtype]):  # type: ignore[no-untyped-def]
    """A stand-in for `torch.linalg.eigh` that fails in some precisions as `how` says."""

    def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = EIGH(matrix)
        if matrix.dtype not in when:
            return values, vectors
        if how == "raises":
            raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")  # type: ignore[attr-defined]
        bad = vectors.clone()
        bad[..., :, -1] = {"nan": torch.nan, "infinity": torch.inf, "zeros": 0.0}[how]
        return (values * torch.nan, vectors) if how == "values" else (values, bad)

    return eigh


@pytest.mark.parametrize("both", [False, True], ids=["in single precision", "in both"])
@pytest.mark.parametrize("how", ["nan", "infinity", "zeros", "raises"])
def test_eigenvectors_that_are_none_are_found_another_way(
    how: str, both: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = _moments()
    monkeypatch.setattr(torch.linalg, "eigh", _fails(how, {torch.float32, torch.float64} if both else {torch.float32}))
    values, vectors = linear.eigen(matrix)
    assert values.dtype == vectors.dtype == torch.float32 and linear.finite(values, vectors)
    torch.testing.assert_close(vectors * values @ vectors.T, matrix, atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(40), atol=1e-5, rtol=0)


def test_many_matrices_at_once_have_the_same_ways_round(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = torch.stack([_moments(seed, torch.float64) for seed in range(3)])
    monkeypatch.setattr(torch.linalg, "eigh", _fails("nan", {torch.float64}))
    values, vectors = linear.eigen(matrices)
    torch.testing.assert_close(vectors * values[:, None] @ vectors.mT, matrices)


def test_a_matrix_without_eigenvectors_is_an_error_of_ours_with_a_way_out() -> None:
    with pytest.raises(EngineError, match="not finite") as caught:
        linear.eigen(torch.full((3, 3), torch.nan))
    assert "--damping" in caught.value.hint


def test_a_factor_that_is_not_finite_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = _moments(dtype=torch.float64)
    assert linear.root_of(matrix - torch.eye(40, dtype=torch.float64)) is None
    root = linear.near_root(matrix)
    torch.testing.assert_close(root @ root.T, matrix, atol=1e-6, rtol=0)
    monkeypatch.setattr(torch.linalg, "cholesky_ex", lambda m: (m * torch.nan, torch.tensor(0)))
    assert linear.root_of(matrix) is None
    with pytest.raises(EngineError, match="no Cholesky factor"):
        linear.near_root(matrix)


@pytest.mark.parametrize("solve", [linear.solved_by, linear.halved_by])
def test_a_solution_beyond_single_precision_is_an_error_and_one_within_is_found(solve) -> None:  # type: ignore[no-untyped-def]
    root = torch.diag(torch.tensor([1.0, 1e-30]))
    with pytest.raises(EngineError, match="not finite"):
        solve(root, torch.full((2, 1), 1e20))
    assert linear.finite(solve(root, torch.tensor([[1.0], [0.0]])))


def test_directions_stay_orthonormal_where_single_precision_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = torch.linalg.qr

    def qr(matrix: torch.Tensor):  # type: ignore[no-untyped-def]
        q, r = found(matrix)
        return type("Q", (), {"Q": q * torch.nan if matrix.dtype == torch.float32 else q, "R": r})

    monkeypatch.setattr(torch.linalg, "qr", qr)
    rows = linear.orthonormal(torch.randn(3, 9))
    torch.testing.assert_close(rows @ rows.T, torch.eye(3))


def test_no_module_factorises_without_looking() -> None:
    """Every factorisation and solve goes through `compute/linear.py`, pyDVL's own apart."""
    words = r"linalg\.(eigh|eig|svd|qr|solve|lstsq|cholesky|inv|pinv)\w*\(|cholesky_solve\(|torch\.(svd|qr)\("
    found = [
        f"{path.relative_to(PROJECT)}: {line.strip()}"
        for path in sorted((PROJECT / "auditor").rglob("*.py"))
        if path.name != "linear.py" and path.parent.name != "certificate"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(words, line)
    ]
    assert not found


def test_influence_goes_on_where_a_library_gives_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.influence.base import HeadProblem
    from auditor.influence.closed_form import ClosedForm

    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 20)).astype(np.float32), np.arange(30) % 3
    problem = HeadProblem(features, labels, rng.normal(size=(3, 20)).astype(np.float32), np.zeros(3, np.float32))
    expected = ClosedForm(problem, 0.3, dense=False).rows(features[:4], labels[:4])
    for when in ({torch.float32}, {torch.float32, torch.float64}):
        monkeypatch.setattr(torch.linalg, "eigh", _fails("nan", when))
        other = ClosedForm(problem, 0.3, dense=False)
        np.testing.assert_allclose(other.rows(features[:4], labels[:4]), expected, rtol=1e-6, atol=1e-8)
        assert all(solve.converged for solve in other.solves)


def test_a_linear_head_that_overflows_is_trained_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.model import softmax_head

    found, asked = softmax_head.softmax_loss, []

    def loss(x, *more):  # type: ignore[no-untyped-def]
        asked.append(x.dtype)
        value, by_weight, by_bias = found(x, *more)
        return (value, by_weight * torch.nan, by_bias) if x.dtype == torch.float32 else (value, by_weight, by_bias)

    monkeypatch.setattr(softmax_head, "softmax_loss", loss)
    x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    head = softmax_head.SoftmaxHead.train(x, y, 2, 1e-2)
    assert torch.float64 in asked and (head.logits(x).argmax(axis=1) == y).all() and head.weight.dtype == np.float32


def test_right_vectors_span_the_rows_and_are_orthonormal() -> None:
    rng = np.random.default_rng(0)
    rows = torch.tensor(rng.normal(size=(30, 200)) @ np.diag(np.logspace(0, -3, 200)), dtype=torch.float64)
    rows[7] = rows[3]  # a copy adds no direction
    found = right_vectors(rows)
    assert found.shape == (200, 29)
    torch.testing.assert_close(found.T @ found, torch.eye(29, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows @ found @ found.T, rows, atol=1e-6, rtol=0)
    assert right_vectors(torch.zeros(3, 9)).shape == (9, 0)
