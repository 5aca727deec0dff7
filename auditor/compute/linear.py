"""Factorisations and solves whose results are looked at: a library may report a failure by its values alone.

LAPACK has given eigenvectors with NaN and no error (pytorch/pytorch#59720). So every result is tested for finite
numbers. Where it has others, or the library reports a failure, the work is done again in double precision, and at last
by another algorithm. Where that fails too, the error says what to do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch

from auditor.errors import EngineError

HINT = "raise --damping, look at the images for extreme values, or give other --weights"

_SHIFT = 1e-9
"""Part of the largest diagonal entry that tells zero eigenvalues apart, where rounding alone would."""

_JITTERS = (0.0, 1e-12, 1e-10, 1e-8)
"""Parts of the largest diagonal entry that are added, one after another, until there is a Cholesky factor."""

WIDE = 1024
"""Columns beyond which a matrix of fewer than half as many rows is decomposed by its rows. A ResNet50 gives 3,840: with
24 images that takes a thousandth of the time."""

_OFF_UNIT = 1e-2
"""An eigenvector whose length is farther than this from 1 is no eigenvector."""


class NotFiniteError(EngineError):
    """A factorisation or a solve gave NaN or infinity, in double precision too."""


def finite(*values: torch.Tensor) -> bool:
    """Whether all numbers are finite."""
    return all(bool(torch.isfinite(v).all()) for v in values)


def eigen(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues [..., P], rising, and eigenvectors in columns [..., P, P] of symmetric matrices [..., P, P].

    With fewer images than features most eigenvalues are 0 up to rounding. Rounding then decides whether LAPACK's
    divide-and-conquer ends.

    Raises
    ------
    NotFiniteError
        The matrix is not finite, or no algorithm finds its eigenvectors.
    """
    if not finite(matrix):
        raise NotFiniteError("a matrix of second derivatives or features is not finite", hint=HINT)
    ways: list[Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]] = [_divide]
    if matrix.dtype != torch.float64:
        ways.append(_shifted)
    ways.append(_by_rotations)
    for way in ways:
        try:
            values, vectors = way(matrix)
        except (torch.linalg.LinAlgError, np.linalg.LinAlgError):  # type: ignore[attr-defined]
            continue
        lengths = torch.linalg.vector_norm(vectors, dim=-2)
        if finite(values, vectors) and bool(((lengths - 1).abs() < _OFF_UNIT).all()):
            return values, vectors
    raise NotFiniteError(f"no eigenvectors were found of a matrix of size {matrix.shape[-1]}", hint=HINT)


def by_rows(values: torch.Tensor) -> bool:
    """Whether a matrix [n, P] has so few rows that its decomposition should come from these (see `WIDE`)."""
    n, width = values.shape
    return width > WIDE and 2 * n < width


def right_vectors(values: torch.Tensor, tolerance: float = 1e-9) -> torch.Tensor:
    """Orthonormal columns [P, r] that span the rows of `values` [n, P] with n < P: its right singular vectors.

    Directions with less than `tolerance` of the largest squared singular value are left out.

    Raises
    ------
    NotFiniteError
        As `eigen`.
    """
    double = values.double()
    squares, left = eigen(double @ double.T)
    keep = squares > tolerance * squares[-1].clamp_min(torch.finfo(double.dtype).tiny)
    found: torch.Tensor = double.T @ (left[:, keep] / squares[keep].sqrt())
    return found.to(values.dtype)


def root_of(matrix: torch.Tensor) -> torch.Tensor | None:
    """Cholesky's lower factor [P, P] of a symmetric matrix; None where there is none, or it is not finite."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor if int(failed) == 0 and finite(factor) else None


def near_root(matrix: torch.Tensor) -> torch.Tensor:
    """Cholesky's lower factor, float64 [P, P], of a matrix that is positive definite up to rounding.

    Raises
    ------
    NotFiniteError
        There is none.
    """
    double = matrix.double()
    size = double.diagonal().abs().max() if len(double) else double.new_zeros(())
    for part in _JITTERS:
        near = double.clone()
        near.diagonal().add_(part * size)
        root = root_of(near)
        if root is not None:
            return root
    raise NotFiniteError(f"a matrix of size {len(matrix)} has no Cholesky factor", hint=HINT)


def solved_by(root: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve with Cholesky's lower factor [P, P] for right-hand sides [P, k], in double precision where it must be.

    Raises
    ------
    NotFiniteError
        The solution is not finite in double precision either.
    """
    found = torch.cholesky_solve(right, root)
    return found if finite(found) else _in_double(torch.cholesky_solve, right, root)


def solved(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve with matrices [..., P, P] for right-hand sides [..., P, k], in double precision where it must be.

    Raises
    ------
    NotFiniteError
        The solution is not finite in double precision either.
    """
    found, _ = torch.linalg.solve_ex(matrix, right)
    return found if finite(found) else _in_double(lambda b, a: torch.linalg.solve_ex(a, b)[0], right, matrix)


def halved_by(root: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve with the lower triangle `root` [P, P] alone, for right-hand sides [P, k]; as `solved_by` otherwise."""
    found: torch.Tensor = torch.linalg.solve_triangular(root, right, upper=False)
    if finite(found):
        return found
    return _in_double(lambda b, a: torch.linalg.solve_triangular(a, b, upper=False), right, root)


def orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis, in rows, of the space of `rows` [k, P]."""
    basis: torch.Tensor = torch.linalg.qr(rows.T).Q
    if not finite(basis):
        basis = _in_double(lambda columns: torch.linalg.qr(columns).Q, rows.T)
    return basis.T.contiguous()


def _in_double(solve: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    found = solve(*(tensor.double() for tensor in tensors)).to(tensors[0].dtype)
    if not finite(found):
        raise NotFiniteError("the solution of a linear system is not finite", hint=HINT)
    return found


def _divide(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors


def _shifted(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In double precision. The shift is small beside the largest eigenvalue, and large beside what rounding leaves."""
    size = matrix.diagonal(dim1=-2, dim2=-1).abs().amax(-1).double()
    apart = torch.linspace(0, _SHIFT, matrix.shape[-1], dtype=torch.float64, device=matrix.device)
    values, vectors = torch.linalg.eigh(matrix.double() + torch.diag_embed(apart * size[..., None]))
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def _by_rotations(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """By the QR algorithm, in double precision on the processor. It is slow, and ends where the other does not."""
    stacked = matrix.detach().double().cpu().numpy().reshape(-1, *matrix.shape[-2:])
    found = [scipy.linalg.eigh(one, driver="ev") for one in stacked]
    values = torch.as_tensor(np.stack([v for v, _ in found])).reshape(matrix.shape[:-1])
    vectors = torch.as_tensor(np.stack([u for _, u in found])).reshape(matrix.shape)
    return values.to(matrix), vectors.to(matrix)
