"""Factors of matrices: right ones, and what happens where LAPACK reports failure by an error or by NaN."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from auditor.compute import factors
from auditor.errors import EngineError


def _low_rank(n: int = 40, rank: int = 7, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    rows = torch.randn(rank, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[:, ::3] = 0
    return (rows.T @ rows).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eigenvectors_of_a_matrix_of_low_rank(dtype: torch.dtype) -> None:
    matrix = _low_rank(dtype=dtype)
    values, vectors = factors.eigh(matrix)
    assert values.dtype == vectors.dtype == dtype
    torch.testing.assert_close(vectors @ torch.diag(values) @ vectors.T, matrix, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fails", ["error", "nan vectors", "nan values"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_failure_of_either_kind_is_seen(monkeypatch: pytest.MonkeyPatch, fails: str, times: int) -> None:
    matrix, right, calls = _low_rank(), torch.linalg.eigh, []

    def broken(given: torch.Tensor) -> Any:
        calls.append(given.dtype)
        values, vectors = right(given)
        if len(calls) > times:
            return values, vectors
        if fails == "error":
            raise torch.linalg.LinAlgError("did not converge")
        (vectors if fails == "nan vectors" else values)[..., -1] = torch.nan
        return values, vectors

    monkeypatch.setattr(torch.linalg, "eigh", broken)
    values, vectors = factors.eigh(matrix)
    assert calls[1] == torch.float64 and len(calls) == times + 1
    torch.testing.assert_close(vectors @ torch.diag(values) @ vectors.T, matrix, atol=1e-3, rtol=1e-3)


def test_several_matrices_at_once() -> None:
    matrices = torch.stack([_low_rank(6, 2), torch.eye(6)])
    values, vectors = factors.eigh(matrices)
    torch.testing.assert_close(
        vectors @ torch.diag_embed(values) @ vectors.transpose(1, 2), matrices, atol=1e-5, rtol=1e-4
    )


def test_what_never_succeeds_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "eigh", lambda m: (m[..., 0] * torch.nan, m * torch.nan))
    with pytest.raises(EngineError, match="no eigenvectors") as refused:
        factors.eigh(_low_rank())
    assert refused.value.hint


@pytest.mark.parametrize("factorise", [factors.eigh, factors.cholesky])
def test_a_matrix_that_is_not_finite_is_named(factorise: Any) -> None:
    with pytest.raises(EngineError, match="NaN or infinity"):
        factorise(torch.full((3, 3), torch.nan))


def test_a_singular_matrix_has_a_factor_and_an_indefinite_one_has_none() -> None:
    matrix = _low_rank(dtype=torch.float64)
    factor = factors.cholesky(matrix)
    torch.testing.assert_close(factor @ factor.T, matrix, atol=1e-6, rtol=1e-6)
    assert factors.cholesky_or_none(-torch.eye(3)) is None
    with pytest.raises(EngineError, match="not positive definite"):
        factors.cholesky(-torch.eye(3))


def test_a_factor_of_nan_is_no_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = lambda m: (m * torch.nan, torch.zeros((), dtype=torch.int32))  # noqa: E731
    monkeypatch.setattr(torch.linalg, "cholesky_ex", nan)
    assert factors.cholesky_or_none(torch.eye(3)) is None


def test_an_orthonormal_basis_survives_a_silent_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, right = torch.randn(3, 10), torch.linalg.qr

    class Broken:
        Q = torch.full((10, 3), torch.nan)

    monkeypatch.setattr(torch.linalg, "qr", lambda m: Broken if m.dtype == torch.float32 else right(m))
    basis = factors.orthonormal(rows)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3), atol=1e-5, rtol=0)
