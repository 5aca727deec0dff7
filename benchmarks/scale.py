"""Cost and peak memory against the number of points and classes: the engine alone, and whole audits.

    python benchmarks/scale.py engine                      # a Markdown table, each row measured in a process of its own
    python benchmarks/scale.py audit --points 1000 10000 50000   # --images DIR keeps the image sets for another run
    python benchmarks/scale.py plan                        # past it, from constants measured by `engine` and `audit`
    python benchmarks/scale.py plot OUT.svg                # the engine table's rows.jsonl as a plot

Larger image sets are made of the shared ones by flips, shifts and changes of brightness, no two files the same, before
anything is timed. A whole audit is compared with one bare forward pass of the same backbone over the same decoded
images. Rows are kept in `--rows` (JSON lines), so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe, peak_gib

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
GRID = [
    (1_000, 2),
    (10_000, 2),
    (100_000, 2),
    (1_000, 10),
    (10_000, 10),
    (50_000, 10),
    (100_000, 10),
    (10_000, 100),
    (100_000, 100),
    (1_000, 200),
    (10_000, 200),
    (100_000, 200),
]
D, DAMPING, N_REFERENCE = 512, 0.1, 1000


def main() -> int:
    """Run one of the parts; children measure themselves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("engine", "audit", "plan", "plot", "child"), nargs="?", default="engine")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--rows", type=Path, default=Path(tempfile.gettempdir()) / "auditor-scale.jsonl")
    parser.add_argument("--images", type=Path, help="where image sets are kept, one folder a number of images")
    options = parser.parse_args()
    if options.part == "child":
        print(json.dumps(CHILDREN[options.rest[0]](*options.rest[1:])))
    elif options.part == "engine":
        print(engine_section([row("engine", options.rows, str(n), str(c)) for n, c in GRID]))
    elif options.part == "audit":
        if not (DATA / "tiny10").is_dir():
            print(f"no data at {DATA}: set AUDITOR_DATA", file=sys.stderr)
            return 2
        print(audit_section([audit_rows(n, options.rows, options.images) for n in options.points]))
    elif options.part == "plan":
        print(plan(stored(options.rows)))
    else:
        plot(stored(options.rows), Path(options.rest[0]))
    return 0


def stored(path: Path) -> list[dict[str, Any]]:
    """Rows measured so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def row(kind: str, path: Path, *arguments: str, where: tuple[str, ...] = ()) -> dict[str, Any]:
    """One measurement by a child process, or the stored one; `where` are folders, which differ from run to run."""
    for old in stored(path):
        if old["kind"] == kind and old["arguments"] == list(arguments):
            return old
    command = [sys.executable, __file__, "child", kind, *arguments, *where]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # as the command `auditor` runs
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found = {"kind": kind, "arguments": list(arguments), **json.loads(done.stdout.splitlines()[-1])}
    with path.open("a") as file:
        file.write(json.dumps(found) + "\n")
    return found


# The engine alone


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
    # Rows of least squares towards the classes: a head that is right mostly, at a cost that does not matter here.
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
        "n": n,
        "c": c,
        "wall": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "peak_gib": peak_gib(),
        "before_gib": base,
        "engine": found.name,
        "iterations": solve.iterations,
        "residual": solve.relative_residual,
    }


def engine_section(rows: list[dict[str, Any]]) -> str:
    """The Markdown section of the engine's table."""
    lines = [
        "## Scale: the engine against points and classes",
        "",
        describe(),
        "",
        f"Average influence over 1,000 reference points, {D} features, damping {DAMPING:g}, float64; features in "
        "memory before. Peak memory is the whole process's, Python and torch included.",
        "",
        "| points | classes | parameters | engine | iterations | residual | processor s | s on the clock | peak GiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        name = r["engine"].removeprefix("auto (closed-form ").rstrip(")")
        lines.append(
            f"| {r['n']:,} | {r['c']} | {r['c'] * (D + 1):,} | {name} | {r['iterations'] or '-'} | {r['residual']:.0e} "
            f"| {r['cpu']:.2f} | {r['wall']:.2f} | {r['peak_gib']:.2f} |"
        )
    return "\n".join(lines)


# Whole audits


def audit_rows(n: int, path: Path, kept: Path | None) -> dict[str, Any]:
    """A forward pass, a first audit and a second from the cache, each in a process of its own, on `n` images."""
    with tempfile.TemporaryDirectory() as name:
        folder = (kept or Path(name)) / f"images{n}"
        if not folder.is_dir():
            make_images(folder, n)
        images, cache = str(folder), str(Path(name) / "cache")
        forward = row("forward", path, str(n), where=(images,))
        first = row("audit", path, str(n), "first", where=(images, cache))
        second = row("audit", path, str(n), "second", where=(images, cache))
    return {"n": n, "forward": forward, "first": first, "second": second}


def make_images(folder: Path, n: int) -> None:
    """`n` JPEG files in ten class folders, from tiny10's training images by augmentation."""
    from PIL import Image, ImageEnhance, ImageOps

    sources = sorted((DATA / "tiny10" / "train").glob("*/*"))
    rng = np.random.default_rng(0)
    for index in range(n):
        source = sources[index % len(sources)]
        image = Image.open(source).convert("RGB")
        if index >= len(sources):
            image = ImageOps.mirror(image) if rng.random() < 0.5 else image
            x, y = rng.integers(0, 8, 2)
            image = image.crop((x, y, x + 56, y + 56)).resize((64, 64))
            image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.8, 1.2))
        target = folder / source.parent.name / f"{index:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        target.write_bytes(buffer.getvalue())


