"""The contract of every influence engine: what it is given, what it answers, and how well it solved.

Influence here is pyDVL's mode `up`: `+g_ref^T (H + damping I)^-1 g_train`. `g` is the gradient of one point's
cross-entropy. `H` is the Hessian of the *mean* cross-entropy over the training points. There is no minus and no `1/N`.
Positive means helpful: the training point's gradient agrees with the reference's. Influence is linear in the reference
gradient. So one solve gives the average over any reference set.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from auditor.compute.hardware import require
from auditor.engines import Memory
from auditor.errors import EngineError
from auditor.influence.weighing import as_shares

Array = npt.NDArray[np.float64]

Labels = npt.NDArray[np.int64]

Inputs = npt.NDArray[Any] | torch.Tensor  # reference points, or their labels

Images = torch.Tensor | Callable[[slice], torch.Tensor]

TOLERANCE = 1e-8
"""A float64 solve has converged when its true relative residual `|(H + damping I) z - g| / |g|` is at most this."""

TOLERANCE_SINGLE = 1e-4
"""The same for solves whose products are computed in single precision, as over a whole network."""


@dataclass(frozen=True)
class Solve:
    """One solved linear system, or a block of them, and how well it was solved.

    Attributes
    ----------
    right_hand_sides
        How many systems were solved together.
    iterations
        Iterations of the slowest of them. None for direct methods, and where the library does not tell.
    relative_residual
        The largest `|(H + damping I) z - g| / |g|` among them, from a product computed afresh. Some engines replace
        `H` by an approximation. Theirs is measured against the exact `H`, and so shows the error of the approximation.
    converged
        Whether that residual is within the engine's documented tolerance.
    damping
        The regularisation the system was solved with.
    """

    right_hand_sides: int
    iterations: int | None
    relative_residual: float
    converged: bool
    damping: float = math.nan


@dataclass(frozen=True)
class HeadProblem:
    """A linear softmax head on frozen features, trained by mean cross-entropy.

    Attributes
    ----------
    features
        [N, D] float32 or float64, of the training points. A memory map is read in chunks.
    labels
        [N] int64, the labels the head was trained on.
    weight, bias
        [C, D] and [C], the trained head.
    shared
        What engines find out about the features alone. Give several problems on the same features the same dict: it is
        then found once.

    Raises
    ------
    EngineError
        When shapes do not fit each other, labels are out of range, or the head is not finite.
    """

    features: npt.NDArray[Any]
    labels: Labels
    weight: npt.NDArray[Any]
    bias: npt.NDArray[Any]
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.weight.ndim != 2:
            raise EngineError("features and weight must be matrices", hint="pass [N, D] features and a [C, D] weight")
        n_points, n_features = self.features.shape
        n_classes = self.weight.shape[0]
        if n_points == 0 or n_classes < 2:
            raise EngineError(f"{n_points} training points in {n_classes} classes have no influence to measure")
        if self.weight.shape[1] != n_features or self.bias.shape != (n_classes,):
            raise EngineError(
                f"a head of shape {self.weight.shape} with bias {self.bias.shape} does not fit {n_features} features"
            )
        _check_labels(self.labels, n_points, n_classes)
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise EngineError("the head's weights are not finite", hint="train with a smaller learning rate")

    @property
    def n_points(self) -> int:
        """Number of training points N."""
        return int(self.features.shape[0])

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return int(self.weight.shape[0])


@dataclass(frozen=True)
class NetworkProblem:
    """A whole network. Its trained parameters are those whose `requires_grad` is set.

    Attributes
    ----------
    model
        In evaluation mode. It gives [n, C] logits.
    images
        [N, ...] float32 of the training points, or a function from a slice of 0..N to that part of them.
    labels
        [N] int64.

    Raises
    ------
    EngineError
        When the model is in training mode, nothing in it is trained, or the labels are no vector.
    """

    model: torch.nn.Module
    images: Images
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.model.training:
            raise EngineError("the model is in training mode", hint="call model.eval() first")
        if not any(p.requires_grad for p in self.model.parameters()):
            raise EngineError("no parameter of the model is trained", hint="set requires_grad on the trained ones")
        if self.labels.ndim != 1 or self.labels.numel() == 0:
            raise EngineError("labels must be a vector with one entry a training point")

    @property
    def n_points(self) -> int:
        """Number of training points N."""
        return int(self.labels.shape[0])

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters P."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


Problem = HeadProblem | NetworkProblem


class InfluenceEngine(ABC):
    """Influence of every training point of one problem on reference points that the caller passes.

    `x` is [n, D] features for a `HeadProblem` and [n, ...] images for a `NetworkProblem`. `y` is [n] int64. All answers
    are float64 NumPy arrays.

    Parameters
    ----------
    name
        What the result reports, such as `auto (closed-form direct)`.
    damping
        The Hessian regularisation, above 0.

    Raises
    ------
    EngineError
        When the damping is not a finite number above 0.
    """

    def __init__(self, name: str, damping: float) -> None:
        if not (math.isfinite(damping) and damping > 0):
            raise EngineError(f"damping is {damping!r}, but must be a finite number above 0")
        self.name = name
        self.damping = float(damping)
        self.notes: tuple[str, ...] = ()
        """Sentences for the result about what was approximated or changed."""
        self._log: list[Solve] = []

    @property
    def solves(self) -> tuple[Solve, ...]:
        """Every solve so far, in order."""
        return tuple(self._log)

    @abstractmethod
    def average(self, x: Inputs, y: Inputs) -> Array:
        """[N] average influence over the whole reference set, by one solve."""

    def weighted_average(self, x: Inputs, y: Inputs, weights: Array) -> Array:
        """[N] the same where reference points count by `weights` [n], at least 0. An engine may need one solve only."""
        shares, parts = as_shares(weights, len(y))[0], (slice(i, i + 64) for i in range(0, max(len(y), 1), 64))
        return np.asarray(np.sum([shares[part] @ self.rows(x[part], y[part]) for part in parts], axis=0))

    @abstractmethod
    def average_by_class(self, x: Inputs, y: Inputs, n_classes: int) -> Array:
        """[C, N] average influence over the reference points of each class.

        A class without reference points has a row of zeros. The rows, weighted by each class's share of the reference
        set, sum to `average`.
        """

    @abstractmethod
    def rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N] rows of the influence matrix, one for each reference point."""

    def shown_rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N] the same for a reader, who needs only four digits. An engine may have a quicker way."""
        return self.rows(x, y)

    @abstractmethod
    def self_influence(self) -> Array:
        """[N] influence of each training point on itself, `g_i^T (H + damping I)^-1 g_i`."""

    @abstractmethod
    def with_damping(self, damping: float) -> InfluenceEngine:
        """The same engine at another damping, with an empty `solves`. What does not depend on damping is shared."""

    def average_factor(self, x: Inputs, y: Inputs, weights: Array | None = None) -> tuple[Problem, torch.Tensor]:
        """The problem and the solution `z` [1, P] of an average, for products computed elsewhere, as on a cluster.

        Raises
        ------
        EngineError
            When the engine never solves for a vector of parameters.
        """
        raise EngineError(
            f"{self.name} does not solve for a vector of parameters", hint="choose --engine cg for a cluster"
        )

    def average_many(self, x: Inputs, y: Inputs, dampings: Sequence[float]) -> Array:
        """[n_dampings, N] average influence at several dampings. Their solves are logged here."""
        answers = []
        for damping in dampings:
            other = self.with_damping(damping)
            answers.append(other.average(x, y))
            self._log.extend(other.solves)
        return np.stack(answers)

    def _copy_at(self, damping: float) -> Self:
        """A shallow copy at another damping, with a log of its own and no notes."""
        other = copy.copy(self)
        InfluenceEngine.__init__(other, self.name, damping)
        return other


class SummingEngine(InfluenceEngine):
    """An engine whose answers are all influences on weighted sums of reference gradients.

    It gives the sums their weights. A subclass answers for them, by `_sums`, and says `n_classes`.
    """

    n_classes: int

    @abstractmethod
    def _sums(self, x: Inputs, y: Labels, weights: Array) -> Array:
        """[k, N] influence on `k` weighted sums of reference gradients. `weights` is [k, n]."""

    def average(self, x: Inputs, y: Inputs) -> Array:
        """[N] average influence over the reference set, by one solve."""
        labels = self._checked(x, y)
        average: Array = self._sums(x, labels, mean_weights(labels))[0]
        return average

    def weighted_average(self, x: Inputs, y: Inputs, weights: Array) -> Array:
        """[N] average influence where reference points count by `weights` [n], by one solve."""
        labels = self._checked(x, y)
        average: Array = self._sums(x, labels, mean_weights(labels, weights))[0]
        return average

    def average_by_class(self, x: Inputs, y: Inputs, n_classes: int) -> Array:
        """[C, N]; see `InfluenceEngine.average_by_class`."""
        labels = self._checked(x, y)
        return self._sums(x, labels, class_weights(labels, n_classes))

    def rows(self, x: Inputs, y: Inputs) -> Array:
        """[n, N] rows of the influence matrix."""
        labels = self._checked(x, y)
        return self._sums(x, labels, np.eye(len(labels)))

    def _checked(self, x: Inputs, y: Inputs) -> Labels:
        """Labels of a reference set as an array, checked."""
        labels: Labels = np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)
        check_reference(x, labels, self.n_classes)
        return labels


def mean_weights(y: npt.NDArray[Any], weights: Array | None = None) -> Array:
    """[1, n] weights that average all reference points: all alike, or by `weights` [n]."""
    return np.full((1, len(y)), 1 / max(len(y), 1)) if weights is None else as_shares(weights, len(y))


def class_weights(y: npt.NDArray[Any], n_classes: int) -> Array:
    """[C, n] weights that average reference points within each class; zeros for a class without any."""
    if y.size and (y.min() < 0 or y.max() >= n_classes):
        raise EngineError(f"reference labels run from {y.min()} to {y.max()}, but there are {n_classes} classes")
    members = y[None, :] == np.arange(n_classes)[:, None]
    counts = members.sum(axis=1, keepdims=True)
    weights: Array = members / np.maximum(counts, 1)
    return weights


def tolerance_for(dtype: torch.dtype) -> float:
    """The relative residual at which a solve in this precision has converged."""
    return TOLERANCE if dtype == torch.float64 else TOLERANCE_SINGLE


def check_reference(x: Inputs, y: Inputs, n_classes: int) -> None:
    """Raise `EngineError` unless `x` and `y` are a non-empty reference set of known classes."""
    if len(x) != len(y):
        raise EngineError(f"{len(x)} reference points have {len(y)} labels")
    if len(x) == 0:
        raise EngineError("the reference set is empty", hint="give at least one reference image")
    _check_labels(np.asarray(y), len(y), n_classes)


def relative_norms(residuals: torch.Tensor, rhs: torch.Tensor) -> torch.Tensor:
    """[k] norms of [k, P] residuals relative to those of their right-hand sides, absolute where these are zero."""
    norms = torch.linalg.vector_norm(rhs, dim=1)
    sizes = torch.linalg.vector_norm(residuals, dim=1)
    return torch.where(norms > 0, sizes / norms.clamp_min(torch.finfo(rhs.dtype).tiny), sizes)


def require_memory(memory: Memory | None, device: torch.device | str) -> None:
    """Raise `EngineError` when what an engine declared does not fit the free memory of a device."""
    if memory is not None:
        require(memory.n_bytes, memory.what, device, memory.hint)


def _check_labels(labels: npt.NDArray[Any], n_points: int, n_classes: int) -> None:
    if labels.shape != (n_points,):
        raise EngineError(f"{n_points} points have labels of shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise EngineError(f"labels must be whole numbers, not {labels.dtype}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise EngineError(f"labels run from {labels.min()} to {labels.max()}, but there are {n_classes} classes")
