"""Interrupts that wait for the end of work which must not be broken off in the middle."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import types
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


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def no_interrupt_lost() -> Iterator[None]:
    """Interrupt again where the first one hit a destructor or a weak reference's callback.

    Python prints and drops whatever is raised there, a user's Ctrl-C included, and the audit would go on.
    """
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Thread(target=_interrupt_after, args=(hook.__code__,), daemon=True).start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt_after(code: types.CodeType) -> None:
    """Interrupt the main thread once it is out of `code`, where an interrupt would be dropped as well.

    By a true signal, which ends a sleep too; unless it would be the process's end, when its handler is gone.
    """
    main = threading.main_thread().ident
    while _runs(code, main):
        time.sleep(_SOON)
    if main is not None and callable(signal.getsignal(signal.SIGTERM)):
        signal.pthread_kill(main, signal.SIGTERM)


_SOON = 0.01
"""Seconds after which is looked again whether an interrupt would be dropped."""


def _runs(code: types.CodeType, thread: int | None) -> bool:
    frame = sys._current_frames().get(thread or 0)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None
