"""Whole audits beside one bare forward pass: what `scale.py audit` runs, each measurement in a process of its own.

Larger image sets are made of tiny10's images by flips, shifts and changes of brightness, before anything is timed. No
two files are the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import peak_gib
from shared import DATA, WEIGHTS

STAGES = ("open", "features", "detection", "train", "explain", "experiment", "result", "rest")
"""Stages of an audit in order. The rest is imports and, after the stages, the report and the other files."""


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
    """One bare forward pass of the frozen backbone over decoded images. Decoding is not counted."""
    from PIL import Image

    from auditor.compute import hardware
    from auditor.data import features
    from auditor.model import backbone, resnet
    from auditor.model.weights import load_weights

    kind = resnet.ResNet18()
    weights = load_weights(str(WEIGHTS), kind)
    transform = backbone.Transform(64, *kind.normalisation("default", weights))
    extractor = resnet.feature_extractor(kind.build(weights, 10, 64, seed=0))
    files = sorted(Path(folder).glob("*/*"))
    pixels = np.stack([np.asarray(Image.open(f)) for f in files[: min(len(files), 4096)]])
    hardware.set_threads()  # as an audit does: all cores, or what OMP_NUM_THREADS says
    start, cpu = time.perf_counter(), time.process_time()
    done = 0
    while done < len(files):
        take = min(len(pixels), len(files) - done)
        features.forward(extractor, transform, pixels[:take])
        done += take
    seconds, processor = time.perf_counter() - start, time.process_time() - cpu
    return {"images": len(files), "what": "forward pass", "seconds": seconds, "processor seconds": processor}


def measure_audit(n_text: str, which: str, folder: str, cache: str) -> dict[str, Any]:
    """A whole audit as the command runs it: from the images to the files, report included."""
    start, cpu = time.perf_counter(), time.process_time()
    import auditor

    with tempfile.TemporaryDirectory() as out, watched() as stages:
        auditor.audit(folder, out=out, weights=str(WEIGHTS), cache=cache, quiet=True)
        total, total_cpu = time.perf_counter() - start, time.process_time() - cpu
        report = (Path(out) / "report.html").stat().st_size
    cpu = {**stages.cpu, "rest": total_cpu - sum(stages.cpu.values())}
    figures: dict[str, float] = {"seconds": total, "processor seconds": total_cpu, "peak GiB": peak_gib()}
    for name in STAGES:
        figures |= {f"{name}, processor seconds": cpu.get(name, 0.0), f"{name}, GiB": stages.peak.get(name, 0.0)}
    return {"images": int(n_text), "what": f"{which} audit", **figures, "report MB": report / 1e6}


class Stages:
    """Processor seconds and the largest resident memory (GiB) by stage. `rest` is what lies between the stages."""

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
