"""Products on a Dask cluster equal those of one process, also when a worker is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
import with_pydvl  # noqa: F401  # without pyDVL these tests are skipped
from distributed.comm.core import CommClosedError
from torch import nn

from auditor.errors import EngineError
from auditor.influence import HeadProblem, NetworkProblem, engine
from auditor.influence.gauss_newton import GaussNewtonCg
from auditor.influence.pydvl import cluster as cluster_module
from auditor.influence.pydvl.cluster import _chunked, cluster, dask_average


@pytest.fixture(scope="module")
def client():
    with cluster("local:2") as found:
        yield found


def problem(n_points: int = 101, n_classes: int = 3, n_features: int = 5):
    rng = np.random.default_rng(0)
    head = HeadProblem(
        rng.normal(size=(n_points, n_features)).astype(np.float32),
        rng.integers(0, n_classes, n_points),
        rng.normal(size=(n_classes, n_features)),
        rng.normal(size=n_classes),
    )
    return head, rng.normal(size=(6, n_features)), rng.integers(0, n_classes, 6)


@pytest.mark.parametrize("name", ["auto", "cg", "nystroem"])
def test_the_same_as_on_one_process(client, name):
    head, x, y = problem()
    found = engine(head, name, 0.1)
    expected = found.average(x, y)
    for chunk_points in (10, 1000, 1):
        np.testing.assert_allclose(
            dask_average(found, x, y, client, chunk_points=chunk_points), expected, rtol=1e-9, atol=1e-12
        )
    assert all(s.converged for s in found.solves)


def test_a_network(client):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double().eval()
    data = NetworkProblem(model, torch.randn(11, 1, 3, 3).double(), torch.arange(11) % 3)
    x, y = torch.randn(4, 1, 3, 3).double(), torch.tensor([0, 1, 2, 1])
    exact = engine(data, "auto", 0.2)
    by_cg = GaussNewtonCg(exact.network, 0.2)
    np.testing.assert_allclose(dask_average(by_cg, x, y, client, chunk_points=4), by_cg.average(x, y), rtol=1e-6)
    with pytest.raises(EngineError, match="does not solve for a vector"):
        dask_average(exact, x, y, client)


def test_a_killed_worker_costs_time_and_not_the_result(client):
    head, x, y = problem(n_points=600)
    found = engine(head, "auto", 0.1)
    expected = found.average(x, y)
    victim = min(client.run(os.getpid).values())
    done_at_kill = []

    def chunks_done() -> int:
        tasks = list(client.cluster.scheduler.tasks.values())
        return sum(task.state == "memory" and task.nbytes < 1000 for task in tasks)

    def kill() -> None:
        give_up = time.monotonic() + 60
        while chunks_done() < 10 and time.monotonic() < give_up:
            time.sleep(0.005)
        done_at_kill.append(chunks_done())
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    answer = dask_average(found, x, y, client, chunk_points=4)
    killer.join()
    assert 10 <= done_at_kill[0] < 150
    np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-12)
    client.wait_for_workers(2, timeout=120)
    assert victim not in client.run(os.getpid).values()


@pytest.mark.parametrize("failures", [1, cluster_module.ATTEMPTS])
def test_workers_lost_while_the_solution_is_sent(client, monkeypatch, failures):
    head, x, y = problem()
    found = engine(head, "auto", 0.1)
    original, calls = cluster_module._products, []

    def flaky(*args):
        calls.append(args)
        if len(calls) <= failures:
            raise CommClosedError("the stream is closed")
        return original(*args)

    monkeypatch.setattr(cluster_module, "_products", flaky)
    if failures < cluster_module.ATTEMPTS:
        np.testing.assert_allclose(dask_average(found, x, y, client), found.average(x, y), rtol=1e-9, atol=1e-12)
        assert len(calls) == failures + 1
    else:
        with pytest.raises(EngineError, match="lost its workers 3 times"):
            dask_average(found, x, y, client)


@pytest.mark.parametrize(("n", "chunk_points"), [(2, 1), (3, 2), (101, 10), (101, 100), (5, 4)])
def test_no_chunk_holds_a_single_point(n, chunk_points):
    head, _, _ = problem(n_points=n)
    x, y = _chunked(head, chunk_points)
    assert x.chunks[0] == y.chunks[0] and sum(x.chunks[0]) == n and min(x.chunks[0]) >= 2
    assert max(x.chunks[0]) <= max(3, chunk_points)
    np.testing.assert_array_equal(x.compute(scheduler="sync"), head.features)


@pytest.mark.parametrize("address", ["local:", "local:0", "local:two", "local:-1"])
def test_addresses_that_make_no_sense(address):
    with pytest.raises(EngineError, match="names no cluster"), cluster(address):
        pass


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.cluster._CONNECT_SECONDS", 1)
    with pytest.raises(EngineError, match="no Dask scheduler answers"), cluster("tcp://127.0.0.1:1"):
        pass


def test_workers_are_imported_without_a_word() -> None:
    # Each worker is a process of its own that imports pyDVL anew; its warnings would reach the user once a worker.
    command = [sys.executable, "-c", "import auditor.influence.pydvl.cluster, auditor.influence.pydvl.matrix"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
