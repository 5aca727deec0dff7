"""How much memory there is, asked before it is taken."""

from __future__ import annotations

import torch

from auditor.compute import hardware
from auditor.compute.hardware import require
from auditor.errors import EngineError

RANK = 512

FACTOR_NUMBERS = 2**25
"""Largest P x rank of a low-rank factor: 256 MiB in float64."""


def require_engine(name: str, n_parameters: int, full_rank: int, device: torch.device | str, *, width: int = 8) -> None:
    """Raise `EngineError` when one of pyDVL's engines cannot hold what it keeps of a problem of so many parameters.

    Parameters
    ----------
    full_rank
        Of the curvature; may be an upper bound.
    width
        Bytes of one number.
    """
    if name == "direct":
        require(
            6 * width * n_parameters**2,
            f"the dense Hessian of {n_parameters} parameters",
            device,
            "choose --engine auto, cg or nystroem, which need no dense Hessian",
        )
    elif name in ("nystroem", "arnoldi"):
        rank = low_rank(n_parameters, full_rank)
        require(
            6 * 8 * n_parameters * rank,
            f"a factor of rank {rank} of {n_parameters} parameters",
            device,
            "choose --engine auto",
        )
    elif name == "ihm" and ihm_points(n_parameters, device) < 1:
        raise EngineError(
            f"ihm keeps gradients of {n_parameters} parameters a point, which do not fit the memory",
            hint="choose --engine auto",
        )


def low_rank(n_parameters: int, full_rank: int) -> int:
    """The rank that `nystroem` and `arnoldi` take."""
    return min(full_rank, max(1, min(RANK + 1, FACTOR_NUMBERS // n_parameters, n_parameters - 1)))


def ihm_points(n_parameters: int, device: torch.device | str) -> int:
    """How many points' gradients `ihm` may hold at once."""
    return int(0.2 * hardware.available_bytes(device)) // (4 * 8 * n_parameters)
