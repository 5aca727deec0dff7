"""Exit codes and the errors that carry them: every failure says what, where and what to do next.

The command line shows an error's message and exits with its code; it never shows a traceback for one of these.
Nothing here imports from the rest of the package.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the `auditor` command returns to its caller."""

    OK = 0
    """Passed, or done."""
    GATE_FAILED = 1
    """The gate's verdict is FAIL. `--exit-zero` turns this code alone into 0."""
    USAGE = 2
    """Usage, configuration or input error; nothing was written over."""
    UNDECIDED = 3
    """Could not decide: too little data, a solve that did not converge, recovery too low to support a verdict."""
    INTERRUPTED = 130
    """Stopped by the user."""


class AuditorError(Exception):
    """Base of everything this package raises on purpose.

    Parameters
    ----------
    message
        What is wrong, and where (file, row).
    hint
        What to do next; shown on its own line.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class ConfigError(AuditorError):
    """A setting is unknown, of the wrong type or out of range."""


class SourceError(AuditorError):
    """A data set cannot be opened or does not hold what an audit needs."""


class WeightsError(AuditorError):
    """Backbone weights are missing, damaged or belong to another network."""


class EngineError(AuditorError):
    """An influence engine cannot do what was asked of it, and says why."""


class ResultError(AuditorError):
    """An audit's folder is missing, foreign, damaged or of another schema."""


class DecisionsError(AuditorError):
    """A reviewer's decisions conflict, are stale or malformed; nothing was applied."""


class LockedError(AuditorError):
    """Another audit is writing to the same folder."""


class UndecidedError(AuditorError):
    """The data cannot support an answer."""

    exit_code = ExitCode.UNDECIDED