def measure_forward(n_text: str, folder: str) -> dict[str, Any]:
    """One bare forward pass of the frozen backbone over decoded images; decoding is not counted."""
    from PIL import Image

    from auditor.compute import hardware
    from auditor.data import features
    from auditor.model import backbone, resnet
    from auditor.model.weights import load_weights

    weights = load_weights(str(DATA / "weights" / "resnet18-tiny170.pth"))
    transform = backbone.Transform(64, *backbone.normalisation("default", weights))
    extractor = resnet.feature_extractor(resnet.build_network(weights, 10, 64, seed=0))
    files = sorted(Path(folder).glob("*/*"))
    pixels = np.stack([np.asarray(Image.open(f)) for f in files[: min(len(files), 4096)]])
    hardware.set_threads()  # as an audit does: all cores, or what OMP_NUM_THREADS says
    start, cpu = time.perf_counter(), time.process_time()
    done = 0
    while done < len(files):
        take = min(len(pixels), len(files) - done)
        features.forward(extractor, transform, pixels[:take])
        done += take
    return {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu, "n": len(files)}


def measure_audit(n_text: str, which: str, folder: str, cache: str) -> dict[str, Any]:
    """A whole audit by the command line's own path: images to files, report included."""
    start, cpu = time.perf_counter(), time.process_time()
    import auditor

    with tempfile.TemporaryDirectory() as out, watched() as stages:
        result = auditor.audit(
            folder, out=out, weights=str(DATA / "weights" / "resnet18-tiny170.pth"), cache=cache, quiet=True
        )
        total, total_cpu = time.perf_counter() - start, time.process_time() - cpu
        report = (Path(out) / "report.html").stat().st_size
    return {
        "n": int(n_text),
        "which": which,
        "wall": total,
        "cpu": total_cpu,
        "peak_gib": peak_gib(),
        "stages": result.summary["stages"],
        "cpu_by_stage": stages.cpu,
        "gib_by_stage": stages.peak,
        "report_mb": report / 1e6,
    }


class Stages:
    """Processor seconds, and the largest resident memory in GiB, by stage of an audit; `rest` is between them."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.peak: dict[str, float] = {}
        self.now = "rest"

    def look(self) -> None:
        """Note how much is resident."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        gib = pages * os.sysconf("SC_PAGE_SIZE") / 2**30
        self.peak[self.now] = max(self.peak.get(self.now, 0.0), gib)


@contextlib.contextmanager
def watched(every: float = 0.05) -> Iterator[Stages]:
    """Watch the audit that runs inside the block."""
    from auditor.system.progress import Progress

    stages, real, over = Stages(), Progress.stage, threading.Event()

    @contextlib.contextmanager
    def stage(self: Progress, name: str, title: str) -> Iterator[Any]:
        stages.now, cpu = name, time.process_time()
        try:
            with real(self, name, title) as update:
                yield update
        finally:
            stages.cpu[name] = stages.cpu.get(name, 0.0) + time.process_time() - cpu
            stages.now = "rest"

    def watch() -> None:
        while not over.wait(every):
            stages.look()

    watcher = threading.Thread(target=watch, daemon=True)
    Progress.stage = stage  # type: ignore[method-assign]
    watcher.start()
    try:
        yield stages
    finally:
        over.set()
        watcher.join()
        Progress.stage = real  # type: ignore[method-assign]


