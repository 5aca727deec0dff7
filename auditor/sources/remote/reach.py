"""The leave to read addresses, and how far it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.errors import SourceError
from auditor.system.text import display


def _silent(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Reach:
    """A person named an address, so it may be read.

    Attributes
    ----------
    folder
        The cache folder where copies lie; empty for the user's.
    limit
        Bytes that copies may take there. With 0 none is added.
    say
        Tells a person what is being fetched.
    """

    folder: str = ""
    limit: int = 0
    say: Callable[[str], None] = field(default=_silent, compare=False, repr=False)


def unnamed(shown: str) -> SourceError:
    """The error for an address that nobody named."""
    return SourceError(
        f"{display(shown)} lies elsewhere, and it is read only where a command names it",
        hint=f"say --source {display(shown)}, or fetch the data and say where they lie with --source",
    )
