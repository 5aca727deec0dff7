"""Interrupts that wait for the end of work which must not be broken off in the middle."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """SIGINT and SIGTERM that come in the block take effect at its end.

    For short work in C code that calls back into Python: an interrupt that is raised there is taken for another error
    by code that does not expect it (matplotlib's says "Invalid affine transformation matrix"), or ends the process with
    a segmentation fault.
    """
    if threading.current_thread() is not threading.main_thread():  # no handler ever runs here
        yield
        return
    came: list[int] = []
    # None stands for a handler that is not Python's, which could not be put back.
    before = {which: handler for which in _SIGNALS if (handler := signal.getsignal(which)) is not None}
    for which in before:
        signal.signal(which, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if came:
            signal.raise_signal(came[0])
