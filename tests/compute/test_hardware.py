"""The device that torch computes on, and its threads."""

from __future__ import annotations

import pytest
import torch

from auditor.compute import hardware
from auditor.errors import ConfigError
from auditor.system import machine


def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.device("auto") == hardware.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device"):
        hardware.device("cuda")


def test_with_cuda_auto_takes_it_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.device("auto") == hardware.device("cuda") == "cuda"
    assert hardware.device("cpu") == "cpu"


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
    monkeypatch.setattr(torch, "get_num_threads", lambda: 100_000)
    hardware.set_threads()
    assert set_to == [machine.cores()], "more threads than cores only wait for each other"
    monkeypatch.delenv("OMP_NUM_THREADS")
    hardware.set_threads()
    assert set_to == [machine.cores()] * 2


def test_a_macs_gpu_is_taken_when_asked_for_alone_and_leaves_double_precision_to_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no Metal device"):
        hardware.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert (hardware.device("mps"), hardware.device("auto")) == ("mps", "cpu")
    assert [hardware.exact(name) for name in ("mps", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]
    assert [hardware.tried(name) for name in ("mps", "cpu", "cuda")] == [False, True, True]
    assert "mps" in str(hardware.arithmetic("mps")["processor"]) and hardware.available_bytes("mps") > 0
