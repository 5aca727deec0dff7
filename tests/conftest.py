"""What all tests share; its being here also puts `tests/` on the import path, for `builders` and `hostile`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data sets (`AUDITOR_DATA`, else `../shared/data`); skips where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUDITOR_DATA", default))
    if not (folder / "tables-boats").is_dir():
        pytest.skip(f"no shared data at {folder}: set AUDITOR_DATA")
    return folder
