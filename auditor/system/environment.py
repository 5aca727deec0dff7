"""Variables of the environment that other libraries read when they are imported, and that must not decide a run.

A notebook sets `MPLBACKEND` for every process it starts. The report's figures need no backend, yet matplotlib refuses
to be imported where it does not know the value. A `matplotlibrc` in the current folder is read in the same way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


def _plain() -> dict[str, str | None]:
    """What holds while matplotlib is imported; None for a variable that is taken away."""
    found = find_spec("matplotlib")
    places = [] if found is None else list(found.submodule_search_locations or [])
    own = [path for place in places if (path := Path(place) / "mpl-data" / "matplotlibrc").is_file()]
    return {"MPLBACKEND": None, "MATPLOTLIBRC": str(own[0]) if own else None}


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def settle() -> None:
    """Make the environment plain for this whole process. Only a process of ours may do this."""
    _set(_plain())


@contextlib.contextmanager
def plain_environment() -> Iterator[None]:
    """A plain environment inside the block, and the user's after it. For imports in somebody else's process."""
    values = _plain()
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)
