"""Calls of rules and outputs that come from elsewhere: their code may do anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from auditor.errors import AuditorError, ConfigError

Thing = TypeVar("Thing")


def call_theirs(what: str, call: Callable[[], Thing], wanted: type[Thing], word: str, *, hint: str) -> Thing:
    """Call another package's code. It may do anything, so a message names it.

    Parameters
    ----------
    what
        What is called, for messages.
    call
        Calls it.
    wanted, word
        The type that it has to return, and that type in words.
    hint
        What the user can do where it fails.

    Raises
    ------
    ConfigError
        It raised something, or returned something else.
    """
    try:
        given = call()
    except AuditorError:
        raise
    except Exception as error:
        raise ConfigError(f"{what} failed: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(given, wanted):
        raise ConfigError(f"{what} gave {type(given).__name__}, not {word}", hint=hint)
    return given
