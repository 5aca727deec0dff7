"""A fast regularised head on frozen features, and what it says of an image without having seen its own label.

`KernelHead` is ridge regression on one-hot labels, in an orthonormal basis that no label has touched. Once the basis
stands, any labelling of the images costs one product of matrices, leave-one-out predictions included. This makes
planted flips affordable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from auditor.compute.hardware import threads_for
from auditor.compute.linear import by_rows, eigen, halved_by, near_root, solved, solved_by
from auditor.detection.kin import Kin
from auditor.model.optimisers import Lbfgs
from auditor.model.scaling import CHUNK, blocks
from auditor.system.arrays import Array

RIDGES = tuple(float(r) for r in 10.0 ** np.arange(-2.0, 3.01, 0.5))
"""Regularisation strengths tried, in units of the kernel (whose diagonal is 1)."""

_RANK_TOLERANCE = 1e-6
"""Directions with less than this part of the largest eigenvalue are left out."""

_SOLVED = 256
"""Points solved for at a time. This is a fifth faster than 2,048, which would also take a hundred megabytes."""

_BLOCK = 192
"""Columns of one block of a symmetric product."""

_TINY = 1e-12

Root = Callable[[torch.Tensor], torch.Tensor]
"""Row numbers [n] -> rows [n, R] whose inner products are a smoother."""


@dataclass(frozen=True)
class Fit:
    """Ridge regression on one labelling.

    Attributes
    ----------
    left_out
        float32 [N, C], prediction for each point by the head that was fitted without it.
    leverage
        float32 [N], derivative of the fitted value by the point's own target. The fitted value is
        `left_out + leverage (target - left_out)`.
    ridge, error
        The chosen regularisation and its mean squared leave-one-out error.
    """

    left_out: Array
    leverage: Array
    ridge: float
    error: float


@dataclass(frozen=True)
class _Subset:
    """What a head needs that is fitted on a part of the points; no label touches it.

    Attributes
    ----------
    factor
        Cholesky factor [R, R].
    leverage
        [N]; 0 for points outside the part, since no label of theirs entered the fit.
    """

    factor: torch.Tensor
    leverage: torch.Tensor


class KernelHead:
    """Kernel ridge regression with exact leave-one-out predictions, in a basis shared by all labellings.

    The kernel is a Gaussian of the distance between standardised features scaled to unit length. Its width is the
    median distance. Beyond `landmarks` points it is replaced by its Nystroem approximation (Williams and Seeger, 2001)
    on `landmarks` points drawn at random. Leave-one-out values follow from the diagonal of the smoother (Allen's
    PRESS).

    Parameters
    ----------
    points
        float32 [N, D], rows of unit length.
    landmarks
        Largest rank of the basis.
    seed
        Draws the landmarks.
    width
        Multiplies the median squared distance. `None` gives the linear kernel.
    device
        Where the basis lies and is worked with. Arguments and results are numpy arrays in any case.
    consume
        Let the linear kernel's basis take the memory of `points`, whose content is lost.
    kin
        Points that are left out together. None: each is left out alone.

    Attributes
    ----------
    basis
        float32 [N, R], orthonormal columns.
    spectrum
        float32 [R], their eigenvalues, rising.
    """

    def __init__(
        self,
        points: Array,
        *,
        landmarks: int,
        seed: int,
        width: float | None = 1.0,
        device: str = "cpu",
        consume: bool = False,
        kin: Kin | None = None,
    ) -> None:
        x = torch.as_tensor(points, dtype=torch.float32, device=device)
        phi = _nystroem(x, landmarks, seed, width) if width is not None else x if consume else x.clone()
        phi -= phi.mean(0)
        few = by_rows(phi)  # then their inner products have the same eigenvalues, and give the basis itself
        values, vectors = eigen(phi.double() @ phi.double().T if few else _gram(phi.split(CHUNK), phi).double())
        keep = values > max(float(values[-1]) * _RANK_TOLERANCE, _TINY)
        values, vectors = values[keep], vectors[:, keep]
        self.spectrum = values.float()
        self.basis = vectors.float() if few else _times(phi, (vectors / values.sqrt()).float())
        self._kin = kin or Kin.of(None, len(x))
        self._leverages: dict[float, torch.Tensor] = {}
        self._subsets: dict[bytes, tuple[float, _Subset]] = {}

    @property
    def n_points(self) -> int:
        """N, the number of points."""
        return len(self.basis)

    def fit(self, targets: Array, ridges: tuple[float, ...] = RIDGES) -> Fit:
        """Regress float [N, C] `targets`, with the ridge that has the smallest leave-one-out error.

        A point's own label enters its `left_out` only through the overall mean, by the same part for all points.
        """
        y = self._here(targets)
        mean = y.mean(0)
        coefficients = self._along(y - mean)
        best: tuple[float, float, torch.Tensor] | None = None
        for ridge in sorted(ridges, reverse=True):
            fitted = self._at((self.spectrum / (self.spectrum + ridge))[:, None] * coefficients) + mean
            left = self._left_out(fitted - mean, y - mean, self.leverage(ridge), self._root(ridge)) + mean
            error = float((left - y).square().mean(dtype=torch.float64))
            if best is not None and error > best[0]:
                break  # the error falls and then rises: a weaker ridge overfits more
            best = (error, ridge, left)
        assert best is not None
        leverage = self._of_family(self.leverage(best[1]), self._root(best[1]))
        return Fit(best[2].cpu().numpy(), leverage.cpu().numpy(), best[1], best[0])

    def fit_on(self, targets: Array, train: Array, ridge: float) -> Array:
        """Predict by a head that has seen only the targets of `train`.

        Parameters
        ----------
        targets
            float [N, C].
        train
            bool [N].
        ridge
            Regularisation.

        Returns
        -------
        float32 [N, C]: leave-one-out predictions for points of `train`, plain predictions for all others.
        """
        y, inside = self._here(targets), torch.as_tensor(train, device=self.basis.device)
        subset = self._subset(train, ridge)
        mean = y[inside].mean(0)
        root = self.spectrum.sqrt()[:, None]
        seen = (y - mean) * inside[:, None]
        fitted = self._at(root * solved_by(subset.factor, root * self._along(seen)))
        left = self._left_out(fitted, seen, subset.leverage, lambda rows: self._white(rows, subset.factor), train)
        return np.asarray((left + mean).cpu().numpy())

    def _root(self, ridge: float) -> Root:
        """Rows whose inner products are the smoother of all points."""
        shrunk = (self.spectrum / (self.spectrum + ridge)).sqrt()
        return lambda rows: self.basis[rows] * shrunk

    def _white(self, rows: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """[n, R], rows whose inner products are the smoother of the heads with this Cholesky factor."""
        scaled = self.basis[rows] * self.spectrum.sqrt()
        return halved_by(factor, scaled.T).T

    def _left_out(
        self, fitted: torch.Tensor, seen: torch.Tensor, leverage: torch.Tensor, root: Root, train: Array | None = None
    ) -> torch.Tensor:
        """[N, C], predictions without the point's own target and without those of its family.

        `root` gives rows whose inner products are the smoother. Points outside `train` [N] were not seen.
        """
        left = (fitted - seen * leverage[:, None]) / (1 - leverage[:, None])
        for rows, smoother in self._smoothers(root, train):
            apart = torch.eye(rows.shape[1], device=rows.device) * (1 + 1e-4) - smoother
            left[rows] = solved(apart, fitted[rows] - smoother @ seen[rows])
        return left

    def _of_family(self, leverage: torch.Tensor, root: Root) -> torch.Tensor:
        """[N], derivative of the fitted value by the target of the whole family."""
        leverage = leverage.clone()
        for rows, smoother in self._smoothers(root, None):
            leverage[rows] = smoother.sum(dim=2).clamp(max=1 - 1e-4)
        return leverage

    def _smoothers(self, root: Root, train: Array | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Families of one size at a time: their points [F, s] and the smoother among them [F, s, s]."""
        for members in self._kin.together:
            rows_in = members if train is None else members[train[members].all(axis=1)]
            step = max(1, _SOLVED // members.shape[1])
            for rows in (rows_in[start : start + step] for start in range(0, len(rows_in), step)):
                if len(rows):
                    index = torch.as_tensor(rows, device=self.basis.device)
                    half = root(index.flatten()).reshape(*index.shape, -1)
                    yield index, half @ half.transpose(1, 2)

    def _along(self, values: torch.Tensor) -> torch.Tensor:
        """[R, C], `values` [N, C] along the basis. A product with few rows first is several times faster."""
        return (values.T.contiguous() @ self.basis).T

    def _at(self, coefficients: torch.Tensor) -> torch.Tensor:
        """[N, C], the value that `coefficients` [R, C] give at every point."""
        return (coefficients.T.contiguous() @ self.basis.T).T.contiguous()

    def _here(self, targets: Array) -> torch.Tensor:
        return torch.as_tensor(np.asarray(targets), dtype=torch.float32, device=self.basis.device)

    def _subset(self, train: Array, ridge: float) -> _Subset:
        key = train.tobytes()
        if key not in self._subsets or self._subsets[key][0] != ridge:  # kept for one ridge only: they are large
            root, device = self.spectrum.sqrt(), self.basis.device
            inside = torch.as_tensor(np.flatnonzero(train), device=device)
            largest = float(self.spectrum[-1]) if len(root) else 0.0
            least = max(ridge, _RANK_TOLERANCE * largest)  # below this, rounding decides
            gram = _gram((self.basis[rows] for rows in inside.split(CHUNK)), self.basis)
            matrix = (root[:, None] * gram * root).double()
            matrix.diagonal().add_(least)
            factor = near_root(matrix).float()
            leverage = torch.zeros(self.n_points, device=device)
            for rows in inside.split(_SOLVED):
                white = halved_by(factor, (self.basis[rows] * root).T)
                leverage[rows] = white.square_().sum(0)
            self._subsets[key] = ridge, _Subset(factor, leverage.clamp(max=1 - 1e-4))
        return self._subsets[key][1]

    def leverage(self, ridge: float) -> torch.Tensor:
        """Give the diagonal [N] of the smoother, kept below 1 so that leaving out is defined.

        The mean of the targets is not left out. A mean without the point's own label would differ by 1/N, away from
        that label. Where features say little, a stacked head could read the label off this difference.
        """
        if ridge not in self._leverages:
            share = self.spectrum / (self.spectrum + ridge)
            found = torch.empty(self.n_points, device=share.device)
            for rows in blocks(self.n_points):  # a list of results would keep the squares' memory occupied
                found[rows] = self.basis[rows].square() @ share
            self._leverages[ridge] = found.clamp_(max=1 - 1e-4)
        return self._leverages[ridge]


def _nystroem(x: torch.Tensor, landmarks: int, seed: int, width: float) -> torch.Tensor:
    """[N, R] features. Their inner products are the kernel on the landmarks and approximate it elsewhere."""
    rng = np.random.default_rng([seed, 71])
    chosen = np.sort(rng.permutation(len(x))[:landmarks])
    centres = x[torch.as_tensor(chosen, device=x.device)]
    among = _distances(centres, centres)
    positive = among[among > 1e-6]
    scale = width * (float(positive.median()) if len(positive) else 1.0)
    values, vectors = eigen(torch.exp(-among / scale).double())
    keep = values > float(values[-1]) * _RANK_TOLERANCE
    root = (vectors[:, keep] / values[keep].sqrt()).float()
    features = torch.empty(len(x), root.shape[1], device=x.device)
    for rows in blocks(len(x)):
        features[rows] = _distances(x[rows], centres).div_(-scale).exp_() @ root
    return features


def _gram(parts: Iterable[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    """[R, R] sum of `part.T @ part` over [n, R] parts. One triangle of blocks is computed and mirrored."""
    rank = like.shape[1]
    gram = like.new_zeros(rank, rank)
    blocks = [slice(start, start + _BLOCK) for start in range(0, rank, _BLOCK)]
    for part in parts:
        for block in blocks:
            gram[block, block.start :].addmm_(part[:, block].T, part[:, block.start :])
    for block in blocks:
        gram[block.stop :, block] = gram[block, block.stop :].T
    return gram


def _times(values: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """`values` [N, R] times [R, r <= R], in the memory of `values`, whose content is lost."""
    product = values[:, : matrix.shape[1]]
    for rows in blocks(len(values)):
        product[rows] = values[rows] @ matrix
    return product


def _distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """[n, m] squared Euclidean distances."""
    return torch.addmm((b**2).sum(1)[None], a, b.T, alpha=-2).add_((a**2).sum(1)[:, None]).clamp_(min=0)


def one_hot(labels: Array, n_classes: int) -> Array:
    """Give float32 [N, C] with a 1 at each label of int64 [N] and 0 elsewhere."""
    out = np.zeros((len(labels), n_classes), dtype=np.float32)
    out[np.arange(len(labels)), labels] = 1
    return out


@dataclass(frozen=True)
class Temperature:
    """Turns regression values into probabilities: `softmax(scale * value + bias)`, with one bias a class."""

    scale: float
    bias: Array

    def log_probabilities(self, values: Array) -> Array:
        """Give log probabilities float32 [N, C] of values float [N, C]."""
        z = torch.as_tensor(values, dtype=torch.float32) * self.scale + torch.as_tensor(self.bias, dtype=torch.float32)
        return np.asarray(torch.log_softmax(z, dim=1).numpy())


def temperature(values: Array, labels: Array, device: str = "cpu") -> Temperature:
    """Fit the scale and class biases with which `values` [N, C] predict `labels` [N] best (penalised likelihood)."""
    x, y = torch.as_tensor(values, dtype=torch.float32, device=device), torch.as_tensor(labels, device=device)
    log_scale = torch.tensor(1.5, requires_grad=True, device=device)
    bias = torch.zeros(x.shape[1], requires_grad=True, device=device)
    optimiser = Lbfgs([log_scale, bias], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        log_scale.grad = bias.grad = None
        fit = torch.nn.functional.cross_entropy(x * log_scale.clamp(-3, 5).exp() + bias, y)
        loss: torch.Tensor = fit + (0.5 * (log_scale - 1.5) ** 2 + 0.5 * (bias**2).sum()) / len(y)
        loss.backward()
        return loss

    with threads_for(x.numel()):
        optimiser.descend(closure)
    return Temperature(float(log_scale.detach().clamp(-3, 5).exp()), bias.detach().double().cpu().numpy())
