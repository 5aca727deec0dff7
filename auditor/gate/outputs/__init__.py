"""Output formats of the gate, one module each.

A format is a module (or any object) with a `name` and `render(verdict, result) -> str`. A format with a
`publish(verdict, result)` is also called after its text was written, for what a file cannot do (see `github`).

To add a format here, write a module, put its name into `OWN` and name it in `setup.cfg`. Another package adds one
without a change here: it names its module in the entry-point group `auditor.outputs`, or calls `register_output`.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Protocol, cast

from auditor.errors import ConfigError
from auditor.system.plugins import Plugins
from auditor.system.text import did_you_mean

if TYPE_CHECKING:
    from auditor.gate.verdict import Verdict
    from auditor.result import AuditResult

GROUP = "auditor.outputs"

OWN = ("github", "gitlab", "json", "junit", "markdown", "sarif")
"""This package's formats. A source tree that was never installed has them too."""


class Format(Protocol):
    """What a format offers."""

    name: str

    def render(self, verdict: Verdict, result: AuditResult) -> str:
        """The verdict in this format. Equal verdicts give equal text."""
        ...


_others: Plugins[Format] = Plugins(GROUP, "output format", OWN)


def register_output(format: Format) -> contextlib.ExitStack:
    """Add a format for this process.

    Returns
    -------
    A context that removes it at its end. Drop it to keep the addition.

    Raises
    ------
    ConfigError
        There is a format of this name already.
    """
    return _others.register(format.name, format)


def remove_output(name: str) -> None:
    """Take away what `register_output` added."""
    _others.remove(name)


def names() -> list[str]:
    """Every format that can be asked for, sorted."""
    return sorted([*OWN, *_others.names()])


def get(name: str) -> Format:
    """A format by its name.

    Raises
    ------
    ConfigError
        There is no format of that name, or its package cannot be imported.
    """
    if name in OWN:
        return cast(Format, importlib.import_module(f"{__name__}.{name}"))
    if name not in _others.names():
        raise ConfigError(f"unknown output format '{name}'", hint=did_you_mean(name, names()))
    return _others.get(name)
