"""How much memory there is, asked before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from auditor.errors import EngineError

RANK = 512
FACTOR_NUMBERS = 2**25
"""Largest P x rank of a low-rank factor: 256 MiB in float64."""


def available_bytes(device: torch.device | str = "cpu") -> int:
    """Memory that can be taken now: free GPU memory on a CUDA device, else what the system and its cgroup leave."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    amounts = [_system()]
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        amounts.append(max(limit - used, 0))
    return min(amounts)


def require(needed: float, what: str, device: torch.device | str, hint: str) -> None:
    """Raise `EngineError` when `what` would take more than four fifths of the available memory."""
    available = available_bytes(device)
    if needed > 0.8 * available:
        raise EngineError(f"{what} needs {_amount(needed)}, but {_amount(available)} are free", hint=hint)


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
            6 * width * n_parameters**2, f"the dense Hessian of {n_parameters} parameters", device,
            "choose --engine auto, cg or nystroem, which need no dense Hessian",
        )  # fmt: skip
    elif name in ("nystroem", "arnoldi"):
        rank = low_rank(n_parameters, full_rank)
        require(
            6 * 8 * n_parameters * rank, f"a factor of rank {rank} of {n_parameters} parameters", device,
            "choose --engine auto",
        )  # fmt: skip
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
    return int(0.2 * available_bytes(device)) // (4 * 8 * n_parameters)


def _amount(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return 4 * 2**30


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
