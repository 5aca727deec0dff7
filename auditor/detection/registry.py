"""Adds signals from outside this package, and lists all signals that a detection computes."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from auditor.detection.signals import INFLUENCE_SIGNALS, SIGNALS, Signal
from auditor.errors import ConfigError

GROUP = "auditor.signals"
"""Entry-point group in which other packages name their signals."""

_REGISTERED: dict[str, Signal] = {}


def register_signal(signal: Signal) -> contextlib.ExitStack:
    """Add a signal from outside this package to every detection that starts later.

    Returns
    -------
    A context that removes the signal at its end, or when `close()` is called. Drop it to keep the signal::

        with register_signal(Signal("darkness", "How dark the image is.", darkness)):
            detect(...)

    Raises
    ------
    ConfigError
        When there is a signal of that name already.
    """
    _refuse_taken(signal, all_signals())
    _REGISTERED[signal.name] = signal
    registration = contextlib.ExitStack()
    registration.callback(_REGISTERED.pop, signal.name)
    return registration


def all_signals() -> tuple[Signal, ...]:
    """Give this package's signals, then those of entry points by name, then registered ones in their order.

    Raises
    ------
    ConfigError
        When an entry point cannot be loaded, is no `Signal` or takes the name of another one.
    """
    found = SIGNALS
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found = (*found, _load(point, found))
    return (*found, *_REGISTERED.values())


def meanings() -> dict[str, str]:
    """Name -> meaning of every signal that a result can hold."""
    combined = {signal.name: signal.meaning for signal in all_signals()}
    return combined | {signal.name: signal.meaning for signal in INFLUENCE_SIGNALS}


def identities() -> list[str]:
    """Name, and the hash of the source file, of every signal from outside: kept stages rest on these too."""
    return [f"{signal.name} {_source_hash(signal)}" for signal in all_signals()[len(SIGNALS) :]]


def _load(point: EntryPoint, before: tuple[Signal, ...]) -> Signal:
    try:
        signal = point.load()
    except Exception as error:  # another package's code may raise anything, and the user needs its name
        raise ConfigError(
            f"the signal '{point.name}' cannot be loaded from {point.value}: {error}",
            hint="repair or uninstall the package that brings it",
        ) from error
    if not isinstance(signal, Signal):
        raise ConfigError(
            f"the entry point '{point.name}' of {GROUP} names {point.value}, which is no Signal",
            hint="name an object made by auditor.detection.signals.Signal",
        )
    _refuse_taken(signal, before)
    return signal


def _refuse_taken(signal: Signal, others: tuple[Signal, ...]) -> None:
    if signal.name in {*(other.name for other in others), *(other.name for other in INFLUENCE_SIGNALS)}:
        raise ConfigError(f"there is already a signal '{signal.name}'", hint="give yours another name")


def _source_hash(signal: Signal) -> str:
    try:
        return hashlib.sha256(Path(inspect.getfile(signal.values)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # made by a class instance or at a prompt: there is no file
        return ""
