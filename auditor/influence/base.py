"""What every influence engine is given, gives back and promises; the engines themselves live in the other modules.

Influence is pyDVL's mode `up`: `+g_ref^T (H + damping I)^-1 g_train`, with `g` the gradient of one point's
cross-entropy, `H` the Hessian of the *mean* cross-entropy over the training points, no minus and no `1/N`. Positive
means helpful: the training point's loss gradient agrees with the reference's. It is linear in the reference gradient,
so the average over any reference set is one solve.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditor.errors import EngineError

Array = npt.NDArray[np.float64]

Labels = npt.NDArray[np.int64]

Progress = Callable[[str, int, int], None]
"""Called as `progress(description, done, total)`; `total` is an upper bound where the end is not known."""

Images = torch.Tensor | Callable[[slice], torch.Tensor]

TOLERANCE = 1e-8
"""A solve has converged when its true relative residual `|(H + damping I) z - g| / |g|` is at most this (float64)."""

TOLERANCE_SINGLE = 1e-4
"""The same where products are computed in single precision, as over a whole network."""


@dataclass(frozen=True)
class Solve:
    """One answered linear system (or block of them) and how well it was solved.

    Attributes
    ----------
    right_hand_sides
        How many systems were solved together.
    iterations
        Iterations of the slowest of them; None for direct methods and where the library does not tell.
    relative_residual
        The largest `|(H + damping I) z - g| / |g|` among them, by a product computed afresh. For the engines that
        replace `H` by an approximation this is measured against the exact `H`, and so shows the approximation's error.
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
        [N, D] float32 or float64, of the training points; may be a memory map, and is then read in chunks.
    labels
        [N] int64, the labels the head was trained on.
    weight, bias
        [C, D] and [C], the trained head.
    shared
        What engines find out about the features alone. Problems that are given the same dict, and the same features,
        have it found once.
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
    """The trained parameters of a whole network: those whose `requires_grad` is set.

    Attributes
    ----------
    model
        In evaluation mode, giving [n, C] logits.
    images
        [N, ...] float32 of the training points, or a function from a slice of 0..N to that part of them.
    labels
        [N] int64.
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


@dataclass
class SolveLog:
    """What an engine has solved so far; the engine appends, callers read `InfluenceEngine.solves`."""

    entries: list[Solve] = field(default_factory=list)


class InfluenceEngine(ABC):
    """Influence of every training point of one problem, on reference points the caller passes.

    `x` is [n, D] features for a `HeadProblem` and [n, ...] images for a `NetworkProblem`; `y` is [n] int64. All
    answers are float64 NumPy arrays.

    Parameters
    ----------
    name
        What the result reports, such as `auto (closed-form direct)`.
    damping
        The Hessian regularisation, above 0.
    """

    def __init__(self, name: str, damping: float) -> None:
        if not (math.isfinite(damping) and damping > 0):
            raise EngineError(f"damping is {damping!r}, but must be a finite number above 0")
        self.name = name
        self.damping = float(damping)
        self.notes: tuple[str, ...] = ()
        """Sentences for the result about what was approximated or changed."""
        self._log = SolveLog()

    @property
    def solves(self) -> tuple[Solve, ...]:
        """Every solve so far, in order."""
        return tuple(self._log.entries)

    @abstractmethod
    def average(self, x: Any, y: Any) -> Array:
        """[N] average influence over the whole reference set, by one solve."""

    @abstractmethod
    def average_by_class(self, x: Any, y: Any, n_classes: int) -> Array:
        """[C, N] average influence over the reference points of each class.

        A class without reference points has a row of zeros. Weighted by each class's share of the reference set the
        rows sum to `average`.
        """

    @abstractmethod
    def rows(self, x: Any, y: Any) -> Array:
        """[n, N] rows of the influence matrix, one a reference point."""

    def shown_rows(self, x: Any, y: Any) -> Array:
        """[n, N] the same for a reader, to whom four digits are enough; an engine may have a quicker way."""
        return self.rows(x, y)

    @abstractmethod
    def self_influence(self) -> Array:
        """[N] influence of each training point on itself, `g_i^T (H + damping I)^-1 g_i`."""

    @abstractmethod
    def with_damping(self, damping: float) -> InfluenceEngine:
        """The same engine at another damping, sharing whatever does not depend on it (with an empty `solves`)."""

    def average_factor(self, x: Any, y: Any) -> tuple[HeadProblem | NetworkProblem, torch.Tensor]:
        """The problem and the solution `z` [1, P] of an average, for products computed elsewhere (`cluster`).

        Raises
        ------
        EngineError
            When the engine never solves for a vector of parameters.
        """
        raise EngineError(
            f"{self.name} does not solve for a vector of parameters", hint="choose --engine cg for a cluster"
        )

    def average_many(self, x: Any, y: Any, dampings: Sequence[float]) -> Array:
        """[n_dampings, N] average influence at several dampings; their solves are logged here."""
        answers = []
        for damping in dampings:
            other = self.with_damping(damping)
            answers.append(other.average(x, y))
            self._log.entries.extend(other.solves)
        return np.stack(answers)


def class_weights(y: npt.NDArray[Any], n_classes: int) -> Array:
    """[C, n] weights that average reference points within each class; zeros for a class without any."""
    if y.size and (y.min() < 0 or y.max() >= n_classes):
        raise EngineError(f"reference labels run from {y.min()} to {y.max()}, but there are {n_classes} classes")
    members = y[None, :] == np.arange(n_classes)[:, None]
    counts = members.sum(axis=1, keepdims=True)
    weights: Array = members / np.maximum(counts, 1)
    return weights


def check_reference(x: Any, y: Any, n_classes: int | None = None) -> None:
    """Raise `EngineError` unless `x` and `y` are a non-empty reference set of known classes."""
    if len(x) != len(y):
        raise EngineError(f"{len(x)} reference points have {len(y)} labels")
    if len(x) == 0:
        raise EngineError("the reference set is empty", hint="give at least one reference image")
    if n_classes is not None:
        _check_labels(np.asarray(y), len(y), n_classes)


def _check_labels(labels: npt.NDArray[Any], n_points: int, n_classes: int) -> None:
    if labels.shape != (n_points,):
        raise EngineError(f"{n_points} points have labels of shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise EngineError(f"labels must be whole numbers, not {labels.dtype}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise EngineError(f"labels run from {labels.min()} to {labels.max()}, but there are {n_classes} classes")
