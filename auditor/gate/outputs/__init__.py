"""Output formats of the gate: one module each, found through the entry-point group `auditor.outputs`.

A format is a module (or any object) with a `name` and `render(verdict, result) -> str`. One that also has
`publish(verdict, result)` is told when its text was written, to do what a file cannot (see `github`). Another package
adds a format by naming it in its own entry points; no file here changes.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Protocol, cast

from auditor.errors import ConfigError
from auditor.system.text import did_you_mean

if TYPE_CHECKING:
    from auditor.gate.verdict import Verdict
    from auditor.result import AuditResult

GROUP = "auditor.outputs"

OWN = ("github", "gitlab", "json", "junit", "markdown", "sarif")
"""This package's formats, so that a source tree that was never installed has them too."""


class Format(Protocol):
    """What a format offers."""

    name: str

    def render(self, verdict: Verdict, result: AuditResult) -> str:
        """The verdict in this format; equal verdicts give equal text."""
        ...


def names() -> list[str]:
    """Every format that can be asked for, sorted."""
    return sorted({*OWN, *(point.name for point in importlib.metadata.entry_points(group=GROUP))})


def get(name: str) -> Format:
    """A format by its name.

    Raises
    ------
    ConfigError
        There is none of that name, or its package cannot be imported.
    """
    if name in OWN:
        return cast(Format, importlib.import_module(f"{__name__}.{name}"))
    points = [point for point in importlib.metadata.entry_points(group=GROUP) if point.name == name]
    if not points:
        raise ConfigError(f"unknown output format '{name}'", hint=did_you_mean(name, names()))
    try:
        return cast(Format, points[0].load())
    except Exception as error:  # another package's code: whatever it raises, the user needs its name
        raise ConfigError(f"the output format '{name}' cannot be loaded from {points[0].value}: {error}") from error
