"""Average influence on tables-boats: the study's way, pyDVL on cached features, and this package's engine, in one run.

    python benchmarks/speed.py                                    # writes results/speed.csv
    python benchmarks/speed.py --points 8 --results bench-out     # a quick look

The study's way is pyDVL's `CgInfluence` over the whole frozen ResNet18, once for every test point. It takes half a day
on two cores, so it is not run: its Hessian-vector products are timed, counted and multiplied, and the table says so.
The count comes from the same solver with the same tolerances on cached features, where the system is the same.

Everything runs on one thread. Processor seconds stand beside seconds on the clock, because the clock also measures the
other programs on a machine that is shared.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import rows
import torch
from scipy.stats import spearmanr
from shared import DATA, WEIGHTS, need
from torch import nn

from auditor.data import features
from auditor.influence import HeadProblem, engine
from auditor.model import backbone, resnet, training
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.weights import load_weights
from auditor.sources import open_source

DAMPING = 1e-3
N_TRAIN, N_TEST = 700, 96
"""As in the reference study (707 and 96)."""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of processor time."""

    wall: float
    cpu: float

    def times(self, factor: float) -> Cost:
        """The cost of doing it `factor` times."""
        return Cost(self.wall * factor, self.cpu * factor)


class Stopwatch:
    """Measures the block it manages."""

    def __enter__(self) -> Stopwatch:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cost = Cost(time.perf_counter() - self._start[0], time.process_time() - self._start[1])


@dataclass(frozen=True)
class Setting:
    """The study's situation: a frozen backbone, a trained head, features of both splits, and the pass's cost."""

    network: nn.Module
    pixels: features.Pixels
    values: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    head: SoftmaxHead
    feature_pass: Cost


def main() -> None:
    """Measure, write the tables and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=N_TEST, help="test points that pyDVL solves for on features")
    parser.add_argument("--products", type=int, default=3, help="products to time through the whole network")
    rows.add_options(parser)
    options = parser.parse_args()
    need("tables-boats")
    torch.set_num_threads(1)
    setting = prepare()
    ours = time_ours(setting, options.points)
    upstream = time_upstream_on_features(setting, options.points)
    product = time_products(setting, options.products)
    ways, agree = table(setting, ours, upstream, product), agreement(ours, upstream)
    rows.append("speed", ways, options.results)
    rows.append("speed_agreement", agree, options.results)
    print(rows.markdown(ways), rows.markdown(agree), targets(ways.set_index("way")["processor seconds"]), sep="\n\n")


def prepare() -> Setting:
    """Features by one pass (timed from file to feature), and a head trained as the study trains it."""
    table = open_source(str(DATA / "tables-boats" / "train"))
    kind = resnet.ResNet18()
    weights = load_weights(str(WEIGHTS), kind)
    mean, std = kind.normalisation("default", weights)
    transform = backbone.Transform(64, mean, std)
    network = kind.build(weights, 2, 64, seed=0)
    extractor = resnet.feature_extractor(network)
    with Stopwatch() as watch:
        read = features.extract(table, transform, extractor)
    feature_pass = watch.cost.times((N_TRAIN + N_TEST) / len(read.rows))
    pixels = features.extract(table, transform, None, features.ReadOptions(keep_pixels=True)).pixels
    assert pixels is not None and read.values is not None
    codes = table.frame["label"].astype("category").cat.codes.to_numpy().astype(np.int64)[read.rows]
    order = np.random.default_rng(0).permutation(len(codes))
    train, test = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_TEST]
    head, _ = training.train_head(read.values[train], codes[train], 2, training.Schedule(50, 1e-3, 768, 0))
    with torch.no_grad():
        network.fc.weight.copy_(torch.as_tensor(head.weight))
        network.fc.bias.copy_(torch.as_tensor(head.bias))
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    return Setting(network, pixels, read.values, codes, train, test, head, feature_pass)


@dataclass(frozen=True)
class Ours:
    """What this package's engine did: median costs of an average and of the full matrix, and its answer.

    `average` [N] is over the test points that pyDVL is run on, so that the two can be compared.
    """

    average_cost: Cost
    matrix_cost: Cost
    average: np.ndarray
    residual: float


def time_ours(s: Setting, n_points: int) -> Ours:
    """The engine for an average over all test points, and for the full matrix. Each run sets the engine up anew."""
    problem = HeadProblem(s.values[s.train], s.labels[s.train], s.head.weight, s.head.bias)
    x, y = s.values[s.test], s.labels[s.test]
    found = engine(problem, "auto", DAMPING)
    average = found.average(x[:n_points], y[:n_points])
    average_cost = median_cost(lambda: engine(problem, "auto", DAMPING).average(x, y))
    matrix_cost = median_cost(lambda: engine(problem, "auto", DAMPING).rows(x, y))
    return Ours(average_cost, matrix_cost, average, found.solves[0].relative_residual)


@dataclass(frozen=True)
class Upstream:
    """What pyDVL's defaults did on cached features: cost and products for each test point, and rows [points, N]."""

    cost: Cost
    products: float
    rows: np.ndarray


