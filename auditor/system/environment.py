"""Variables of the environment that other libraries read when they are imported, and that must not decide a run.

A notebook sets `MPLBACKEND` for every process it starts. The report's figures need no backend, yet matplotlib refuses
to be imported where it does not know the value. A `matplotlibrc` in the current folder is read in the same way.
torch imports tqdm, whose variables must be numbers, for bars that this program does not show.

Where another library refuses a value, the error names the library and its variables (`refused_import`).
"""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


def _plain() -> dict[str, str | None]:
    """What holds while matplotlib is imported; None for a variable that is taken away."""
    found = find_spec("matplotlib")
    places = [] if found is None else list(found.submodule_search_locations or [])
    own = [path for place in places if (path := Path(place) / "mpl-data" / "matplotlibrc").is_file()]
    return {"MPLBACKEND": None, "MATPLOTLIBRC": str(own[0]) if own else None}


_BARS = "TQDM_"
"""How the variables of tqdm begin."""

_CPUS = re.compile(r"\s*\d+(-\d+(:\d+)?)?([\s,]+\d+(-\d+(:\d+)?)?)*[\s,]*", re.ASCII)
"""What libgomp understands of GOMP_CPU_AFFINITY. With other words, and OMP_PROC_BIND beside them, it never ends."""

_PREFIXES = {"torch": ("TORCH", "PYTORCH"), "numpy": ("NPY_", "NUMPY_"), "sklearn": ("SKLEARN_", "SCIPY_ARRAY_API")}
"""How the variables begin that a library reads, where they do not begin with its name."""


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def settle() -> None:
    """Make the environment plain for this whole process, before torch is loaded. Only a process of ours may do this."""
    taken = [name for name in os.environ if name.startswith(_BARS)]
    if not _CPUS.fullmatch(os.environ.get("GOMP_CPU_AFFINITY", "0")):
        taken.append("GOMP_CPU_AFFINITY")
    _set({**_plain(), **dict.fromkeys(taken)})


def refused_import(error: BaseException) -> str:
    """Which library an error kept from being imported, and the variables that it may have read. Empty for other errors.

    Such an error names no variable: numpy, torch and dask read some at import, and refuse words that they do not know.
    """
    frames = traceback.extract_tb(error.__traceback__)
    at_import = [
        frame for frame in frames if frame.name == "<module>" and "site-packages" in Path(frame.filename).parts
    ]
    if not at_import or isinstance(error, ImportError):
        return ""
    parts = Path(at_import[-1].filename).parts
    library = parts[len(parts) - parts[::-1].index("site-packages")].removesuffix(".py")
    starts = _PREFIXES.get(library, (library.upper(),))
    read = sorted(name for name in os.environ if name.startswith(starts))
    names = [name for name in read if name in str(error)] or read
    said = f"the library {library} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    hint = f"unset {', '.join(names)}, or correct the value" if names else "install it again, or unset its variables"
    return f"{said.rstrip(': ')}\n  {hint}"


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
