"""Pieces side by side: in order, on as many threads as allowed, with equal bytes, and errors come through."""

from __future__ import annotations

import threading

import pytest
import torch

from auditor.compute import side_by_side
from auditor.compute.hardware import one_thread


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_results_stand_in_order_and_both_cores_work() -> None:
    met = threading.Barrier(2, timeout=20)

    def work(number: int) -> tuple[int, int]:
        met.wait()  # nobody passes alone
        return number * number, torch.get_num_threads()

    with one_thread():
        assert side_by_side.each(work, range(6)) == [(n * n, 1) for n in range(6)]


@pytest.mark.parametrize("why", ["threads", "gpu", "told", "one"])
def test_pieces_come_one_after_another_where_they_must(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "told":
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(2 if why == "threads" else 1)
    try:
        found = side_by_side.each(
            lambda n: threading.current_thread().name,
            range(1 if why == "one" else 4),
            device="cuda" if why == "gpu" else "cpu",
        )
    finally:
        torch.set_num_threads(before)
    assert set(found) == {threading.current_thread().name}


def test_one_core_and_two_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(200, 60, generator=torch.Generator().manual_seed(0))

    def work(part: int) -> bytes:
        return torch.linalg.svd(x[part * 50 : part * 50 + 50]).U.numpy().tobytes()

    with one_thread():
        two = side_by_side.each(work, range(4))
        monkeypatch.setattr(side_by_side, "cores", lambda: 1)
        assert side_by_side.each(work, range(4)) == two


def test_an_error_comes_through_and_the_rest_is_left_out() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError(str(number))

    with one_thread(), pytest.raises(ValueError, match="0"):
        side_by_side.each(work, range(1000))
    assert len(begun) < 1000


def test_large_work_keeps_all_threads() -> None:
    before = torch.get_num_threads()
    with side_by_side.pieces_for(side_by_side.MOST + 1):
        assert torch.get_num_threads() == before
    with side_by_side.pieces_for(side_by_side.MOST):
        assert torch.get_num_threads() == 1