def time_upstream_on_features(s: Setting, n_points: int) -> Upstream:
    """`CgInfluence` with its own tolerances on `nn.Linear` over cached features, as `influences` computes rows."""
    from pydvl.influence.torch import CgInfluence

    fc = s.network.fc
    train = torch.as_tensor(s.values[s.train]), torch.as_tensor(s.labels[s.train])
    influence = CgInfluence(fc, nn.functional.cross_entropy, DAMPING).fit([train])
    hessian = influence.block_mapper.composable_block_dict[""].op.operator
    counted = Counted(hessian.batch_operation.apply)
    hessian.batch_operation.apply = counted
    test = s.test[:n_points]
    with Stopwatch() as watch:
        found = influence.influences(torch.as_tensor(s.values[test]), torch.as_tensor(s.labels[test]), *train)
    return Upstream(
        watch.cost.times(1 / len(test)), counted.calls / len(test), found.detach().numpy().astype(np.float64)
    )


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


def time_products(s: Setting, repeats: int) -> Cost:
    """Median cost of one of pyDVL's Hessian-vector products through the whole frozen network."""
    from pydvl.influence.torch import CgInfluence

    images, labels = s.pixels.batch(s.train), torch.as_tensor(s.labels[s.train])
    influence = CgInfluence(s.network, nn.functional.cross_entropy, DAMPING).fit([(images, labels)])
    operator = influence.block_mapper.composable_block_dict[""].op.operator
    vector = torch.randn(operator.input_size, generator=torch.Generator().manual_seed(0))
    return median_cost(lambda: operator.apply(vector), repeats)


def median_cost(work: Callable[[], object], repeats: int = 5) -> Cost:
    """Median cost of `repeats` calls, after one call that does not count."""
    work()
    costs = []
    for _ in range(repeats):
        with Stopwatch() as watch:
            work()
        costs.append(watch.cost)
    return Cost(float(np.median([c.wall for c in costs])), float(np.median([c.cpu for c in costs])))


def table(s: Setting, ours: Ours, upstream: Upstream, product: Cost) -> pd.DataFrame:
    """One line a way: processor seconds, seconds on the clock, and how it was measured."""
    study, on_features = product.times(upstream.products * N_TEST), upstream.cost.times(N_TEST)
    how = f"{product.cpu:.2f} s a product x {upstream.products:.0f} products a test point x {N_TEST}; not run"
    points = f"run on {len(upstream.rows)} of {N_TEST} test points"
    median = "median of 5, engine set-up included"
    lines = [
        (f"the study's: pyDVL CG through the whole network, {N_TEST} solves", study, how),
        (f"pyDVL CG on cached features, {N_TEST} solves", on_features, points),
        (f"feature pass, files to features, {N_TRAIN + N_TEST} images", s.feature_pass, "run"),
        ("ours, average over all test points", ours.average_cost, median),
        (f"ours, the full {N_TEST} x {N_TRAIN} matrix", ours.matrix_cost, median),
    ]
    columns = ["way", "processor seconds", "seconds", "how measured"]
    return pd.DataFrame([(way, cost.cpu, cost.wall, how) for way, cost, how in lines], columns=columns).assign(
        load=round(os.getloadavg()[0], 1)
    )


def agreement(ours: Ours, upstream: Upstream) -> pd.DataFrame:
    """How far our average is from pyDVL's, over the test points that pyDVL ran on."""
    theirs = upstream.rows.mean(0)
    line = {
        "test points": len(upstream.rows),
        "largest difference, of the largest value": np.abs(ours.average - theirs).max() / np.abs(theirs).max(),
        "Spearman": float(spearmanr(ours.average, theirs).statistic),
        "our residual": ours.residual,
    }
    return pd.DataFrame([line])


def targets(seconds: pd.Series) -> str:
    """The ratios that have targets, in processor seconds of the table's lines."""
    study, on_features, feature_pass, average, matrix = seconds
    return (
        f"- Ours with the feature pass against the study's way: {study / (feature_pass + average):,.0f} times faster "
        "(target 20,000).\n"
        f"- Ours against pyDVL on cached features: {on_features / average:,.0f} times faster (target 1,000).\n"
        f"- The full matrix after features: {matrix:.2f} s (target 1 s)."
    )


if __name__ == "__main__":
    main()
