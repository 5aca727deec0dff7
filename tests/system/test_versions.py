"""Versions are read without importing the packages."""

from __future__ import annotations

import subprocess
import sys

import torch

from auditor._version import __version__
from auditor.system import versions


def test_versions_name_every_package() -> None:
    found = versions.installed()
    assert set(versions.PACKAGES) < set(found)
    assert found["auditor"] == __version__
    # The build is a part of torch's own word, and of its wheel's name only where the wheel is not PyPI's.
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {name for name, version in found.items() if version == "missing"} <= {"pydvl"}, "its engines alone need it"


def test_torch_is_not_imported_for_its_version() -> None:
    code = "import sys; from auditor.system import versions; versions.installed(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
