"""Factors of matrices, checked by their values. LAPACK sometimes gives NaN and reports success (pytorch issue 59720).

With fewer images than features, or with images of a few grey levels, most eigenvalues are 0 up to rounding. Rounding
then decides whether a factorisation ends well. Every one here is looked at. Where it failed, in either way, it is done
again in double precision on a matrix that is set apart from singular by less than rounding in single precision.
"""

from __future__ import annotations

import torch

from auditor.errors import EngineError

APART = 1e-9
"""Parts of the largest diagonal entry by which equal eigenvalues are set apart: small beside the largest eigenvalue,
and large beside what rounding leaves of the zeros."""

TRIES = 8
"""How often a matrix is moved further from singular, each time by ten times as much."""

_HINT = "choose another --damping or --engine, or leave out images that are all alike"


def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues, rising, and eigenvectors, in columns, of symmetric matrices.

    Parameters
    ----------
    matrix
        [..., n, n], finite, in single or double precision.

    Returns
    -------
    [..., n] and [..., n, n] in its precision.

    Raises
    ------
    EngineError
        The matrix is not finite, or has no eigenvectors that are.
    """
    require_finite(matrix)
    found = _eigh(matrix)
    if found is None:
        n = matrix.shape[-1]
        apart = torch.linspace(0, 1, n, dtype=torch.float64, device=matrix.device)
        largest = matrix.diagonal(dim1=-2, dim2=-1).abs().amax(-1).double().clamp_min(torch.finfo(torch.float64).tiny)
        shift = torch.diag(apart) * largest[..., None, None]
        tries = (_eigh(matrix.double() + APART * 10**k * shift) for k in range(TRIES))
        found = next((pair for pair in tries if pair is not None), None)
    if found is None:
        raise EngineError(f"no eigenvectors of a matrix of {matrix.shape[-1]} rows could be found", hint=_HINT)
    return found[0].to(matrix.dtype), found[1].to(matrix.dtype)


def _eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    return (values, vectors) if _finite(values) and _finite(vectors) else None


def cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """Lower factor of a symmetric positive definite matrix [n, n], in its precision.

    A matrix that is singular up to rounding is moved away from that by as little as it takes.

    Raises
    ------
    EngineError
        The matrix is not finite, or far from positive definite.
    """
    require_finite(matrix)
    factor = cholesky_or_none(matrix)
    if factor is None:
        double = matrix.double()
        largest = max(float(matrix.diagonal().abs().max()), torch.finfo(torch.float64).tiny)
        for k in range(TRIES):
            moved = double.clone()
            moved.diagonal().add_(APART / 1000 * 10**k * largest)
            factor = cholesky_or_none(moved)
            if factor is not None:
                return factor.to(matrix.dtype)
        raise EngineError(f"a matrix of {len(matrix)} rows is not positive definite", hint=_HINT)
    return factor


def cholesky_or_none(matrix: torch.Tensor) -> torch.Tensor | None:
    """The same for a matrix that need not be positive definite; None where it is not."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor if int(failed) == 0 and _finite(factor) else None


def orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis, in rows, of the space of `rows` [k, P]; NaN where these are not finite."""
    basis: torch.Tensor = torch.linalg.qr(rows.T).Q
    if not _finite(basis) and _finite(rows):
        basis = torch.linalg.qr(rows.T.double()).Q.to(rows.dtype)
    return basis.T.contiguous()


def require_finite(matrix: torch.Tensor) -> None:
    """Refuse a matrix that is not finite.

    Raises
    ------
    EngineError
        It holds NaN or infinity.
    """
    if not _finite(matrix):
        raise EngineError(
            f"a matrix of {matrix.shape[-1]} rows holds NaN or infinity", hint="check the images and the weights"
        )


def _finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())
