"""Cores of the machine, and memory that is given back to it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from auditor.system import machine, memory


def test_cores_are_those_this_process_may_use() -> None:
    assert machine.cores() == len(os.sched_getaffinity(0)) == machine.describe()["cores"]


@pytest.fixture
def trimmer() -> Iterator[None]:
    memory._trimmer.cache_clear()
    yield
    memory._trimmer.cache_clear()


@pytest.mark.usefixtures("trimmer")
def test_freed_memory_is_given_back_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=asked.append))
    memory.give_back()
    memory.give_back()
    assert asked == [0, 0], "all that is free, every time"


@pytest.mark.usefixtures("trimmer")
@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: object) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refused)
    memory.give_back()
    assert memory._trimmer() is None
