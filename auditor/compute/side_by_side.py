"""Pieces of work on several cores, each piece with one thread of its own.

A product of matrices gains little from a second thread where it is small, and loses much where the machine is busy.
Folds and repeats do not wait for each other. So each of them has one thread, and as many run at a time as there are
cores. A piece's result does not depend on how many run beside it: one core and many give equal bytes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from auditor.compute.hardware import one_thread
from auditor.system.machine import cores

MOST = 2**25
"""Numbers in the features up to which pieces run side by side: each of them holds some of them. Beyond, every product
has all threads."""

T = TypeVar("T")
R = TypeVar("R")


def pieces_for(numbers: int) -> contextlib.AbstractContextManager[None]:
    """Inside the block work has one thread, and `each` runs pieces side by side, where the work is not too large."""
    return one_thread() if numbers <= MOST else contextlib.nullcontext()


def workers() -> int:
    """How many pieces run at a time: one a core, unless OMP_NUM_THREADS says fewer."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(wanted)) if wanted.isdecimal() and int(wanted) else cores()


def each(work: Callable[[T], R], items: Iterable[T], *, device: str = "cpu") -> list[R]:
    """`work` of every item, in order. One after another where products have several threads, or on a GPU.

    Raises
    ------
    Exception
        The first that a piece raised. Pieces that have not begun are then left out.
    """
    todo = list(items)
    n = min(workers(), len(todo))
    if n < 2 or torch.get_num_threads() > 1 or device != "cpu":
        return [work(item) for item in todo]
    pool = ThreadPoolExecutor(n, thread_name_prefix="auditor", initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(pool.map(work, todo))
    finally:
        pool.shutdown(cancel_futures=True)
