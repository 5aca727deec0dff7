"""Tells how far long work is, on standard error and in a log file.

A terminal gets a bar, other streams get lines, and a quiet run gets nothing. The log file is for programs.

Each running stage has listeners: a bar or lines for people, and the log. A listener hears four things: `begin`,
`update` (done, total), `beat` (time has passed, say something if you have been silent for too long) and `end`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from auditor.system.log import Log
from auditor.system.memory import memory_text
from auditor.system.text import terminal_text

Update = Callable[[int, int], None]
"""Told how far work is, as (done, total) in the same unit."""

LINE_EVERY, LOG_EVERY = 10.0, 1.0
"""Seconds between two lines about the same stage, for a person and in the log."""

PULSE = 1.0
"""Seconds between two beats. A stage that was silent for longer than `LINE_EVERY` is then said to be at work."""


class _Listener(Protocol):
    """What follows one stage."""

    def begin(self) -> None: ...

    def update(self, done: int, total: int) -> None: ...

    def beat(self) -> None: ...

    def end(self, took: float) -> None: ...


@dataclass
class Progress:
    """Times the stages of a run and tells a person how far it is.

    Attributes
    ----------
    quiet
        Say nothing on standard error.
    log_file
        Add one JSON object a line to this file: `time`, `event` (`begin`, `progress`, `alive`, `resumed`, `end`,
        `error`, `message`), `memory_mb` (resident, of this process), and by event `stage`, `done`, `total`,
        `seconds_left`, `seconds`, `message`. Empty writes no log.
    seconds
        Wall-clock seconds by stage. A stage is added when it ends; a stage that runs twice adds up.

    Raises
    ------
    ConfigError
        The log file cannot be opened, or it holds something else than a log.
    """

    quiet: bool = False
    log_file: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = Log(self.log_file) if self.log_file else None
        self._running: list[list[_Listener]] = []
        self._speaking = threading.RLock()

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[Update]:
        """Run a stage inside the block.

        Parameters
        ----------
        name
            The stage's key in `seconds` and in the log.
        title
            What a person reads.

        Yields
        ------
        Update
            Call it with (done, total) as the work goes on. It always tells about the stage that runs at that moment:
            an engine made in one stage may be asked in a later one.
        """
        listeners = self._listeners(name, title)
        self._running.append(listeners)
        start = time.monotonic()
        for listener in listeners:
            listener.begin()
        try:
            with self._beating(listeners):
                yield self._update
        except BaseException as error:
            self._finish(name, start, listeners, "error", message=f"{type(error).__name__}: {error}")
            raise
        else:
            self._finish(name, start, listeners, "end")

    def say(self, message: str) -> None:
        """Say a few words to the person who watches. An empty text says nothing."""
        if not message:
            return
        if self._log is not None:
            self._log.write("message", message=message)
        if not self.quiet:
            _tell(message)

    def resumed(self, stage: str) -> None:
        """Say that an interrupted audit had finished this part of the work, and that it is taken from there."""
        if self._log is not None:
            self._log.write("resumed", stage=stage)
        if not self.quiet:
            _tell("  done before the interruption, and taken from there")

    def close(self) -> None:
        """Close the log file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _listeners(self, name: str, title: str) -> list[_Listener]:
        listeners: list[_Listener] = []
        if not self.quiet:
            listeners.append(_Bar(title) if _has_bars() else _Lines(title))
        if self._log is not None:
            listeners.append(_Logged(self._log, name))
        return listeners

    def _update(self, done: int, total: int) -> None:
        with self._speaking:
            for listener in self._running[-1] if self._running else ():
                listener.update(done, total)

    @contextmanager
    def _beating(self, listeners: list[_Listener]) -> Iterator[None]:
        """Give the listeners beats while the block runs. Another thread does it, because the block is busy."""
        if not listeners:
            yield
            return
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(PULSE):
                with self._speaking:
                    if not ended.is_set() and self._running and self._running[-1] is listeners:
                        for listener in listeners:
                            listener.beat()

        thread = threading.Thread(target=beat, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _finish(self, name: str, start: float, listeners: list[_Listener], event: str, **said: object) -> None:
        """End a stage: note its seconds, write `event` to the log, and tell the listeners."""
        self._running.remove(listeners)
        took = round(time.monotonic() - start, 3)
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        if self._log is not None:
            self._log.write(event, stage=name, **(said or {"seconds": took}))
        for listener in listeners:
            listener.end(took)


def _has_bars() -> bool:
    """Whether a bar can be drawn: on a terminal, and in a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def _tell(text: str, end: str = "\n") -> None:
    """Print on standard error. Where nobody listens any more (`2>&1 | head`, `2>&-`) the work goes on in silence."""
    if sys.stderr is None:
        return
    try:
        print(terminal_text(text), end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # Text that is still buffered would fail again when Python exits, and change the exit code.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _Clock:
    """Says when to speak again, and estimates how long the rest takes."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.start = self.last = time.monotonic()

    def due(self) -> bool:
        """True at most once in `every` seconds."""
        now = time.monotonic()
        if now - self.last < self.every:
            return False
        self.last = now
        return True

    def silent(self) -> bool:
        """True, once, where the last true answer of `due` lies more than `every` seconds and two beats back."""
        return time.monotonic() - self.last >= self.every + 2 * PULSE and self.due()

    def worked(self) -> str:
        """How long the stage has run, as words."""
        return f"at work for {time.monotonic() - self.start:.0f} s"

    def left(self, done: int, total: int) -> float:
        """Seconds to go at the pace so far."""
        return (time.monotonic() - self.start) / max(done, 1) * max(total - done, 0)


class _Lines:
    """A line where a stage begins and ends, and one every ten seconds between."""

    def __init__(self, title: str) -> None:
        self.title, self.clock = title, _Clock(LINE_EVERY)
        self.reached = ""

    def begin(self) -> None:
        _tell(f"{self.title} ...")

    def beat(self) -> None:
        if self.clock.silent():
            _tell(f"  {self.title}: {self.reached}{self.clock.worked()}{memory_text()}")

    def update(self, done: int, total: int) -> None:
        self.reached = f"{done} of {total}, " if done else ""
        if done and self.clock.due():
            left = f"about {self.clock.left(done, total):.0f} s left"
            _tell(f"  {self.title}: {done} of {total}, {left}{memory_text()}")

    def end(self, took: float) -> None:
        if took > 2:
            _tell(f"  {self.title}: {took:.1f} s")


class _Bar:
    """A tqdm bar, in a notebook as there. It appears when the stage first says how long it is."""

    def __init__(self, title: str) -> None:
        self.title, self.clock = title, _Clock(LINE_EVERY)
        self.bar: Any = None

    def begin(self) -> None:
        _tell(f"{self.title} ...", end="\r")

    def beat(self) -> None:
        if not self.clock.silent():
            return
        if self.bar is None:
            _tell(f"{self.title} ... {self.clock.worked()}{memory_text()}", end="\r")
        else:
            self.bar.set_postfix_str(memory_text().strip(", "))  # this also moves the bar's own clock on

    def update(self, done: int, total: int) -> None:
        if self.bar is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a notebook without widgets gets a bar of text, and needs no advice
                from tqdm.auto import tqdm
            self.bar = tqdm(total=total, desc=self.title, leave=False)
        self.bar.total = total
        self.bar.update(done - self.bar.n)
        if self.clock.due():
            self.bar.set_postfix_str(memory_text().strip(", "))

    def end(self, took: float) -> None:
        if self.bar is not None:
            self.bar.close()
        _tell(f"{self.title}: {took:.1f} s")


class _Logged:
    """A stage in the log: its begin, the first and the last step, and one step a second between."""

    def __init__(self, log: Log, stage: str) -> None:
        self.log, self.stage, self.clock, self.first = log, stage, _Clock(LOG_EVERY), True
        self.alive = _Clock(LINE_EVERY)

    def begin(self) -> None:
        self.log.write("begin", stage=self.stage)

    def beat(self) -> None:
        if self.alive.silent():
            self.log.write("alive", stage=self.stage, seconds=round(time.monotonic() - self.alive.start, 1))

    def update(self, done: int, total: int) -> None:
        if self.clock.due() or self.first or done == total:
            self.first = False
            self.alive.last = self.clock.last
            left = round(self.clock.left(done, total), 1)
            self.log.write("progress", stage=self.stage, done=done, total=total, seconds_left=left)

    def end(self, took: float) -> None:
        """Write nothing: `Progress` writes the end, because it knows whether there was an error."""
