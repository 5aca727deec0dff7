"""Digests of what decides a piece of work: JSON values, arrays, and this program's own code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = Path(__file__).parents[1]
"""The whole package. A change in any of its files makes kept stages another version's."""


@cache
def code() -> str:
    """SHA-256 over this package's modules, so that no other version of the program takes a stage over."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def digest(parts: list[Any]) -> str:
    """SHA-256, in hexadecimal, over JSON values and arrays."""
    found = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            found.update(len(piece).to_bytes(8, "little"))
            found.update(piece)
    return found.hexdigest()


def _pieces(part: Any) -> Iterator[bytes | memoryview]:
    if not isinstance(part, np.ndarray):
        yield json.dumps(part, sort_keys=True).encode()
        return
    yield f"{part.dtype.str}{part.shape}".encode()
    if part.dtype.hasobject:
        yield json.dumps(part.tolist()).encode()
    else:
        yield np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