def audit_section(rows: list[dict[str, Any]]) -> str:
    """The Markdown section of whole audits."""
    lines = [
        "## Scale: a whole audit against one bare forward pass",
        "",
        describe(),
        "",
        "Ten classes, 64 x 64 JPEG, default settings (3 plantings), report included; seconds on the clock, processor "
        "seconds in brackets. The forward pass has its images decoded before.",
        "",
        "| images | forward pass | first audit | ratio (target 1.25 from 10,000) | second audit, from the cache "
        "(target 15 s at 10,000) | peak GiB (target 2 at 50,000) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        forward, first, second = r["forward"], r["first"], r["second"]
        lines.append(
            f"| {r['n']:,} | {_both(forward)} | {_both(first)} | {first['wall'] / forward['wall']:.2f} "
            f"({first['cpu'] / forward['cpu']:.2f}) | {_both(second)} | {first['peak_gib']:.2f} |"
        )
    lines += [
        "",
        "Processor seconds, and the largest resident GiB, by stage:",
        "",
        "| images | audit | " + " | ".join(STAGES) + " | report MB |",
        "| --- | --- |" + " --- |" * (len(STAGES) + 1),
    ]
    for r in rows:
        for one in (r["first"], r["second"]):
            cells = " | ".join(_stage(one, name) for name in STAGES)
            lines.append(f"| {r['n']:,} | {one['which']} | {cells} | {one['report_mb']:.1f} |")
    return "\n".join(lines)


STAGES = ("open", "features", "detection", "train", "explain", "experiment", "result", "rest")
"""Of an audit, in order; the rest is imports and, after the stages, the report and the other files."""


def _stage(row_: dict[str, Any], name: str) -> str:
    cpu, peak = row_["cpu_by_stage"], row_["gib_by_stage"]
    seconds = row_["cpu"] - sum(cpu.values()) if name == "rest" else cpu[name]
    return f"{seconds:.1f}, {peak[name]:.2f}"


def _both(row_: dict[str, Any]) -> str:
    return f"{row_['wall']:.1f} ({row_['cpu']:.1f})"


# Past it


def plan(rows: list[dict[str, Any]]) -> str:
    """What 1.3 million images in 1,000 classes would take, from the largest measured rows."""
    engine_rows = [r for r in rows if r["kind"] == "engine"]
    forward = [r for r in rows if r["kind"] == "forward"]
    if not engine_rows:
        return "measure first: python benchmarks/scale.py engine"
    largest = max(engine_rows, key=lambda r: r["n"] * r["c"])
    n, c = 1_300_000, 1_000
    a_product = largest["cpu"] / (largest["iterations"] + 2) / (largest["n"] * largest["c"])
    products = largest["iterations"] + 2
    p = c * (D + 1)
    lines = [
        "## Past it: 1.3 million images, 1,000 classes",
        "",
        f"From {largest['n']:,} points in {largest['c']} classes: {a_product * 1e9:.2f} processor ns a product, point "
        f"and class ({products} products).",
        "",
        f"- Features: {n * D * 4 / 2**30:.1f} GiB float32, read from a memory map in chunks; probabilities of all "
        f"points in float64 would take {n * c * 8 / 2**30:.1f} GiB and must become a memory map, or be computed again "
        "in each product at 1.5 times its cost.",
        f"- Solve: P = {p:,}; {a_product * n * c * products / 3600:.1f} processor hours for an average, the same for a "
        f"second damping in the same block; vectors of {8 * p / 2**20:.0f} MiB.",
    ]
    if forward:
        last = max(forward, key=lambda r: r["n"])
        lines.append(
            f"- Feature pass at 64 x 64: {last['cpu'] / last['n'] * n / 3600:.1f} processor hours (224 x 224: 12 times "
            "that); spread by `--dask`."
        )
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against points, one line a number of classes."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    chosen = [r for r in rows if r["kind"] == "engine"]
    for c in sorted({r["c"] for r in chosen}):
        points = sorted((r["n"], r["cpu"], r["peak_gib"]) for r in chosen if r["c"] == c)
        left.loglog([p[0] for p in points], [p[1] for p in points], "o-", label=f"{c} classes")
        right.semilogx([p[0] for p in points], [p[2] for p in points], "o-", label=f"{c} classes")
    left.set(xlabel="training points", ylabel="processor seconds, average influence")
    right.set(xlabel="training points", ylabel="peak memory, GiB")
    left.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


CHILDREN = {"engine": measure_engine, "forward": measure_forward, "audit": measure_audit}

if __name__ == "__main__":
    sys.exit(main())
