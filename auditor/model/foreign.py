"""A user's code in our process: what its errors say in one line, and torch's settings as they were before it."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch

from auditor.system.files import reason
from auditor.system.text import plain

LONGEST = 200
"""Characters of another program's error in a message of ours."""

_SPEAKING = (RuntimeError, ValueError, AssertionError, OSError, ImportError, SyntaxError)
"""Errors whose text says what is wrong. Of others, such as a `KeyError`, the kind must be named too."""


def words(error: BaseException, file: Path | None = None) -> str:
    """An error of foreign code in one line, with the line of `file` where it came up."""
    text = next((line.strip() for line in reason(error).splitlines() if line.strip()), type(error).__name__)
    if not isinstance(error, _SPEAKING) and type(error).__name__ not in text:
        text = f"{type(error).__name__}: {text}"
    return plain(text, LONGEST) + (_where(error, file) if file is not None else "")


def _where(error: BaseException, file: Path) -> str:
    """The last line of a file that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == file.name]
    return f" ({plain(file.name)}, line {lines[-1]})" if lines else ""


@contextlib.contextmanager
def untouched(seed: int = 0) -> Iterator[None]:
    """Run foreign code: torch's generator begins at a seed, and afterwards torch's settings are what they were.

    A network that draws its own parameters is so the same network every time.
    """
    dtype, device, threads = torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(torch.is_grad_enabled()):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            if torch.get_default_device() != device:
                torch.set_default_device(device)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
