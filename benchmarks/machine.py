"""The machine of a measurement: cores, memory, threads, device and versions, as text for `RESULTS.md`."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
from pathlib import Path

import psutil

from auditor.system.machine import cores

PACKAGES = ("torch", "torchvision", "pydvl", "numpy", "scipy", "scikit-learn", "pandas", "dask", "cleanlab")


def versions() -> dict[str, str]:
    """Installed versions of Python and the packages that decide a measurement. A missing package is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The model name of the processor, or its architecture where the system does not say."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def memory_gib() -> float:
    """Physical memory in GiB."""
    return float(psutil.virtual_memory().total / 2**30)


def peak_gib() -> float:
    """The largest resident size this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def describe() -> str:
    """One Markdown paragraph: machine and versions."""
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"Machine: {processor()}, {cores()} cores, {memory_gib():.0f} GiB, {platform.system()}; "
        f"torch threads {torch.get_num_threads()}; GPU: {device}. Versions: {listed}."
    )


if __name__ == "__main__":
    print(describe())
