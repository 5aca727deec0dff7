"""An audit on a GPU beside the same audit on the processor: the same ranking, and what each takes.

Needs the shared data (`AUDITOR_DATA`, default `../shared/data`) and a GPU that torch sees. Prints Markdown; nothing is
written. Parts: `forward` (the backbone in three precisions), `engines` (every engine on one head) and `audits`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe
from scipy.stats import spearmanr

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
WEIGHTS = DATA / "weights" / "resnet18-tiny170.pth"
DEVICES = ("cpu", "cuda")
AUDITS: dict[str, tuple[str, dict[str, Any]]] = {
    "tables-boats": ("tables-boats", {}),
    "tiny10": ("tiny10", {}),
    "tables-boats, layer4 and head trained": ("tables-boats", {"train": "layers:layer4,fc", "epochs": 5, "repeats": 1}),
}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["forward", "engines", "audits"])
    parser.add_argument("--only", default="", help="audits whose name contains this")
    parser.add_argument("--devices", nargs=2, default=DEVICES, help="what is compared; cpu cpu tries the script")
    arguments = parser.parse_args()
    if not DATA.is_dir() or ("cuda" in arguments.devices and not torch.cuda.is_available()):
        print(f"needs the shared data at {DATA} (AUDITOR_DATA) and a GPU that torch sees", file=sys.stderr)
        return 2
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(describe(), flush=True)
    for part in arguments.parts:
        print(f"\n### {part}\n", flush=True)
        for line in PARTS[part](tuple(arguments.devices), arguments.only):
            print(line, flush=True)
    return 0


def forward(devices: tuple[str, ...], only: str) -> Iterator[str]:
    """Reading 5,000 images against the backbone in three precisions."""
    from auditor.compute import hardware
    from auditor.data import features
    from auditor.model import backbone, resnet
    from auditor.model.weights import load_weights
    from auditor.sources import open_source

    weights = load_weights(str(WEIGHTS))
    transform = backbone.Transform(64, *backbone.normalisation("default", weights))
    table = open_source(str(DATA / "tiny10" / "train"))
    start = time.perf_counter()
    pixels = features.extract(table, transform, None, keep_pixels=True).pixels
    assert pixels is not None
    n = len(pixels.values)
    yield "| what | seconds for 5,000 images | largest difference from the processor's, of the largest feature |"
    yield "| --- | ---: | ---: |"
    yield f"| reading and decoding | {(time.perf_counter() - start) * 5000 / n:.2f} | |"
    network = resnet.layered_extractor(resnet.build_network(weights, 10, 64, seed=0))
    exact: np.ndarray | None = None
    for device, name, context in [
        (devices[0], "float32", hardware.repeatable),
        (devices[1], "float32, as audits run", hardware.repeatable),
        (devices[1], "TF32", lambda: torch.backends.cudnn.flags(enabled=True, allow_tf32=True)),
        (devices[1], "bfloat16", lambda: torch.autocast(devices[1], dtype=torch.bfloat16)),
    ]:
        with context():
            run = _forward(network.to(device), transform, pixels.values, device)
            seconds = _seconds(run, device)
            found = run()
        exact = found if exact is None else exact
        error = float(np.abs(found - exact).max() / np.abs(exact).max())
        yield f"| {device}, {name} | {seconds * 5000 / n:.2f} | {error:.1e} |"


def _forward(network: Any, transform: Any, pixels: np.ndarray, device: str) -> Callable[[], np.ndarray]:
    from auditor.data import features

    return lambda: features.forward(network, transform, pixels, device)


def _seconds(run: Callable[[], Any], device: str) -> float:
    """On the clock, the second time."""
    for _ in range(2):
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return seconds


def engines(devices: tuple[str, ...], only: str) -> Iterator[str]:
    """Average influence of every engine on a head over tables-boats' features."""
    from backbone import features as read

    from auditor.config import ENGINES
    from auditor.influence import HeadProblem
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    paths = sorted(str(p.relative_to(DATA / "tables-boats")) for p in (DATA / "tables-boats").rglob("*.JPEG"))
    y = np.array([path.split("/")[1] == "boats" for path in paths], dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    with tempfile.TemporaryDirectory() as cache:
        x = read(DATA, "tables-boats", paths, Path(cache))
    x, y, cut = Scaling.of(x)(x)[order], y[order], len(y) - 96
    head = SoftmaxHead.train(x[:cut], y[:cut], 2, 0.1)
    problem = HeadProblem(x[:cut], y[:cut], head.weight, head.bias)
    yield f"| engine | seconds, {devices[0]} | seconds, {devices[1]} | largest difference | Spearman |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name in ENGINES:
        runs = [_average(problem, name, device, x[cut:], y[cut:]) for device in devices]
        seconds = [_seconds(run, device) for run, device in zip(runs, devices, strict=True)]
        one, other = (run() for run in runs)
        error = np.abs(one - other).max() / np.abs(one).max()
        rank = spearmanr(one, other).statistic
        yield f"| {name} | {seconds[0]:.3f} | {seconds[1]:.3f} | {error:.1e} | {rank:.6f} |"


def _average(problem: Any, name: str, device: str, x: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
    from auditor.influence import engine

    return lambda: np.asarray(engine(problem, name, 0.1, device=device).average(x, y))


def audits(devices: tuple[str, ...], only: str) -> Iterator[str]:
    """Whole audits, each with a cache of its own; the first on a GPU is run before to warm it up, and not shown."""
    if only in next(iter(AUDITS)):
        _audit(*AUDITS["tables-boats"], devices[1])
    seconds = " | ".join(f"seconds, {device}" for device in devices)
    yield (
        f"| data | {seconds} | Spearman of influence | of suspicion | first 50 in both | share of wrong labels | "
        f"{devices[1]} again: the same |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    stages = []
    for name, (folder, options) in AUDITS.items():
        if only in name:
            (one, first), (other, second) = (_audit(folder, options, device) for device in devices)
            again, _ = _audit(folder, options, devices[1])
            yield "| " + " | ".join([name, f"{first:.1f}", f"{second:.1f}", *_compared(one, other, again)]) + " |"
            for device, result in zip(devices, (one, other), strict=True):
                parts = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result.summary["stages"].items())
                stages.append(f"- {name}, {device}: {parts}.")
    yield from ["", "Where the time goes, seconds on the clock:", "", *stages]


def _audit(folder: str, options: dict[str, Any], device: str) -> tuple[Any, float]:
    import auditor

    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        result = auditor.audit(DATA / folder, weights=str(WEIGHTS), cache=cache, device=device, **options)
        return result, time.perf_counter() - start


def _compared(one: Any, other: Any, again: Any) -> Iterator[str]:
    left, right = (r.ranking.set_index("path").sort_index() for r in (one, other))
    for column in ("average_influence", "suspicion"):
        there = left[column].notna()
        yield f"{spearmanr(left[column][there], right[column][there]).statistic:.6f}"
    yield str(len(set(one.ranking["path"][:50]) & set(other.ranking["path"][:50])))
    shares = [r.summary["calibration"]["share"] for r in (one, other)]
    yield " / ".join(_share(share) for share in shares)
    yield "yes" if other.ranking.equals(again.ranking) and other.planted.equals(again.planted) else "no"


def _share(share: Any) -> str:
    return "-" if share is None else "{:.4f} ({:.4f} to {:.4f})".format(share["value"], *share["interval"])


PARTS: dict[str, Callable[[tuple[str, ...], str], Iterator[str]]] = {
    "forward": forward,
    "engines": engines,
    "audits": audits,
}


if __name__ == "__main__":
    sys.exit(main())
