"""Cost and peak memory against the number of points and classes: the engine alone, and whole audits.

    python benchmarks/scale.py engine                            # each row is measured in a process of its own
    python benchmarks/scale.py audit --points 1000 10000 50000   # --images DIR keeps the image sets for another run
    python benchmarks/scale.py plan                              # what 1.3 million images would take
    python benchmarks/scale.py plot                              # the engine's rows as docs/scale.svg

A whole audit stands beside one bare forward pass of the same backbone over the same decoded images. Rows are kept in
`--rows` (JSON lines), so that an interrupted run goes on. Tables go to `results/scale_engine.csv` and
`results/scale_audit.csv`; `plan` and `plot` read the newest rows of these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
import scale_audit
from machine import peak_gib
from shared import ROOT, need

GRID = [
    *((n, 2) for n in (1_000, 10_000, 100_000)),
    *((n, 10) for n in (1_000, 10_000, 50_000, 100_000)),
    *((n, 100) for n in (10_000, 100_000)),
    *((n, 200) for n in (1_000, 10_000, 100_000)),
]
"""Points and classes."""
D, DAMPING, N_REFERENCE = 512, 0.1, 1000


def main() -> None:
    """Run one of the parts. Children measure themselves and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("engine", "audit", "plan", "plot", "child"), nargs="?", default="engine")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--rows", type=Path, default=Path(tempfile.gettempdir()) / "auditor-scale.jsonl")
    parser.add_argument("--images", type=Path, help="where image sets are kept, one folder a number of images")
    rows.add_options(parser)
    options = parser.parse_args()
    if options.part == "child":
        print(json.dumps(CHILDREN[options.rest[0]](*options.rest[1:])))
    elif options.part == "engine":
        finish("scale_engine", [row("engine", options.rows, str(n), str(c)) for n, c in GRID], options.results)
    elif options.part == "audit":
        need("tiny10")
        found = [r for n in options.points for r in audit_rows(n, options.rows, options.images)]
        finish("scale_audit", found, options.results)
    elif options.part == "plan":
        print(plan(options.results))
    else:
        plot(rows.newest("scale_engine", options.results), ROOT / "docs" / "scale.svg")


def finish(name: str, records: list[dict[str, Any]], folder: Path) -> None:
    """Write the rows to their CSV file and print them."""
    frame = pd.DataFrame(records).drop(columns=["kind", "arguments", *rows.STAMP])
    rows.append(name, frame.round(4) if name == "scale_audit" else frame, folder, of=records)
    print(rows.markdown(frame))


def row(kind: str, path: Path, *arguments: str, where: tuple[str, ...] = ()) -> dict[str, Any]:
    """One measurement by a child process, or the kept one. `where` holds folders, which differ from run to run."""
    for old in rows.kept(path):
        if old["kind"] == kind and old["arguments"] == list(arguments):
            return old
    command = [sys.executable, __file__, "child", kind, *arguments, *where]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # as the command `auditor` runs
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return rows.keep(path, {"kind": kind, "arguments": arguments, **json.loads(done.stdout.splitlines()[-1])})


def audit_rows(n: int, path: Path, kept: Path | None) -> list[dict[str, Any]]:
    """A forward pass, a first audit and a second one from the cache, each in a process of its own, on `n` images."""
    with tempfile.TemporaryDirectory() as name:
        folder = (kept or Path(name)) / f"images{n}"
        if not folder.is_dir():
            scale_audit.make_images(folder, n)
        images, cache = str(folder), str(Path(name) / "cache")
        return [
            row("forward", path, str(n), where=(images,)),
            row("audit", path, str(n), "first", where=(images, cache)),
            row("audit", path, str(n), "second", where=(images, cache)),
        ]


def measure_engine(n_text: str, c_text: str) -> dict[str, Any]:
    """Average influence of `n` points in `c` classes with 512 random class-dependent features."""
    from auditor.influence import HeadProblem, engine

    n, c = int(n_text), int(c_text)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(c, D)).astype(np.float32)
    labels = np.arange(n) % c
    features = np.empty((n, D), np.float32)
    for start in range(0, n, 4096):
        part = slice(start, start + 4096)
        noise = rng.normal(size=features[part].shape).astype(np.float32)
        features[part] = np.maximum(0.25 * centres[labels[part]] + noise, 0)
    # Least squares towards the classes gives a head that is mostly right. Its cost is not measured.
    sample = slice(0, min(n, 8192))
    gram = features[sample].T @ features[sample] + 100 * np.eye(D, dtype=np.float32)
    weight = 8 * np.linalg.solve(gram, features[sample].T @ np.eye(c, dtype=np.float32)[labels[sample]]).T
    reference = np.arange(n)[:: max(1, n // N_REFERENCE)]
    base = peak_gib()
    start, cpu = time.perf_counter(), time.process_time()
    found = engine(HeadProblem(features, labels, weight, np.zeros(c)), "auto", DAMPING)
    found.average(features[reference], labels[reference])
    solve = found.solves[0]
    return {
        "points": n,
        "classes": c,
        "parameters": c * (D + 1),
        "engine": found.name.removeprefix("auto (closed-form ").rstrip(")"),
        "iterations": solve.iterations,
        "residual": solve.relative_residual,
        "processor seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - start,
        "peak GiB": peak_gib(),
        "GiB before": base,
    }


def plan(folder: Path) -> str:
    """What 1.3 million images in 1,000 classes would take, from the largest measured rows."""
    engine, audits = rows.newest("scale_engine", folder), rows.newest("scale_audit", folder)
    if engine.empty:
        return "measure first: python benchmarks/scale.py engine"
    largest = engine.loc[(engine["points"] * engine["classes"]).idxmax()]
    n, c = 1_300_000, 1_000
    products = int(largest["iterations"]) + 2
    a_product = largest["processor seconds"] / products / (largest["points"] * largest["classes"])
    p = c * (D + 1)
    lines = [
        f"From {largest['points']:,} points in {largest['classes']} classes: {a_product * 1e9:.2f} processor ns for "
        f"each product, point and class ({products} products).",
        f"- Features: {n * D * 4 / 2**30:.1f} GiB float32, read from a memory map in chunks. Probabilities of all "
        f"points in float64 would take {n * c * 8 / 2**30:.1f} GiB. They must become a memory map, or be computed "
        "again in each product at 1.5 times its cost.",
        f"- Solve: P = {p:,}; {a_product * n * c * products / 3600:.1f} processor hours for an average, the same for a "
        f"second damping in the same block; vectors of {8 * p / 2**20:.0f} MiB.",
    ]
    forward = audits[audits["what"] == "forward pass"] if len(audits) else audits
    if len(forward):
        last = forward.loc[forward["images"].idxmax()]
        hours = last["processor seconds"] / last["images"] * n / 3600
        lines.append(
            f"- Feature pass at 64 x 64: {hours:.1f} processor hours (224 x 224: 12 times that); `--dask` spreads it."
        )
    return "\n".join(lines)


def plot(engine: pd.DataFrame, path: Path) -> None:
    """Time and memory against points, one line a number of classes."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    for c, points in engine.sort_values("points").groupby("classes"):
        left.loglog(points["points"], points["processor seconds"], "o-", label=f"{c} classes")
        right.semilogx(points["points"], points["peak GiB"], "o-", label=f"{c} classes")
    left.set(xlabel="training points", ylabel="processor seconds, average influence")
    right.set(xlabel="training points", ylabel="peak memory, GiB")
    left.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


CHILDREN = {
    "engine": measure_engine,
    "forward": scale_audit.measure_forward,
    "audit": scale_audit.measure_audit,
}

if __name__ == "__main__":
    main()
