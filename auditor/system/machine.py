"""The cores and the processor that an audit runs on."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from typing import TypedDict

from auditor.system.memory import number_in

_QUOTA = "/sys/fs/cgroup/cpu.max"
"""The second version of control groups says there how much of which time a group may use."""

_OLD = "/sys/fs/cgroup/cpu"
"""The folder in which the first version says it."""


def cores() -> int:
    """The number of processor cores that this process may use: those it is bound to, and those its container pays."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    paid = _paid()
    return bound if paid is None else max(1, min(bound, paid))


def _paid() -> int | None:
    """Cores that the control group of this process may keep busy, rounded up; None where it sets no limit."""
    try:
        quota, period = Path(_QUOTA).read_text(encoding="ascii").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        pass
    quota_us, period_us = number_in(f"{_OLD}/cpu.cfs_quota_us"), number_in(f"{_OLD}/cpu.cfs_period_us")
    return math.ceil(quota_us / period_us) if quota_us and period_us and quota_us > 0 else None


class Description(TypedDict):
    """What `describe` says."""

    system: str
    processor: str
    cores: int


def describe() -> Description:
    """The machine, for a reader of timings."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": cores()}
