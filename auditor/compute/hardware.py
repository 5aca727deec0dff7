"""The device that torch computes on, its threads, its precision and its free memory."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Iterator

import scipy.linalg  # noqa: F401  # so that its library is loaded when threads are counted
import torch
from threadpoolctl import ThreadpoolController

from auditor.errors import ConfigError, EngineError
from auditor.system.machine import cores
from auditor.system.memory import free_bytes, number_in, size_text

MPS = "mps"
"""torch's name for the GPU of a Mac."""


def device(wanted: str) -> str:
    """The device to compute on, `cpu`, `cuda` or `mps`.

    Parameters
    ----------
    wanted
        The setting: `cpu`, `cuda`, `mps`, or `auto` for `cuda` where torch sees one. `auto` never takes `mps`: nobody
        tried that.

    Raises
    ------
    ConfigError
        When `cuda` or `mps` is asked for and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda, but torch sees no CUDA device here",
            hint="use --device cpu, or install a CUDA build of torch",
        )
    if wanted == MPS and not torch.backends.mps.is_available():
        raise ConfigError(
            "--device mps, but torch sees no Metal device here",
            hint="use --device cpu; mps needs a Mac with Apple silicon and a system that this torch supports",
        )
    if wanted in ("cpu", MPS):
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def tried(device: torch.device | str) -> bool:
    """Whether this program was tried on such a device. Others prove themselves first (`model/placing.py`)."""
    return torch.device(device).type != MPS


def exact(device: str) -> str:
    """Where second-order work and sums in double precision are done: on the device, or on the processor for `mps`.

    Metal has no double precision, and torch has hardly any factorisation there.
    """
    return "cpu" if torch.device(device).type == MPS else device


def set_threads() -> None:
    """Set as many torch threads as there are cores, unless OMP_NUM_THREADS says fewer.

    More threads than cores only wait for each other. A small audit with OMP_NUM_THREADS=100000 seemed to hang.
    """
    if "OMP_NUM_THREADS" not in os.environ or torch.get_num_threads() > cores():
        torch.set_num_threads(cores())


SMALL = 2**23
"""Work on this many numbers or fewer is small. Threads then lose more to waiting for each other than they gain. On 16
cores detection on 5,500 images took 73 s with all of them, and on 10,000 images 44 s with one thread."""


def threads_for(numbers: int) -> contextlib.AbstractContextManager[None]:
    """One thread inside the block where the work is small; all of them otherwise."""
    return one_thread() if numbers <= SMALL else contextlib.nullcontext()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch, numpy and scipy inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_blas_thread():
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread of numpy and scipy inside the block.

    Their libraries start all threads for the smallest product. On a busy machine these spin for each other: an L-BFGS-B
    of fifteen parameters took fifty times as long as with one.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """torch's global generators at `seed` inside the block, and as they were after it."""
    place = torch.device(device)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Make cuDNN use full single precision and the same algorithms every time. A processor does so anyway.

    By default convolutions round their inputs to ten bits (TF32) on cards that can, and may sum in any order. Rankings
    would then differ from the processor's, and from run to run.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def arithmetic(device: str) -> dict[str, str | int]:
    """What decides the order in which numbers are summed, and so their last bits; JSON types."""
    return {"device": device, "threads": torch.get_num_threads(), "cores": cores(), "processor": _capability(device)}


def _capability(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} {MPS}" if device == MPS else torch.backends.cpu.get_cpu_capability()


def available_bytes(device: torch.device | str = "cpu") -> int:
    """Bytes that can be taken now: free GPU memory on a CUDA device, else what the system and its cgroup leave."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    amounts = [free_bytes()]
    limit, used = number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        amounts.append(max(limit - used, 0))
    return min(amounts)


def require(needed: float, what: str, device: torch.device | str, hint: str) -> None:
    """Refuse work that would take more than four fifths of the free memory.

    Parameters
    ----------
    needed
        Bytes.
    what
        What needs them, as the subject of a sentence.
    device
        Whose memory it is.
    hint
        What to do where there is too little.

    Raises
    ------
    EngineError
        When it does not fit.
    """
    available = available_bytes(device)
    if needed > 0.8 * available:
        raise EngineError(f"{what} needs {size_text(needed)}, but {size_text(available)} are free", hint=hint)
