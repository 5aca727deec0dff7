"""Adds signals from outside this package, and lists all signals that a detection computes."""

from __future__ import annotations

import contextlib

from auditor.detection.signals import INFLUENCE_SIGNALS, SIGNALS, Signal
from auditor.errors import ConfigError
from auditor.system.plugins import Plugins, source_hash

GROUP = "auditor.signals"
"""Entry-point group in which other packages name their signals."""

_OWN = (*(signal.name for signal in SIGNALS), *(signal.name for signal in INFLUENCE_SIGNALS))

_others: Plugins[Signal] = Plugins(GROUP, "signal", _OWN)


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
    return _others.register(signal.name, signal)


def remove_signal(name: str) -> None:
    """Take away what `register_signal` added."""
    _others.remove(name)


def all_signals() -> tuple[Signal, ...]:
    """Give this package's signals, then those from outside by name.

    Raises
    ------
    ConfigError
        When an entry point cannot be loaded, or is no `Signal`.
    """
    return (*SIGNALS, *(_from_outside(name) for name in _others.names()))


def _from_outside(name: str) -> Signal:
    signal: object = _others.get(name)
    if not isinstance(signal, Signal):
        raise ConfigError(
            f"the entry point '{name}' of {GROUP} names no Signal",
            hint="name an object made by auditor.detection.signals.Signal",
        )
    if signal.name != name:
        raise ConfigError(
            f"the entry point '{name}' of {GROUP} names a signal '{signal.name}'", hint="use one name for both"
        )
    return signal


def meanings() -> dict[str, str]:
    """Name -> meaning of every signal that a result can hold."""
    combined = {signal.name: signal.meaning for signal in all_signals()}
    return combined | {signal.name: signal.meaning for signal in INFLUENCE_SIGNALS}


def identities() -> list[str]:
    """Name, and the hash of the source file, of every signal from outside: kept stages rest on these too."""
    return [f"{signal.name} {source_hash(signal.values)}" for signal in all_signals()[len(SIGNALS) :]]
