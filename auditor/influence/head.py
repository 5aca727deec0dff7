r"""Derivatives of a linear softmax head in closed form, in chunks of training points.

Let :math:`\tilde\varphi_i = [\varphi_i, 1]` and :math:`p_i = \mathrm{softmax}(W\varphi_i + b)`. The gradient of point
`i` is :math:`(p_i - e_{y_i}) \otimes \tilde\varphi_i`. The Hessian of the mean cross-entropy acts on :math:`V` of shape
[C, D+1] as :math:`HV = \frac1N\sum_i (\mathrm{diag}\,p_i - p_i p_i^T)\,V\tilde\varphi_i\tilde\varphi_i^T`. That is two
matrix products. No gradient of length C (D+1) is ever formed for each training point, so memory stays flat.

Directions are tensors [k, C, D+1] with the bias in the last column. `to_flat` and `from_flat` convert to and from the
flat order of `nn.Linear`'s parameters (weight, then bias), which pyDVL uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditor.compute.linear import by_rows, eigen, right_vectors
from auditor.errors import EngineError
from auditor.influence.base import Array, HeadProblem, check_reference, class_weights, mean_weights

RESIDENT_BYTES = 128 * 2**20
"""Features up to this size are kept in the working precision on the device. Larger ones are converted by chunk."""

_CHUNK_BYTES = 48 * 2**20
"""Size of the largest temporary of one chunk."""

PRECONDITIONER_POINTS = 2048
"""Points, evenly spaced, from which the preconditioner is built. Twice as many save one iteration in fifteen, and cost
as much as two to six."""


class LinearHead:
    """A problem's probabilities, and its products with gradients and Hessian.

    Parameters
    ----------
    problem
        The trained head and its training points.
    device
        Where to compute.
    dtype
        Working precision. Less than float64 only where it was measured to be enough.

    Raises
    ------
    EngineError
        When the training features are not finite.
    """

    def __init__(self, problem: HeadProblem, device: str = "cpu", dtype: torch.dtype = torch.float64) -> None:
        self.problem = problem
        self.device = torch.device(device)
        self.dtype = dtype
        self.weight = torch.as_tensor(np.asarray(problem.weight), dtype=dtype, device=self.device)
        self.bias = torch.as_tensor(np.asarray(problem.bias), dtype=dtype, device=self.device)
        self.n_points, self.n_classes = problem.n_points, problem.n_classes
        self.n_columns = self.weight.shape[1] + 1
        self._resident: torch.Tensor | None = None
        size = torch.finfo(dtype).bits // 8
        if self.n_points * self.n_columns * size <= RESIDENT_BYTES:
            self._resident = self._convert(problem.features)
        self.labels = torch.as_tensor(np.asarray(problem.labels), dtype=torch.int64, device=self.device)
        self.probabilities = torch.empty(self.n_points, self.n_classes, dtype=dtype, device=self.device)
        for part, features in self.chunks(self.n_classes):
            self.probabilities[part] = torch.softmax(features @ self.weight.T + self.bias, dim=1)
        if not bool(torch.isfinite(self.probabilities).all()):
            raise EngineError("the training features are not finite", hint="check the images and the weights")

    @property
    def n_parameters(self) -> int:
        """P = C (D + 1)."""
        return self.n_classes * self.n_columns

    def chunks(self, width: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Slices of the training points with their features [n, D], small enough for temporaries of `width` columns."""
        size = torch.finfo(self.dtype).bits // 8
        rows = max(64, _CHUNK_BYTES // (size * max(width, self.n_columns)))
        for start in range(0, self.n_points, rows):
            part = slice(start, min(start + rows, self.n_points))
            yield part, self.features(part)

    def features(self, part: slice) -> torch.Tensor:
        """[n, D] features of some training points in the working precision."""
        return self._resident[part] if self._resident is not None else self._convert(self.problem.features[part])

    def product(self, v: torch.Tensor) -> torch.Tensor:
        """[k, C, D+1] -> [k, C, D+1]: each direction times the Hessian of the mean cross-entropy, without damping."""
        k, n_classes = v.shape[0], self.n_classes
        flat = v.reshape(k * n_classes, self.n_columns)
        out = torch.zeros_like(flat)
        for part, features in self.chunks(k * n_classes):
            p = self.probabilities[part].T.contiguous()  # points in columns: faster with few classes
            s = torch.addmm(flat[:, -1:], flat[:, :-1], features.T).view(k, n_classes, -1)
            m = s.sub_((p * s).sum(1, keepdim=True)).mul_(p).view(k * n_classes, -1)
            out[:, :-1].addmm_(m, features)
            out[:, -1] += m.sum(1)
        return out.view(k, n_classes, self.n_columns) / self.n_points

    def influences(self, z: torch.Tensor) -> Array:
        """[k, N]: inner products of [k, C, D+1] directions with the gradients of all training points."""
        k, n_classes = z.shape[0], self.n_classes
        flat = z.reshape(k * n_classes, self.n_columns)
        out = np.empty((k, self.n_points))
        for part, features in self.chunks(k * n_classes):
            s = torch.addmm(flat[:, -1:], flat[:, :-1], features.T).view(k, n_classes, -1)
            out[:, part] = s.mul_(self.residuals(part).T).sum(1).double().cpu().numpy()
        return out

    def what_if(self, z: torch.Tensor, points: npt.NDArray[Any]) -> Array:
        """[k, n, C]: inner products of [k, C, D+1] directions with the gradient of each point under every label.

        The gradient of `points` [n, D] under label c is `(p - e_c) x [points, 1]`. One product serves all labels. The
        points need not be among those that trained the head.
        """
        k, n_classes = z.shape[0], self.n_classes
        flat, out = z.reshape(k * n_classes, self.n_columns), np.empty((k, len(points), n_classes))
        step = max(64, _CHUNK_BYTES // (8 * max(k * n_classes, self.n_columns)))
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            features = self._convert(points[part])
            p = torch.softmax(features @ self.weight.T + self.bias, dim=1)
            s = torch.addmm(flat[:, -1], features, flat[:, :-1].T).view(-1, k, n_classes)
            under = (p[:, None] * s).sum(2, keepdim=True) - s
            out[:, part] = under.transpose(0, 1).double().cpu().numpy()
        return out

    def residuals(self, part: slice) -> torch.Tensor:
        """[n, C] `p_i - e_{y_i}` of the training points in `part`."""
        r = self.probabilities[part].clone()
        r[torch.arange(len(r), device=self.device), self.labels[part]] -= 1
        return r

    def mean_gradient(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> torch.Tensor:
        """[1, C, D+1]: the mean gradient over reference points `x` [n, D], `y` [n]."""
        return self.weighted_gradient(x, y, mean_weights(y))

    def class_gradients(self, x: npt.NDArray[Any], y: npt.NDArray[Any], n_classes: int) -> torch.Tensor:
        """[n_classes, C, D+1]: the mean gradient over the reference points of each class, zero where there is none."""
        return self.weighted_gradient(x, y, class_weights(np.asarray(y), n_classes))

    def gradients(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> torch.Tensor:
        """[n, C, D+1]: one gradient for each reference point. Meant for few points: those whose rows are wanted."""
        features, r = self._reference(x, y)
        return r[:, :, None] * torch.nn.functional.pad(features, (0, 1), value=1.0)[:, None, :]

    def weighted_gradient(self, x: npt.NDArray[Any], y: npt.NDArray[Any], weights: Array) -> torch.Tensor:
        """[k, C, D+1]: weighted sums of the gradients of reference points; `weights` [k, n]."""
        check_reference(x, y, self.n_classes)
        n_rows = weights.shape[0]
        out = torch.zeros(n_rows, self.n_classes, self.n_columns, dtype=self.dtype, device=self.device)
        step = max(64, _CHUNK_BYTES // (8 * max(n_rows * self.n_classes, self.n_columns)))
        for start in range(0, len(y), step):
            part = slice(start, start + step)
            features, r = self._reference(x[part], y[part])
            shares = torch.as_tensor(weights[:, part], dtype=self.dtype, device=self.device)
            m = shares[:, :, None] * r[None]
            out[:, :, :-1] += torch.einsum("knc,nd->kcd", m, features)
            out[:, :, -1] += m.sum(1)
        return out

    def _reference(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        check_reference(x, y, self.n_classes)
        if np.ndim(x) != 2 or np.shape(x)[1] != self.n_columns - 1:
            raise EngineError(f"reference features of shape {np.shape(x)} do not fit {self.n_columns - 1} features")
        features = self._convert(x)
        r = torch.softmax(features @ self.weight.T + self.bias, dim=1)
        r[torch.arange(len(r), device=self.device), torch.as_tensor(np.asarray(y), device=self.device)] -= 1
        if not bool(torch.isfinite(r).all()):
            raise EngineError("the reference features are not finite", hint="check the reference images")
        return features, r

    def _convert(self, features: npt.NDArray[Any]) -> torch.Tensor:
        features = np.ascontiguousarray(features)
        if not features.flags.writeable:  # torch warns about a memory map; a copy of this part is no map
            features = features.copy()
        return torch.from_numpy(features).to(self.device, self.dtype)

    def spaced(self, limit: int | None) -> npt.NDArray[np.int64]:
        """Evenly spaced training points, `limit` of them at most."""
        rows = np.arange(self.n_points)
        if limit is not None and self.n_points > limit:
            rows = np.linspace(0, self.n_points - 1, limit).astype(np.int64)
        return rows

    def columns(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """[m, D+1] features of training points, bias column included."""
        index = torch.as_tensor(rows, device=self.device)
        chosen = self._resident[index] if self._resident is not None else self._convert(self.problem.features[rows])
        return torch.nn.functional.pad(chosen, (0, 1), value=1.0)


@dataclass(frozen=True)
class _FeatureBasis:
    """The part of the basis that depends on the features alone.

    Attributes
    ----------
    vectors
        [D+1, D+1], eigenvectors of the features' second moments, in columns; with few points of many features only
        those that the points span, [D+1, r].
    squares
        [m, r], squared coordinates of `m` points in them, in units of `scale` squared.
    scale
        Size of the largest feature.
    """

    vectors: torch.Tensor
    squares: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, *, single: bool) -> _FeatureBasis:
        """The basis of [m, D+1] features."""
        scale = features.abs().max()  # at least 1, from the bias column. Squares of huge features overflow float32
        features = features / scale
        if single:
            features = features.float()
        if single and by_rows(features):
            vectors = right_vectors(features)
        else:
            vectors = eigen(features.T @ features / len(features))[1]
        return cls(vectors, (features @ vectors) ** 2, scale)


class KroneckerBasis:
    r"""The Hessian's diagonal in the eigenbasis of its Kronecker-factored mean: EKFAC in closed form.

    The basis is that of :math:`\mathrm{mean}(\mathrm{diag}\,p - pp^T) \otimes \mathrm{mean}(\tilde\varphi\tilde
    \varphi^T)`. The diagonal is that of the Hessian itself in this basis (George et al., 2018). It preconditions CG. It
    also gives self-influence where the exact one would need a dense Hessian.

    Parameters
    ----------
    head
        The derivatives.
    limit
        Build from this many evenly spaced training points, in single precision. That is enough for CG, which ends where
        its residual says, whatever the basis. None builds from all points, in the head's own precision, and reads the
        features in one piece.
    """

    def __init__(self, head: LinearHead, limit: int | None = PRECONDITIONER_POINTS) -> None:
        rows = head.spaced(limit)
        features, p = _feature_basis(head, rows, limit), head.probabilities[torch.as_tensor(rows, device=head.device)]
        if limit is not None:
            p = p.float()
        classes = eigen(torch.diag(p.mean(0)) - p.T @ p / len(p))[1]
        spread = p @ classes**2 - (p @ classes) ** 2
        diagonal = (spread.T @ features.squares / len(p)).clamp_min_(0)
        self.classes, self.columns = classes.to(head.dtype), features.vectors.to(head.dtype)
        self.diagonal = diagonal.to(head.dtype) * features.scale**2

    @property
    def whole(self) -> bool:
        """Whether the basis is that of the whole space, and not only of what few points span."""
        return self.columns.shape[1] == self.columns.shape[0]

    def rotate(self, v: torch.Tensor) -> torch.Tensor:
        """[k, C, D+1] into the basis."""
        rotated: torch.Tensor = self.classes.T @ v @ self.columns
        return rotated

    def solve(self, v: torch.Tensor, dampings: torch.Tensor) -> torch.Tensor:
        """[k, C, D+1] through the inverse of the diagonal plus `dampings` [k]."""
        rotated, at = self.rotate(v), dampings[:, None, None]
        solved: torch.Tensor = self.classes @ (rotated / (self.diagonal + at)) @ self.columns.T
        if not self.whole:  # beside what the points span the diagonal is 0
            solved += (v - self.classes @ rotated @ self.columns.T) / at
        return solved

    def self_influence(self, head: LinearHead, damping: float) -> Array:
        """[N] approximate influence of each training point on itself."""
        inverse = 1 / (self.diagonal + damping)
        out = np.empty(head.n_points)
        for part, features in head.chunks(4 * head.n_columns):  # four temporaries of that width
            rows = torch.nn.functional.pad(features, (0, 1), value=1.0)
            residuals, squares = (head.residuals(part) @ self.classes) ** 2, (rows @ self.columns) ** 2
            found = torch.einsum("nc,cd,nd->n", residuals, inverse, squares)
            if not self.whole:
                found += residuals.sum(1) * ((rows**2).sum(1) - squares.sum(1)).clamp_min(0) / damping
            out[part] = found.double().cpu().numpy()
        return out


def _feature_basis(head: LinearHead, rows: npt.NDArray[np.int64], limit: int | None) -> _FeatureBasis:
    """The basis of some training points. Found once for all problems on these features, unless it is of all points."""
    if limit is None:
        return _FeatureBasis.of(head.columns(rows), single=False)
    key = _FeatureBasis, limit, head.dtype, head.device
    shared = head.problem.shared
    if key not in shared:
        shared[key] = _FeatureBasis.of(head.columns(rows), single=True)
    found: _FeatureBasis = shared[key]
    return found


def to_flat(v: torch.Tensor) -> torch.Tensor:
    """[k, C, D+1] -> [k, P] in the order of `nn.Linear`'s parameters: weight by rows, then bias."""
    return torch.cat([v[:, :, :-1].flatten(1), v[:, :, -1]], dim=1)


def from_flat(v: torch.Tensor, n_classes: int) -> torch.Tensor:
    """The inverse of `to_flat`."""
    weight = v[:, : v.shape[1] - n_classes].reshape(len(v), n_classes, -1)
    return torch.cat([weight, v[:, v.shape[1] - n_classes :, None]], dim=2)
