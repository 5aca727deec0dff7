"""The cores and the processor that an audit runs on."""

from __future__ import annotations

import os
import platform
from typing import TypedDict


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Description(TypedDict):
    """What `describe` says."""

    system: str
    processor: str
    cores: int


def describe() -> Description:
    """The machine, for a reader of timings."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": cores()}
