"""The matrix on disk is the engine's rows, chunk by chunk, and is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import with_pydvl  # noqa: F401  # without pyDVL these tests are skipped
import zarr

from auditor.errors import EngineError
from auditor.influence import HeadProblem, engine
from auditor.influence.pydvl.matrix import author, save_matrix


def problem(n_points: int = 50):
    rng = np.random.default_rng(0)
    head = HeadProblem(
        rng.normal(size=(n_points, 4)), rng.integers(0, 3, n_points), rng.normal(size=(3, 4)), rng.normal(size=3)
    )
    return head, rng.normal(size=(11, 4)), rng.integers(0, 3, 11)


def test_matrix_is_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.matrix.ROW_CHUNK", 4)
    monkeypatch.setattr("auditor.influence.pydvl.matrix.COLUMN_CHUNK", 16)
    head, x, y = problem()
    found, told = engine(head, "auto", 0.1), []
    path = tmp_path / "new" / "matrix.zarr"
    shape = save_matrix(path, found, x, y, attributes={"rows": ["a"]}, listener=lambda *args: told.append(args[1:]))
    array = zarr.open_array(str(path), mode="r")
    assert shape == array.shape == (11, 50) and array.chunks == (4, 16) and array.dtype == np.float32
    np.testing.assert_allclose(array[:], found.rows(x, y), rtol=1e-6)
    assert array.attrs["rows"] == ["a"] and array.attrs["damping"] == 0.1
    assert told == [(4, 11), (8, 11), (11, 11)]
    assert [p.name for p in path.parent.iterdir()] == ["matrix.zarr"]


def test_what_exists_is_not_written_over(tmp_path):
    head, x, y = problem()
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(EngineError, match="exists already"):
        save_matrix(tmp_path / "mine", engine(head, "auto", 0.1), x, y)
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.influence.pydvl.matrix.ROW_CHUNK", 4)
    head, x, y = problem()
    y = y.copy()
    y[9] = 7
    with pytest.raises(EngineError, match="labels run"):
        save_matrix(tmp_path / "matrix.zarr", engine(head, "auto", 0.1), x, y)
    assert not list(tmp_path.iterdir())


def test_a_matrix_says_which_audit_wrote_it_and_nothing_else_does(tmp_path):
    head, x, y = problem()
    save_matrix(tmp_path / "ours", engine(head, "auto", 0.1), x, y, attributes={"audit": "abc"})
    assert author(tmp_path / "ours") == "abc"
    save_matrix(tmp_path / "other", engine(head, "auto", 0.1), x, y)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{")
    assert [author(tmp_path / name) for name in ("other", "folder", "file", "broken", "missing")] == [None] * 5


def test_drafts_of_processes_that_are_gone_are_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f".m.{gone.pid}.part", f".m.{os.getppid()}.part", ".m.notes.part"):
        (tmp_path / name).mkdir()
    head, x, y = problem()
    save_matrix(tmp_path / "m", engine(head, "auto", 0.1), x, y)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["m", f".m.{os.getppid()}.part", ".m.notes.part"])
