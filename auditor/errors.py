"""Exit codes, and the errors that carry them. Each error says what is wrong, where, and what to do next.

The command line shows the message and exits with the error's code. It never shows a traceback for one of these errors.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """The exit code of the `auditor` command."""

    OK = 0
    """Passed, or done."""
    GATE_FAILED = 1
    """The gate's verdict is FAIL. `--exit-zero` turns this code alone into 0."""
    USAGE = 2
    """Usage, configuration or input error. No file was overwritten."""
    UNDECIDED = 3
    """Could not decide: too little data, a solver that did not converge, or recovery too low for a verdict."""
    INTERRUPTED = 130
    """The user stopped it."""


class AuditorError(Exception):
    """The base of every error that this package raises on purpose.

    Parameters
    ----------
    message
        What is wrong, and where (file, row).
    hint
        What to do next. It is shown on a line of its own.
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
    """Weights of the backbone are missing, are damaged, or belong to another network."""


class EngineError(AuditorError):
    """An influence engine cannot do what it was asked to do."""


class ResultError(AuditorError):
    """An audit's folder is missing or damaged, is not an audit's, or has another schema version."""


class DecisionsError(AuditorError):
    """A reviewer's decisions contradict each other, are out of date, or are malformed. Nothing was applied."""


class LockedError(AuditorError):
    """Another process is writing to the same folder."""


class UndecidedError(AuditorError):
    """The data cannot support an answer."""

    exit_code = ExitCode.UNDECIDED
