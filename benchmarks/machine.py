"""What a measurement was taken on: the commit, the machine and the versions."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import resource
import subprocess
from pathlib import Path

import psutil

from auditor.system.machine import cores

PACKAGES = ("torch", "torchvision", "pydvl", "numpy", "scipy", "scikit-learn", "pandas", "dask", "cleanlab")


@functools.cache
def commit() -> str:
    """The commit of the package, with a + if its files differ from it; empty outside a repository."""
    import auditor

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(auditor.__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> str:
    """Installed versions of what the figures depend on. A missing package is left out."""
    found = [f"python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def machine() -> str:
    """Processor, cores, memory, system, threads of torch and GPU."""
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    memory = psutil.virtual_memory().total / 2**30
    parts = (processor(), f"{cores()} cores", f"{memory:.0f} GiB", platform.system())
    return ", ".join((*parts, f"torch threads {torch.get_num_threads()}", f"GPU {device}"))


def processor() -> str:
    """The processor's model name, or the architecture if the system does not tell the name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def peak_gib() -> float:
    """The largest resident size that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    print(f"{machine()}. {versions()}.")
