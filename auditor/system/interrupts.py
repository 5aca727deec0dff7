"""Interrupts (Ctrl-C, SIGTERM) that wait for the end of short work, and interrupts that are never lost."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_SOON = 0.01
"""Seconds between two looks at whether an interrupt would be dropped."""


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back inside the block. They take effect at its end.

    Use it for short work in C code that calls back into Python. C code does not expect an interrupt: it reports
    another error (matplotlib says "Invalid affine transformation matrix"), or the process ends with a segmentation
    fault.
    """
    if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread only
        yield
        return
    came: list[int] = []
    # None means a handler that Python did not set. It could not be put back, so it is left alone.
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
    """A signal handler that interrupts as Ctrl-C does."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def no_interrupt_lost() -> Iterator[None]:
    """Interrupt again if Python dropped an interrupt inside the block.

    Python prints and drops everything that is raised in a destructor or in a weak reference's callback. If that were a
    user's Ctrl-C, the audit would go on.
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
    """Interrupt the main thread when it has left `code`: inside it the new interrupt would be dropped too.

    A real signal does it, because it ends a sleep as well. Without a handler it would end the process, so it is not
    sent then.
    """
    main = threading.main_thread().ident
    while _runs(code, main):
        time.sleep(_SOON)
    if main is not None and callable(signal.getsignal(signal.SIGTERM)):
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, signal.SIGTERM)
        else:  # Windows
            _thread.interrupt_main()


def _runs(code: types.CodeType, thread: int | None) -> bool:
    frame = sys._current_frames().get(thread or 0)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None
