"""Batches, averages and curvature products in the forms that pyDVL's operators ask for."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from auditor.influence.pydvl.derivatives import Derivatives, HeadDerivatives, NetworkDerivatives
from auditor.influence.pydvl.library import TensorOperator, TorchBatch

FACTOR_NUMBERS = 2**25
"""Numbers in the largest low-rank factor (256 MiB in float64). A quarter of it is worked on at once."""

LISSA_BATCH = 2048
"""Points of a head in one of LiSSA's batches."""


class Batches:
    """Training points as a loader of slices, with the `batch_size` that pyDVL asks of a `DataLoader`."""

    def __init__(self, derivatives: Derivatives, size: int) -> None:
        self.derivatives = derivatives
        self.batch_size = min(size, derivatives.n_points)
        self.slices = [
            slice(s, min(s + self.batch_size, derivatives.n_points))
            for s in range(0, derivatives.n_points, self.batch_size)
        ]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return (self.derivatives.batch(part) for part in self.slices)

    def __len__(self) -> int:
        return len(self.slices)


class WeightedAveraging:
    """An operator's `averaging` that weighs each batch by its size (traps 1 and 4).

    pyDVL averages batches without their sizes (Hessian), or by the number of right-hand sides (inverse harmonic mean).
    This also counts products, because pyDVL's CG does not tell its iterations (trap 3).
    """

    def __init__(self, batches: Batches) -> None:
        self.shares = [(part.stop - part.start) / batches.derivatives.n_points for part in batches.slices]
        self.products = 0

    def __call__(self, tensors: Iterator[torch.Tensor]) -> torch.Tensor:
        self.products += 1
        total: torch.Tensor | None = None
        for share, tensor in zip(self.shares, tensors, strict=True):
            total = share * tensor if total is None else total + share * tensor
        assert total is not None
        return total


class Products(TensorOperator):  # type: ignore[misc]
    """This package's curvature products as one of pyDVL's operators. Memory stays flat in points and in parameters."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives
        self.products = 0

    @property
    def device(self) -> torch.device:
        return self.derivatives.device

    @property
    def dtype(self) -> torch.dtype:
        return self.derivatives.dtype

    @property
    def input_size(self) -> int:
        return self.derivatives.n_parameters

    def to(self, device: torch.device) -> Products:
        return self

    def _apply_to_vec(self, vec: torch.Tensor) -> torch.Tensor:
        return self._apply_to_mat(vec[None])[0]

    def _apply_to_mat(self, mat: torch.Tensor) -> torch.Tensor:
        self.products += 1
        width = max(1, FACTOR_NUMBERS // (4 * self.input_size))
        parts = [self.derivatives.product(mat[s : s + width].contiguous()) for s in range(0, len(mat), width)]
        return torch.cat(parts)


class BatchProducts:
    """Gauss-Newton products on one batch of a network, as LiSSA asks for them."""

    def __init__(self, derivatives: NetworkDerivatives) -> None:
        self.derivatives = derivatives
        self.device, self.dtype, self.input_size = derivatives.device, derivatives.dtype, derivatives.n_parameters

    def apply(self, batch: TorchBatch, tensor: torch.Tensor) -> torch.Tensor:
        """[P] -> [P]: the product on the images of `batch`."""
        return self.derivatives.batch_product(batch.x, tensor)


class Indexed:
    """The dataset and batch size from which `LissaOperator` builds its shuffled loader."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.dataset = self
        self.derivatives = derivatives
        largest = LISSA_BATCH if isinstance(derivatives, HeadDerivatives) else 64
        self.batch_size = min(largest, derivatives.n_points)

    def __len__(self) -> int:
        return self.derivatives.n_points

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = self.derivatives.batch(slice(index, index + 1))
        return x[0], y[0]
