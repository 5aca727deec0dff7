"""An audit on a GPU beside the same audit on the processor: whether the ranking is the same, and what each takes.

It needs the shared data (`AUDITOR_DATA`, default `../shared/data`) and a GPU that torch sees. Parts: `forward` (the
backbone in three precisions), `engines` (every engine on one head) and `audits`. Tables go to `results/device_*.csv`.
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
import pandas as pd
import rows
import torch
from scipy.stats import spearmanr
from shared import DATA, WEIGHTS, need

DEVICES = ("cpu", "cuda")
AUDITS: dict[str, tuple[str, dict[str, Any]]] = {
    "tables-boats": ("tables-boats", {}),
    "tiny10": ("tiny10", {}),
    "tables-boats, layer4 and head trained": ("tables-boats", {"train": "layers:layer4,fc", "epochs": 5, "repeats": 1}),
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["forward", "engines", "audits"])
    parser.add_argument("--only", default="", help="audits whose name contains this")
    parser.add_argument("--devices", nargs=2, default=DEVICES, help="what is compared; cpu cpu tries the script")
    rows.add_options(parser)
    arguments = parser.parse_args()
    need()
    if "cuda" in arguments.devices and not torch.cuda.is_available():
        sys.exit("torch sees no GPU; --devices cpu cpu tries the script without one")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for part in arguments.parts:
        frame = pd.DataFrame(PARTS[part](tuple(arguments.devices), arguments.only))
        rows.append(f"device_{part}", frame, arguments.results)
        print(f"\n{part}\n\n{rows.markdown(frame)}", flush=True)


def forward(devices: tuple[str, ...], only: str) -> Iterator[dict[str, Any]]:
    """Reading 5,000 images, and the backbone on them in three precisions."""
    from auditor.compute import hardware
    from auditor.data import features
    from auditor.model import backbone, resnet
    from auditor.model.weights import load_weights
    from auditor.sources import open_source

    kind = resnet.ResNet18()
    weights = load_weights(str(WEIGHTS), kind)
    transform = backbone.Transform(64, *kind.normalisation("default", weights))
    table = open_source(str(DATA / "tiny10" / "train"))
    start = time.perf_counter()
    pixels = features.extract(table, transform, None, features.ReadOptions(keep_pixels=True)).pixels
    assert pixels is not None
    n = len(pixels.values)
    yield {"what": "reading and decoding", "seconds for 5,000 images": (time.perf_counter() - start) * 5000 / n}
    network = kind.extractor(kind.build(weights, 10, 64, seed=0))
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
        yield {
            "what": f"{device}, {name}",
            "seconds for 5,000 images": seconds * 5000 / n,
            "largest difference, of the largest feature": error,
        }


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


def engines(devices: tuple[str, ...], only: str) -> Iterator[dict[str, Any]]:
    """Average influence of every engine on a head over tables-boats' features."""
    from shared import features as read

    from auditor.engines import names
    from auditor.influence import HeadProblem
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    paths = sorted(str(p.relative_to(DATA / "tables-boats")) for p in (DATA / "tables-boats").rglob("*.JPEG"))
    y = np.array([path.split("/")[1] == "boats" for path in paths], dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    with tempfile.TemporaryDirectory() as cache:
        x = read("tables-boats", paths, Path(cache))
    x, y, cut = Scaling.of(x)(x)[order], y[order], len(y) - 96
    head = SoftmaxHead.train(x[:cut], y[:cut], 2, 0.1)
    problem = HeadProblem(x[:cut], y[:cut], head.weight, head.bias)
    for name in names():
        runs = [_average(problem, name, device, x[cut:], y[cut:]) for device in devices]
        seconds = [_seconds(run, device) for run, device in zip(runs, devices, strict=True)]
        one, other = (run() for run in runs)
        error = np.abs(one - other).max() / np.abs(one).max()
        rank = spearmanr(one, other).statistic
        yield {"engine": name, **_columns(devices, seconds), "largest difference": error, "Spearman": rank}


def _average(problem: Any, name: str, device: str, x: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
    from auditor.influence import engine

    return lambda: np.asarray(engine(problem, name, 0.1, device=device).average(x, y))


def _columns(devices: tuple[str, ...], seconds: list[float]) -> dict[str, float]:
    return {f"seconds, {device}": value for device, value in zip(devices, seconds, strict=True)}


def audits(devices: tuple[str, ...], only: str) -> Iterator[dict[str, Any]]:
    """Whole audits, each with a cache of its own. One more on the GPU runs first to warm it up; it is not shown."""
    if only in next(iter(AUDITS)):
        _audit(*AUDITS["tables-boats"], devices[1])
    for name, (folder, options) in AUDITS.items():
        if only in name:
            (one, first), (other, second) = (_audit(folder, options, device) for device in devices)
            again, _ = _audit(folder, options, devices[1])
            yield {"data": name, **_columns(devices, [first, second]), **_compared(one, other, again)}
            for device, result in zip(devices, (one, other), strict=True):
                parts = result.summary["stages"].items()
                print(f"{name}, {device}: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in parts))


def _audit(folder: str, options: dict[str, Any], device: str) -> tuple[Any, float]:
    import auditor

    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        result = auditor.audit(DATA / folder, weights=str(WEIGHTS), cache=cache, device=device, **options)
        return result, time.perf_counter() - start


def _compared(one: Any, other: Any, again: Any) -> dict[str, Any]:
    left, right = (r.ranking.set_index("path").sort_index() for r in (one, other))
    found: dict[str, Any] = {}
    for column in ("average_influence", "suspicion"):
        there = left[column].notna()
        found[f"Spearman of {column}"] = spearmanr(left[column][there], right[column][there]).statistic
    found["first 50 in both"] = len(set(one.ranking["path"][:50]) & set(other.ranking["path"][:50]))
    shares = [r.summary["calibration"]["share"] for r in (one, other)]
    found["share of wrong labels"] = " / ".join(_share(share) for share in shares)
    same = other.ranking.equals(again.ranking) and other.planted.equals(again.planted)
    return found | {"a second run is the same": "yes" if same else "no"}


def _share(share: Any) -> str:
    return "-" if share is None else "{:.4f} ({:.4f} to {:.4f})".format(share["value"], *share["interval"])


PARTS: dict[str, Callable[[tuple[str, ...], str], Iterator[dict[str, Any]]]] = {
    "forward": forward,
    "engines": engines,
    "audits": audits,
}


if __name__ == "__main__":
    main()
