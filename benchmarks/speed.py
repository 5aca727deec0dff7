"""Average influence on tables-boats: the study's way, pyDVL on cached features, and this package's engine, in one run.

    python benchmarks/speed.py            # prints a Markdown section; --points 8 for a quick look

The study's way (pyDVL's `CgInfluence` over the whole frozen ResNet18, once for every test point) takes half a day on
two cores: its Hessian-vector products are timed, counted and multiplied, and the table says so. The count is that of
the same solver with the same tolerances on cached features, where the system is the same.

Everything runs on one thread, and seconds of processor time stand beside those on the clock: on a machine that others
use too, the clock measures them as well.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe
from scipy.stats import spearmanr
from torch import nn

from auditor.data import features
from auditor.influence import HeadProblem, engine
from auditor.model import backbone, resnet, training
from auditor.model.weights import load_weights
from auditor.sources import open_source

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
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
    head: training.Head
    feature_pass: Cost


def main() -> int:
    """Print the section; 2 where the shared data are absent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=N_TEST, help="test points that pyDVL solves for on features")
    parser.add_argument("--products", type=int, default=3, help="products to time through the whole network")
    options = parser.parse_args()
    if not (DATA / "tables-boats").is_dir():
        print(f"no data at {DATA}: set AUDITOR_DATA", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    setting = prepare()
    ours, average, matrix_cost, residual = time_ours(setting, options.points)
    upstream = time_upstream_on_features(setting, options.points)
    product = time_products(setting, options.products)
    print(section(setting, ours, average, matrix_cost, residual, upstream, product, options.points))
    return 0


def prepare() -> Setting:
    """Features by one pass (timed from file to feature), a head trained as the study trains it."""
    table = open_source(str(DATA / "tables-boats" / "train"))
    weights = load_weights(str(DATA / "weights" / "resnet18-tiny170.pth"))
    mean, std = backbone.normalisation("default", weights)
    transform = backbone.Transform(64, mean, std)
    network = resnet.build_network(weights, 2, 64, seed=0)
    extractor = resnet.feature_extractor(network)
    with Stopwatch() as watch:
        read = features.extract(table, transform, extractor)
    feature_pass = watch.cost.times((N_TRAIN + N_TEST) / len(read.rows))
    pixels = features.extract(table, transform, None, keep_pixels=True).pixels
    assert pixels is not None and read.values is not None
    codes = table.frame["label"].astype("category").cat.codes.to_numpy().astype(np.int64)[read.rows]
    order = np.random.default_rng(0).permutation(len(codes))
    train, test = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_TEST]
    head = training.train_head(read.values[train], codes[train], 2, training.Schedule(50, 1e-3, 768, 0))
    with torch.no_grad():
        network.fc.weight.copy_(torch.as_tensor(head.weight))
        network.fc.bias.copy_(torch.as_tensor(head.bias))
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    return Setting(network, pixels, read.values, codes, train, test, head, feature_pass)


def time_ours(s: Setting, n_points: int) -> tuple[Cost, np.ndarray, Cost, float]:
    """Median cost of an average, the average over `n_points`, median cost of the full matrix, the residual."""
    problem = HeadProblem(s.values[s.train], s.labels[s.train], s.head.weight, s.head.bias)
    x, y = s.values[s.test], s.labels[s.test]
    found = engine(problem, "auto", DAMPING)
    average = found.average(x[:n_points], y[:n_points])
    seconds = median_cost(lambda: engine(problem, "auto", DAMPING).average(x, y))
    matrix_cost = median_cost(lambda: engine(problem, "auto", DAMPING).rows(x, y))
    return seconds, average, matrix_cost, found.solves[0].relative_residual


@dataclass(frozen=True)
class Upstream:
    """What pyDVL's defaults did on cached features: cost and products a test point, and the rows."""

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
        rows = influence.influences(torch.as_tensor(s.values[test]), torch.as_tensor(s.labels[test]), *train)
    return Upstream(
        watch.cost.times(1 / len(test)), counted.calls / len(test), rows.detach().numpy().astype(np.float64)
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
    """Median cost, after one call that does not count."""
    work()
    costs = []
    for _ in range(repeats):
        with Stopwatch() as watch:
            work()
        costs.append(watch.cost)
    return Cost(float(np.median([c.wall for c in costs])), float(np.median([c.cpu for c in costs])))


def section(
    s: Setting,
    ours: Cost,
    average: np.ndarray,
    matrix: Cost,
    residual: float,
    upstream: Upstream,
    product: Cost,
    n_points: int,
) -> str:
    """The Markdown section."""
    study = product.times(upstream.products * N_TEST)
    on_features = upstream.cost.times(N_TEST)
    total = Cost(s.feature_pass.wall + ours.wall, s.feature_pass.cpu + ours.cpu)
    how = f"{product.cpu:.2f} s a product x {upstream.products:.0f} products a test point x {N_TEST}; not run"
    rows = [
        (f"the study's: pyDVL CG through the whole network, {N_TEST} solves", study, how),
        (f"pyDVL CG on cached features, {N_TEST} solves", on_features, f"run on {n_points} of {N_TEST} test points"),
        (f"feature pass, files to features, {N_TRAIN + N_TEST} images", s.feature_pass, "run"),
        ("ours, average over all test points", ours, "median of 5, engine set-up counted in"),
        (f"ours, the full {N_TEST} x {N_TRAIN} matrix", matrix, "median of 5, engine set-up counted in"),
    ]
    lines = [
        "## Speed: average influence on tables-boats",
        "",
        describe(),
        "",
        f"{N_TRAIN} training and {N_TEST} test images of 64 x 64 pixels, two classes, damping {DAMPING:g}, one thread; "
        f"load average at the end {os.getloadavg()[0]:.1f} (others used the machine where it is above 1).",
        "",
        "| way | processor seconds | seconds on the clock | how measured |",
        "| --- | --- | --- | --- |",
        *[f"| {what} | {_number(cost.cpu)} | {_number(cost.wall)} | {text} |" for what, cost, text in rows],
        "",
        f"- Ours with the feature pass against the study's way: {study.cpu / total.cpu:,.0f} times faster in processor "
        f"seconds, {study.wall / total.wall:,.0f} on the clock (target 20,000).",
        f"- Ours against pyDVL on cached features: {on_features.cpu / ours.cpu:,.0f} times faster in processor "
        f"seconds, {on_features.wall / ours.wall:,.0f} on the clock (target 1,000).",
        f"- The full matrix after features: {matrix.cpu:.2f} processor seconds, {matrix.wall:.2f} s on the clock "
        "(target 1 s).",
    ]
    theirs = upstream.rows.mean(0)
    error = np.abs(average - theirs).max() / np.abs(theirs).max()
    correlation = float(spearmanr(average, theirs).statistic)
    lines.append(
        f"- Same values, average over the {n_points} test points pyDVL ran on: largest difference {error:.1e} of the "
        f"largest value (target 1e-4), Spearman {correlation:.6f} (target 0.9999). Our residual is {residual:.0e}; "
        "pyDVL, in single precision, reports none."
    )
    return "\n".join(lines)


def _number(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"


if __name__ == "__main__":
    sys.exit(main())
