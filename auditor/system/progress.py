"""Talk on standard error while long work runs: a bar on a terminal, plain lines elsewhere, nothing when quiet.

With a log file every event is also a line of JSON, for whoever watches a run from outside.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from auditor.errors import ConfigError
from auditor.system.memory import memory_mb, memory_text
from auditor.system.text import terminal_text

Update = Callable[[int, int], None]
"""How far work is: called with (done, total), in the same unit."""

LINE_EVERY, LOG_EVERY = 10.0, 1.0
"""Seconds between two lines about the same stage, for a person and in the log."""

_BEGINNING = b'{"time": "'

PULSE = 1.0
"""Seconds between two looks at whether a stage has been silent for longer than `LINE_EVERY`; then it is said to be at
work, whatever holds the main thread."""


@dataclass
class Progress:
    """Times the stages of a run and tells a person how far it is.

    Attributes
    ----------
    quiet
        Say nothing.
    log_file
        Append one JSON object a line here: `time`, `event` (`begin`, `progress`, `alive`, `resumed`, `end`, `error`,
        `message`), `memory_mb` (resident, of this process), and by event `stage`, `done`, `total`, `seconds_left`,
        `seconds`, `message`.
    seconds
        Wall-clock seconds by stage, filled as stages end.

    Raises
    ------
    ConfigError
        When the log file cannot be opened, or holds something else than a log.
    """

    quiet: bool = False
    log_file: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = _Log(self.log_file) if self.log_file else None
        self._running: list[list[_Bar | _Lines | _Logged]] = []
        self._speaking = threading.RLock()

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[Update]:
        """Run a stage; the value is called with (done, total) as it goes on.

        What calls it later still (an engine that was made in this stage and is asked in another) tells of the stage
        that runs then.
        """
        listeners = self._listeners(name, title)
        self._running.append(listeners)

        def update(done: int, total: int) -> None:
            with self._speaking:
                for listener in self._running[-1] if self._running else ():
                    listener.update(done, total)

        start = time.monotonic()
        for listener in listeners:
            listener.begin()
        try:
            with self._pulse(listeners):
                yield update
        except BaseException as error:
            self._finish(name, start, listeners, "error", message=f"{type(error).__name__}: {error}")
            raise
        else:
            self._finish(name, start, listeners, "end")

    def _finish(
        self, name: str, start: float, listeners: list[_Bar | _Lines | _Logged], event: str, **said: object
    ) -> None:
        self._running.remove(listeners)
        took = self._took(name, start)
        if self._log is not None:
            self._log.write(event, stage=name, **(said or {"seconds": took}))
        for listener in listeners:
            listener.end(took)

    @contextmanager
    def _pulse(self, listeners: list[_Bar | _Lines | _Logged]) -> Iterator[None]:
        """While the block runs, its listeners are asked now and then whether they have been silent for too long."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(PULSE):
                with self._speaking:
                    if not ended.is_set() and self._running and self._running[-1] is listeners:
                        for listener in listeners:
                            listener.beat()

        watcher = threading.Thread(target=watch, name="progress", daemon=True)
        if listeners:
            watcher.start()
        try:
            yield
        finally:
            ended.set()
            if listeners:
                watcher.join()

    def _took(self, name: str, start: float) -> float:
        """Seconds since `start`, added to the stage's."""
        took = round(time.monotonic() - start, 3)
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        return took

    def say(self, message: str) -> None:
        """A few words for the person who watches; none for an empty text."""
        if not message:
            return
        if self._log is not None:
            self._log.write("message", message=message)
        if not self.quiet:
            _tell(message)

    def resumed(self, stage: str) -> None:
        """A part of the work that an interrupted audit had finished is taken from there."""
        if self._log is not None:
            self._log.write("resumed", stage=stage)
        if not self.quiet:
            _tell("  done before the interruption, and taken from there")

    def close(self) -> None:
        """Close the log file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _listeners(self, name: str, title: str) -> list[_Bar | _Lines | _Logged]:
        listeners: list[_Bar | _Lines | _Logged] = []
        if not self.quiet:
            listeners.append(_Bar(title) if sys.stderr is not None and sys.stderr.isatty() else _Lines(title))
        if self._log is not None:
            listeners.append(_Logged(self._log, name))
        return listeners


def _tell(text: str, end: str = "\n") -> None:
    """Print on standard error; where nobody listens any more (`2>&1 | head`, `2>&-`) work goes on in silence."""
    if sys.stderr is None:
        return
    try:
        print(terminal_text(text), end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # What is buffered would fail once more when Python exits, and change the exit code.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _Clock:
    """When to speak again, and how long it will take."""

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
        """True, once, when `due` has been asked for the last time longer ago than it should be."""
        if time.monotonic() - self.last < self.every + 2 * PULSE:
            return False
        return self.due()

    def worked(self) -> str:
        """For how long, as words."""
        return f"at work for {time.monotonic() - self.start:.0f} s"

    def left(self, done: int, total: int) -> float:
        """Seconds to go at the pace so far."""
        return (time.monotonic() - self.start) / max(done, 1) * max(total - done, 0)


class _Lines:
    """A line at the start and end of a stage, and every ten seconds between."""

    def __init__(self, title: str) -> None:
        self.title, self.clock = title, _Clock(LINE_EVERY)
        self.reached = ""

    def begin(self) -> None:
        _tell(f"{self.title} ...")

    def beat(self) -> None:
        """Say that the stage is at work, if nothing else has been said for too long."""
        if self.clock.silent():
            _tell(f"  {self.title}: {self.reached}{self.clock.worked()}{memory_text()}")

    def update(self, done: int, total: int) -> None:
        self.reached = f"{done} of {total}, " if done else ""
        if done and self.clock.due():
            text = f"{self.title}: {done} of {total}, about {self.clock.left(done, total):.0f} s left{memory_text()}"
            _tell(f"  {text}")

    def end(self, took: float) -> None:
        if took > 2:
            _tell(f"  {self.title}: {took:.1f} s")


class _Bar:
    """A tqdm bar, made when a stage first says how long it is."""

    def __init__(self, title: str) -> None:
        self.title, self.clock = title, _Clock(LINE_EVERY)
        self.bar: Any = None

    def begin(self) -> None:
        _tell(f"{self.title} ...", end="\r")

    def beat(self) -> None:
        """Let the clock of the bar go on, if it has stood still for too long."""
        if not self.clock.silent():
            return
        if self.bar is None:
            _tell(f"{self.title} ... {self.clock.worked()}{memory_text()}", end="\r")
        else:
            self.bar.set_postfix_str(memory_text().strip(", "))

    def update(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self.bar is None:
            self.bar = tqdm(total=total, desc=self.title, leave=False)
        self.bar.total = total
        self.bar.update(done - self.bar.n)
        if self.clock.due():
            self.bar.set_postfix_str(memory_text().strip(", "))

    def end(self, took: float) -> None:
        if self.bar is not None:
            self.bar.close()
        _tell(f"{self.title}: {took:.1f} s")


class _Log:
    """Lines of JSON; a log that cannot grow any more (a full disk) does not stop the work it tells about."""

    def __init__(self, path: str) -> None:
        if not _continues(path):
            raise ConfigError(
                f"the log file {path} holds something else than a log, and stays as it is",
                hint="choose another with --log-file",
            )
        try:
            # O_NONBLOCK: a pipe that nobody reads is an error, not a wait without end.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
            self.file: TextIO = os.fdopen(handle, "a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"the log file {path} cannot be written: {error.strerror}", hint="choose another with --log-file"
            ) from error

    def write(self, event: str, **values: object) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **values, "memory_mb": memory_mb()})
        with contextlib.suppress(OSError, ValueError):
            self.file.write(line + "\n")
            self.file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()


def _continues(path: str) -> bool:
    """Whether a log may be appended: to a new file, an empty one, one that begins like ours, or a pipe or device.

    Else a slip of the hand would put lines of JSON behind a manifest's rows or an image's pixels.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return True
        with Path(path).open("rb") as file:
            first = file.readline(1000)
    except OSError:  # opening it says what is wrong
        return True
    whole = first.endswith(b"\n")
    return not first or (first.startswith(_BEGINNING) and (b'"event": "' in first or not whole))


class _Logged:
    """A stage's progress in the log, the first and the last step and one a second between."""

    def __init__(self, log: _Log, stage: str) -> None:
        self.log, self.stage, self.clock, self.first = log, stage, _Clock(LOG_EVERY), True
        self.pulse = _Clock(LINE_EVERY)

    def begin(self) -> None:
        self.log.write("begin", stage=self.stage)

    def beat(self) -> None:
        """A line that the stage is at work, where there has been none for as long as a person would wait."""
        if self.pulse.silent():
            self.log.write("alive", stage=self.stage, seconds=round(time.monotonic() - self.pulse.start, 1))

    def update(self, done: int, total: int) -> None:
        if self.clock.due() or self.first or done == total:
            self.first = False
            self.pulse.last = self.clock.last
            left = round(self.clock.left(done, total), 1)
            self.log.write("progress", stage=self.stage, done=done, total=total, seconds_left=left)

    def end(self, took: float) -> None:
        """`Progress.stage` writes the end, since it knows whether there was an error."""
