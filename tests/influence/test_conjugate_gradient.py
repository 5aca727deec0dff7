"""Block conjugate gradient against single systems and a dense solve, on the shapes that break it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditor.errors import EngineError
from auditor.influence.conjugate_gradient import Stopping, Systems, conjugate_gradient


def system(size: int, rank: int, seed: int = 0) -> torch.Tensor:
    """A symmetric positive semi-definite matrix with eigenvalues over three decades."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    values = torch.cat([torch.logspace(-1, 2, rank, dtype=torch.float64), torch.zeros(size - rank).double()])
    return (vectors * values) @ vectors.T


def solve(matrix: torch.Tensor, rhs: torch.Tensor, dampings: torch.Tensor, *, block: bool, most: int = 500):
    products = []

    def operator(v: torch.Tensor) -> torch.Tensor:
        products.append(len(v))
        return v @ matrix

    found = conjugate_gradient(Systems(operator, rhs, dampings), Stopping(1e-8, most), block=block)
    return found, products


def rows(k: int, size: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(k, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", [2, 10, 60])
def test_systems_solved_together_are_solved_in_fewer_products(k):
    matrix, rhs, dampings = system(60, 50), rows(k, 60), torch.full((k,), 0.1, dtype=torch.float64)
    together, products = solve(matrix, rhs, dampings, block=True)
    alone, more = solve(matrix, rhs, dampings, block=False)
    exact = torch.linalg.solve(matrix + 0.1 * torch.eye(60), rhs.T).T
    np.testing.assert_allclose(together.z, exact, rtol=1e-6, atol=1e-6)
    assert float(together.residuals.max()) <= 1e-8 and together.iterations < alone.iterations
    assert len(products) < len(more)


def test_systems_that_are_alike_zero_or_more_than_unknowns_are_solved_too():
    matrix, rhs = system(12, 12), rows(30, 12)
    rhs[3], rhs[4] = rhs[2], 0
    found, _ = solve(matrix, rhs, torch.full((30,), 0.01, dtype=torch.float64), block=True)
    np.testing.assert_allclose(found.z, torch.linalg.solve(matrix + 0.01 * torch.eye(12), rhs.T).T, atol=1e-8)
    assert (found.z[4] == 0).all() and torch.allclose(found.z[2], found.z[3], rtol=1e-9)


def test_systems_of_different_dampings_are_not_taken_together():
    matrix, rhs, dampings = system(30, 20), rows(3, 30), torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    (one, products), (other, same) = (solve(matrix, rhs, dampings, block=block) for block in (True, False))
    assert torch.equal(one.z, other.z) and products == same


def test_a_block_that_stops_early_an_indefinite_one_and_one_that_is_not_finite_are_told():
    matrix, rhs, dampings = system(60, 50), rows(4, 60), torch.full((4,), 1e-6, dtype=torch.float64)
    stopped, _ = solve(matrix, rhs, dampings, block=True, most=2)
    assert stopped.iterations == 2 and float(stopped.residuals.max()) > 1e-8
    indefinite, _ = solve(matrix - 5 * torch.eye(60), rhs, dampings, block=True)
    assert indefinite.negative_curvature
    with pytest.raises(EngineError, match="not finite"):
        solve(torch.full((60, 60), torch.nan).double(), rhs, dampings, block=True)
