"""Talk on standard error while long work runs: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Update = Callable[[int, int], None]


@dataclass
class Progress:
    """Times the stages of a run and tells a person how far it is.

    Attributes
    ----------
    quiet
        Say nothing.
    seconds
        Wall-clock seconds by stage, filled as stages end.
    """

    quiet: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[Update]:
        """Run a stage; the value is called with (done, total) as it goes on."""
        start = time.monotonic()
        shown = _Bar(title) if sys.stderr.isatty() else _Lines(title)
        update: Update = (lambda done, total: None) if self.quiet else shown.update
        if not self.quiet:
            shown.begin()
        try:
            yield update
        finally:
            took = time.monotonic() - start
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
            if not self.quiet:
                shown.end(took)

    def say(self, message: str) -> None:
        """One line for the person who watches."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)


class _Lines:
    """A line at the start and end of a stage, and every ten seconds between."""

    def __init__(self, title: str) -> None:
        self.title, self.last, self.start = title, time.monotonic(), time.monotonic()

    def begin(self) -> None:
        print(f"{self.title} ...", file=sys.stderr, flush=True)

    def update(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last > 10 and done:
            self.last = now
            left = (now - self.start) / done * (total - done)
            print(f"  {self.title}: {done} of {total}, about {left:.0f} s left", file=sys.stderr, flush=True)

    def end(self, took: float) -> None:
        if took > 2:
            print(f"  {self.title}: {took:.1f} s", file=sys.stderr, flush=True)


class _Bar:
    """A tqdm bar, made when a stage first says how long it is."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: object | None = None

    def begin(self) -> None:
        print(f"{self.title} ...", end="\r", file=sys.stderr, flush=True)

    def update(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self.bar is None:
            self.bar = tqdm(total=total, desc=self.title, leave=False)
        assert isinstance(self.bar, tqdm)
        self.bar.total = total
        self.bar.update(done - self.bar.n)

    def end(self, took: float) -> None:
        if self.bar is not None:
            self.bar.close()  # type: ignore[attr-defined]
        print(f"{self.title}: {took:.1f} s", file=sys.stderr, flush=True)
