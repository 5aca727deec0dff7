"""Device, threads and versions."""

from __future__ import annotations

import os

import pytest
import torch

from auditor import machine
from auditor.errors import ConfigError


def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.device("auto") == machine.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device"):
        machine.device("cuda")


def test_with_cuda_auto_takes_it_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.device("auto") == machine.device("cuda") == "cuda"
    assert machine.device("cpu") == "cpu"


def test_cores_are_those_this_process_may_use() -> None:
    assert machine.cores() == len(os.sched_getaffinity(0)) == machine.describe()["cores"]


def test_small_work_gets_one_thread_and_large_work_all(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    with machine.threads_for(800 * 900):
        assert set_to == [1]
    assert set_to == [1, 16]
    with machine.threads_for(machine.SMALL + 1):
        assert set_to == [1, 16]


def test_a_number_of_threads_from_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    machine.set_threads()
    assert set_to == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    machine.set_threads()
    assert set_to == [machine.cores()]
