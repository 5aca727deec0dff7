"""Versions of what decides a result, read without importing any of it."""

from __future__ import annotations

import importlib.metadata
import platform

from auditor._version import __version__

PACKAGES = ("torch", "torchvision", "pydvl", "numpy", "pandas", "scikit-learn")


def installed() -> dict[str, str]:
    """Versions of what decides a result."""
    found = {"python": platform.python_version(), "auditor": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found
