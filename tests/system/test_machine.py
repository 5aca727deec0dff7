"""Cores of the machine, and memory that is given back to it."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.system import machine, memory


def test_cores_are_those_this_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_QUOTA", str(tmp_path / "none"))
    monkeypatch.setattr(machine, "_OLD", str(tmp_path / "none"))
    assert machine.cores() == len(os.sched_getaffinity(0)) == machine.describe()["cores"]


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("1600000 100000", 8), ("0 0", 8), ("nonsense", 8)],
)
def test_a_container_that_pays_for_fewer_cores_has_fewer(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda which: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_QUOTA", str(tmp_path / "cpu.max"))
    monkeypatch.setattr(machine, "_OLD", str(tmp_path))
    (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="ascii")
    assert machine.cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [(-1, 8), (150000, 2)])
def test_the_first_version_of_control_groups_says_it_elsewhere(
    quota: int, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda which: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_QUOTA", str(tmp_path / "none"))
    monkeypatch.setattr(machine, "_OLD", str(tmp_path))
    (tmp_path / "cpu.cfs_quota_us").write_text(f"{quota}\n", encoding="ascii")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert machine.cores() == cores


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


@pytest.mark.parametrize(("resident", "searches"), [(899.0, 0), (901.0, 1)])
def test_circles_are_looked_for_where_much_is_held(
    resident: float, searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    monkeypatch.setattr(memory, "MUCH", 900.0)
    monkeypatch.setattr(memory, "memory_mb", lambda: resident)
    monkeypatch.setattr(gc, "collect", lambda: searched.append(1))
    memory.give_back()
    assert len(searched) == searches


@pytest.mark.usefixtures("trimmer")
@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: object) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refused)
    memory.give_back()
    assert memory._trimmer() is None
