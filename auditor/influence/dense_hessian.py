"""A linear head's Hessian as one dense matrix: assembled, factored, and solved with."""

from __future__ import annotations

import numpy as np
import torch

from auditor.compute.hardware import require
from auditor.compute.linear import eigen, halved_by, root_of, solved_by
from auditor.influence.base import Array
from auditor.influence.class_basis import class_basis
from auditor.influence.head import LinearHead

_MANY_DAMPINGS = 3
"""Dampings factored one by one by Cholesky, at a tenth of the work, before eigenvectors serve all that follow."""


class DenseHessian:
    """The Hessian in C - 1 class directions: Cholesky for one damping, eigenvectors for several.

    Parameters
    ----------
    head
        The derivatives.

    Raises
    ------
    EngineError
        When the matrix does not fit the free memory.
    """

    def __init__(self, head: LinearHead) -> None:
        self.head = head
        self.basis = class_basis(head.n_classes, head.dtype, head.device)
        size = (head.n_classes - 1) * head.n_columns
        require(
            4 * 8 * size**2,
            f"the dense Hessian of {size} parameters",
            head.device,
            "choose --engine auto or cg, which need no dense Hessian",
        )
        self.matrix = self._assemble(size)
        self._roots: dict[float, torch.Tensor] = {}
        self._eigen: tuple[torch.Tensor, torch.Tensor] | None = None

    def solve(self, rhs: torch.Tensor, dampings: torch.Tensor) -> torch.Tensor:
        """[k, C, D+1] right-hand sides whose classes sum to zero, through `(H + dampings[i] I)^-1`."""
        reduced = (self.basis.T @ rhs).flatten(1)
        different = sorted(set(dampings.tolist()))
        root = self._root(different[0]) if len(different) == 1 else None
        if root is not None:
            found = solved_by(root, reduced.T).T
        else:
            values, vectors = self._eigenvectors()
            found = ((reduced @ vectors) / (values + dampings[:, None])) @ vectors.T
        solved: torch.Tensor = self.basis @ found.reshape(len(rhs), -1, self.head.n_columns)
        return solved

    def self_influence(self, damping: float) -> Array:
        """[N] `g_i^T (H + damping I)^-1 g_i`, in chunks."""
        root = self._root(damping)
        out = np.empty(self.head.n_points)
        for part, features in self.head.chunks(3 * len(self.matrix)):
            reduced = self.head.residuals(part) @ self.basis
            phi = torch.nn.functional.pad(features, (0, 1), value=1.0)
            gradients = (reduced[:, :, None] * phi[:, None, :]).flatten(1)
            if root is not None:
                halves = halved_by(root, gradients.T).T
            else:
                values, vectors = self._eigenvectors()
                halves = (gradients @ vectors) * (values + damping).rsqrt()
            out[part] = halves.square().sum(1).double().cpu().numpy()
        return out

    def _assemble(self, size: int) -> torch.Tensor:
        head, directions, columns = self.head, self.head.n_classes - 1, self.head.n_columns
        hessian = torch.zeros(directions, columns, directions, columns, dtype=head.dtype, device=head.device)
        for part, features in head.chunks(head.n_columns):
            phi = torch.nn.functional.pad(features, (0, 1), value=1.0)
            p = head.probabilities[part]
            means = p @ self.basis
            for a in range(directions):
                for b in range(a + 1):
                    weights = p @ (self.basis[:, a] * self.basis[:, b]) - means[:, a] * means[:, b]
                    hessian[a, :, b, :] += (phi * weights[:, None]).T @ phi
        for a in range(directions):
            for b in range(a):
                hessian[b, :, a, :] = hessian[a, :, b, :].T
        return hessian.view(size, size) / head.n_points

    def _root(self, damping: float) -> torch.Tensor | None:
        """Cholesky's lower factor at one damping; None where there is none or eigenvectors are the cheaper way."""
        if self._eigen is None and damping not in self._roots and len(self._roots) < _MANY_DAMPINGS:
            damped = self.matrix.clone()
            damped.diagonal().add_(damping)
            factor = root_of(damped)
            if factor is not None:
                self._roots[damping] = factor
        return self._roots.get(damping)

    def _eigenvectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._eigen is None:
            values, vectors = eigen(self.matrix)
            self._eigen = values.clamp_min(0), vectors
        return self._eigen
