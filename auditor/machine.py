"""The machine an audit runs on: device, threads, versions."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import platform
from collections.abc import Callable, Iterator

import torch

from auditor.errors import ConfigError
from auditor.progress import memory_mb


def device(wanted: str) -> str:
    """`cpu` or `cuda`.

    Raises
    ------
    ConfigError
        When `cuda` is asked for and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda, but torch sees no CUDA device here",
            hint="use --device cpu, or install a CUDA build of torch",
        )
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads() -> None:
    """As many torch threads as there are cores, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores())


SMALL = 2**23
"""Numbers worked on up to which threads lose more to waiting for each other than they gain: on 16 cores, detection on
5,500 images took 73 s by all of them, where 10,000 took 44 s on one thread."""


def threads_for(numbers: int) -> contextlib.AbstractContextManager[None]:
    """One thread inside the block where the work is small, such as steps of an optimiser on few images."""
    return one_thread() if numbers <= SMALL else contextlib.nullcontext()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """cuDNN in full single precision and by the same algorithms every time; a processor is so anyway.

    By default convolutions round their inputs to ten bits (TF32) on cards that can, and are free in how they sum:
    rankings would differ from the processor's, and from run to run.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


MUCH = 900.0
"""Resident MB above which circles are looked for; Python and its packages are 600."""


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it and can be told to (glibc).

    It keeps what was freed between blocks still in use: a quarter of a gigabyte after detection on 50,000 images. What
    hangs together in circles, as torch's optimisers and their closures do, is freed first: 0.4 GiB there. Finding it
    takes a fifth of a second, which is spent only where much is held.
    """
    if memory_mb() > MUCH:
        gc.collect()
    trim = _trimmer()
    if trim is not None:
        trim(0)


@functools.cache
def _trimmer() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, or a system without one name for it
        return None


def arithmetic(device: str) -> dict[str, str | int]:
    """What decides in which order numbers are summed, and so their last bits."""
    return {"device": device, "threads": torch.get_num_threads(), "cores": cores(), "processor": _capability(device)}


def _capability(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()


def describe() -> dict[str, str | int]:
    """What a reader of timings must know."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": cores()}
