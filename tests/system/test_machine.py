"""Device, threads and versions."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from auditor.compute import hardware
from auditor.errors import ConfigError
from auditor.system import machine, memory


def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.device("auto") == hardware.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device"):
        hardware.device("cuda")


def test_with_cuda_auto_takes_it_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.device("auto") == hardware.device("cuda") == "cuda"
    assert hardware.device("cpu") == "cpu"


def test_cores_are_those_this_process_may_use() -> None:
    assert machine.cores() == len(os.sched_getaffinity(0)) == machine.describe()["cores"]


def test_small_work_gets_one_thread_and_large_work_all(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    with hardware.threads_for(800 * 900):
        assert set_to == [1]
    assert set_to == [1, 16]
    with hardware.threads_for(hardware.SMALL + 1):
        assert set_to == [1, 16]


def test_a_number_of_threads_from_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    hardware.set_threads()
    assert set_to == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    hardware.set_threads()
    assert set_to == [machine.cores()]


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
