"""How much memory there is, asked before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from auditor.errors import EngineError


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
        raise EngineError(f"{what} needs {needed / 2**30:.1f} GiB, but {available / 2**30:.1f} GiB are free", hint=hint)


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
