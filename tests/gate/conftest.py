"""A finished audit that the gate's tests judge."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_result

from auditor.result import AuditResult


@pytest.fixture(scope="module")
def wrong() -> AuditResult:
    """An audit of data with 30% wrong labels."""
    return make_result(n=300, share_wrong=0.3, thumbnails=0, examples=0)


@pytest.fixture
def out(wrong: AuditResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder, below an empty current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    wrong.save(folder)
    return folder
