"""The C - 1 directions in which the logits of C classes matter.

Softmax probabilities sum to one. So neither gradients nor curvature have a part along "add the same to every class".
Damping would keep that direction in the inverse, but it is orthogonal to everything that enters. Systems are therefore
solved exactly in the C - 1 other directions. For two classes that is their difference, which halves the Hessian in each
dimension.
"""

from __future__ import annotations

import math

import torch


def class_basis(n_classes: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """[C, C-1] orthonormal columns, each orthogonal to the vector of ones (Helmert's basis)."""
    basis = torch.zeros(n_classes, n_classes - 1, dtype=dtype, device=device)
    for column in range(1, n_classes):
        scale = 1 / math.sqrt(column * (column + 1))
        basis[:column, column - 1] = scale
        basis[column, column - 1] = -column * scale
    return basis
