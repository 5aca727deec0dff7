"""Things from elsewhere, by name: what other packages declare as entry points, and what a program registers.

Our own things stand in tables of their rooms. Their names cannot be taken.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import secrets
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from auditor.errors import AuditorError, ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Thing = TypeVar("Thing")


class Plugins(Generic[Thing]):
    """Things of one kind that do not come with this package, by name.

    Parameters
    ----------
    group
        The entry-point group in which other packages declare theirs.
    what
        What one thing is, for messages: "rule", "output format".
    own
        Names of this package's own things.
    """

    def __init__(self, group: str, what: str, own: Collection[str]) -> None:
        self._group, self._what, self._own = group, what, own
        self._registered: dict[str, Thing] = {}

    def register(self, name: str, thing: Thing) -> contextlib.ExitStack:
        """Add a thing for this process.

        Returns
        -------
        A context that removes the thing at its end. Drop it to keep the thing.

        Raises
        ------
        ConfigError
            The name is taken.
        """
        if name in self._own or name in self.names():
            raise ConfigError(f"the {self._what} '{name}' is there already", hint="choose another name")
        self._registered[name] = thing
        registration = contextlib.ExitStack()
        registration.callback(self.remove, name)
        return registration

    def remove(self, name: str) -> None:
        """Take away what `register` added."""
        self._registered.pop(name, None)

    def names(self) -> list[str]:
        """Names of everything from elsewhere, sorted."""
        return sorted({*self._registered, *_declared(self._group, tuple(sys.path))} - {*self._own})

    def get(self, name: str) -> Thing:
        """The thing of a name that `names` lists.

        Raises
        ------
        ConfigError
            Its package cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        point = _declared(self._group, tuple(sys.path))[name]
        try:
            thing: Thing = point.load()
        except Exception as error:  # another package's code may raise anything, and the user needs its name
            message = f"the {self._what} '{name}' cannot be loaded from {point.value}: {error}"
            raise ConfigError(message, hint="install it again, or remove its package") from error
        return thing

    def called(self, name: str, wanted: type[Thing], word: str) -> Thing:
        """The same, of the wanted type and with that very `name`.

        Parameters
        ----------
        word
            Where that type stands, for messages.

        Raises
        ------
        ConfigError
            As `get`; or it is something else, or has another name.
        """
        thing: object = self.get(name)
        if not isinstance(thing, wanted) or getattr(thing, "name", None) != name:
            raise ConfigError(
                f"the entry point '{name}' of {self._group} is not a {self._what} of that name",
                hint=f"tell those who wrote it; it must name an {word}",
            )
        return thing


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


def source_hash(function: object) -> str:
    """The sha256 of the file that holds a function from elsewhere: it tells two versions apart in kept work.

    A function without a file (from a prompt, or a callable object) answers differently each time. Nothing kept is then
    taken over.
    """
    try:
        return hashlib.sha256(Path(inspect.getfile(function)).read_bytes()).hexdigest()  # type: ignore[arg-type]
    except (OSError, TypeError):
        return secrets.token_hex()


@functools.lru_cache(maxsize=8)
def _declared(group: str, path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name. The search takes milliseconds, so it is done once for each `sys.path`."""
    import importlib.metadata  # takes 26 ms, and most commands never ask

    return {point.name: point for point in importlib.metadata.entry_points(group=group)}
