"""The installed versions of Python and of the packages that decide a result. None of them is imported for it."""

from __future__ import annotations

import importlib.metadata
import platform

from auditor._version import __version__

PACKAGES = ("torch", "torchvision", "pydvl", "numpy", "pandas", "scikit-learn")


def installed() -> dict[str, str]:
    """Versions by name, with `python` and `auditor` among them. A package that is not installed is "missing"."""
    found = {"python": platform.python_version(), "auditor": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found
