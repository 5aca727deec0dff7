"""Influence products on a Dask cluster, through pyDVL's `DaskInfluenceCalculator`, with the solve done once.

Trap 10: pyDVL's calculators redo the solve for every pair of chunks. Here `z` is solved before, and only its inner
products with the training gradients are mapped over chunks. Each chunk is computed in closed form (a head) or by
forward mode (a network), as on one machine. So the result differs by floating-point order alone.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from typing import NoReturn

import dask.array as da
import numpy as np
import torch
from distributed import Client, LocalCluster
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from auditor.errors import EngineError
from auditor.influence.base import Array, HeadProblem, InfluenceEngine, Inputs, NetworkProblem, Problem
from auditor.influence.head import LinearHead, from_flat
from auditor.influence.jacobian import Network, take
from auditor.influence.pydvl.library import (
    DaskInfluenceCalculator,
    InfluenceFunctionModel,
    InfluenceMode,
    TorchNumpyConverter,
)

CHUNK_POINTS = 4096
"""Training points in one task."""

ATTEMPTS = 3
"""How often the products are started. Workers may die while the solution is sent, or all that held it may be gone."""

_CONNECT_SECONDS = 15


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Client]:
    """A client of a Dask scheduler.

    Parameters
    ----------
    address
        `tcp://host:port` of a running scheduler, or `local:N` for N workers started here and stopped at the end.

    Raises
    ------
    EngineError
        When the address makes no sense, nobody answers there, or its workers run more than one thread.
    """
    if not address.startswith("local:"):
        with _connect(address) as client:
            _check_threads(client, address)
            yield client
        return
    number = address.removeprefix("local:")
    if not number.isdecimal() or int(number) < 1:
        raise EngineError(f"'{address}' names no cluster", hint="write local:N with N workers, or tcp://host:port")
    with (
        LocalCluster(
            n_workers=int(number), threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as local,
        Client(local) as client,
    ):
        client.wait_for_workers(int(number))
        yield client


def dask_average(
    engine: InfluenceEngine,
    x: Inputs,
    y: Inputs,
    address: str | Client,
    *,
    weights: Array | None = None,
    chunk_points: int = CHUNK_POINTS,
) -> Array:
    """[N] average influence over a reference set, its products computed on a cluster.

    Parameters
    ----------
    engine
        Any engine that solves for a vector of parameters (all but `auto` on a network).
    x, y
        Reference points, as for `InfluenceEngine.average`.
    address
        As for `cluster`, or a client.
    weights
        How much each reference point counts, [n]. None: all alike.
    chunk_points
        Training points in one task.

    Raises
    ------
    EngineError
        When the engine does not solve for a vector, or the cluster loses its workers for good.
    """
    problem, factor = engine.average_factor(x, y, weights)
    products = FactorProducts(problem)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(cluster(address)) if isinstance(address, str) else address
        for attempt in range(ATTEMPTS):
            try:
                return _products(client, products, factor.double().cpu().numpy(), problem, chunk_points)
            except (FutureCancelledError, KilledWorker, CommClosedError) as error:
                if attempt == ATTEMPTS - 1:
                    raise EngineError(
                        f"the cluster lost its workers {ATTEMPTS} times: {error}",
                        hint="look at the workers' memory and logs",
                    ) from error
                client.wait_for_workers(1, timeout=60)
    raise AssertionError("unreachable")


class FactorProducts(InfluenceFunctionModel):  # type: ignore[misc]
    """What a worker needs: trained parameters, and inner products of solutions with the gradients of a chunk.

    It is one of pyDVL's influence models. It starts where the solve has ended: only `influences_from_factors` works.

    Parameters
    ----------
    problem
        Its trained parameters are kept, its points are not.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._head: tuple[Array, Array] | None = None
        self._model: torch.nn.Module | None = None
        if isinstance(problem, HeadProblem):
            self._head = problem.weight, problem.bias
            self._n_parameters = problem.weight.size + problem.bias.size
        else:
            self._model, self._n_parameters = problem.model, problem.n_parameters

    @property
    def n_parameters(self) -> int:
        return self._n_parameters

    @property
    def is_thread_safe(self) -> bool:
        return False

    @property
    def is_fitted(self) -> bool:
        return True

    def fit(self, data: object) -> FactorProducts:
        """Nothing to do: the parameters are known."""
        return self

    def influences_from_factors(
        self, z_test_factors: torch.Tensor, x: torch.Tensor, y: torch.Tensor, mode: InfluenceMode = InfluenceMode.Up
    ) -> torch.Tensor:
        """[k, n] inner products of `z_test_factors` [k, P] with the gradients of `x`, `y`."""
        if mode is not InfluenceMode.Up:
            raise EngineError("only influence by up-weighting is computed here")
        if self._head is not None:
            head = LinearHead(HeadProblem(x.numpy(), y.numpy(), *self._head))
            return torch.from_numpy(head.influences(from_flat(z_test_factors, head.n_classes)))
        assert self._model is not None
        network = Network(NetworkProblem(self._model, x, y))
        images, rows = network.place(x), []
        residuals = network.residuals(images, y)
        for z in z_test_factors.to(network.dtype):
            rows.append((network.push(images, z)[1].double() * residuals).sum(1))
        return torch.stack(rows)

    def _influence_factors(self, *_: object) -> NoReturn:
        raise EngineError("the solve is done before the products are mapped")

    def _influences(self, *_: object, **__: object) -> NoReturn:
        raise EngineError("the solve is done before the products are mapped")


def _products(client: Client, products: FactorProducts, factor: Array, problem: Problem, chunk_points: int) -> Array:
    """[N] inner products of the solution `factor` [1, P] with the training gradients, by the workers."""
    x, y = _chunked(problem, chunk_points)
    calculator = DaskInfluenceCalculator(products, TorchNumpyConverter(), client)
    z = da.from_array(factor, chunks=factor.shape)
    with warnings.catch_warnings():
        # The chunks travel with the task graph on purpose. The scheduler can then send them again to another worker.
        warnings.filterwarnings("ignore", message=".*large graph.*")
        lazy = calculator.influences_from_factors(z, x, y)
        answer: Array = client.compute(lazy, sync=True, retries=ATTEMPTS)[0]
    return np.asarray(answer, dtype=np.float64)


def _chunked(problem: Problem, chunk_points: int) -> tuple[da.Array, da.Array]:
    """Training points and labels as Dask arrays of the same chunks. No chunk holds a single point (trap 9)."""
    n = problem.n_points
    if n < 2:
        raise EngineError("one training point cannot be spread over a cluster", hint="leave --dask away")
    pieces = max(1, min(-(-n // max(2, chunk_points)), n // 2))
    edges = np.linspace(0, n, pieces + 1).astype(int)
    slices = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    if isinstance(problem, HeadProblem):
        parts = [np.array(problem.features[part]) for part in slices]
        labels = np.asarray(problem.labels)
    else:
        parts = [take(problem.images, part).cpu().numpy() for part in slices]
        labels = problem.labels.cpu().numpy()
    x = da.concatenate([da.from_array(part, chunks=part.shape) for part in parts])
    return x, da.from_array(labels, chunks=(x.chunks[0],))


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise EngineError(
            f"no Dask scheduler answers at {address}", hint="start one with `dask scheduler`, or use local:N"
        ) from error


def _check_threads(client: Client, address: str) -> None:
    """Refuse workers of several threads (trap 9: pyDVL's models are not thread-safe)."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise EngineError(f"the cluster at {address} has no workers", hint="start some with `dask worker --nthreads 1`")
    if any(worker["nthreads"] != 1 for worker in workers.values()):
        raise EngineError(
            f"workers of {address} run several threads", hint="start them with `dask worker --nthreads 1`"
        )
